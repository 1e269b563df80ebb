package health

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
)

// Wait returns when all targets are healthy (nil), when one has failed or no
// more can be known (*NotHealthy), when timeout is over (*NotHealthy), or when
// ctx ends (its cause). A timeout of zero is none. The updates are the last of
// each target, in the order of targets.
//
// Before it says *NotHealthy it reads everything that it judged once more. Where
// that is not answered the error is another one, which says since when: whether
// the targets are healthy is not known then. Credentials that are refused end the
// wait at once.
//
// on is called at every change of state of a target, always from the goroutine
// that called Wait; it may be nil.
func (w *Watcher) Wait(ctx context.Context, targets []Target, timeout time.Duration, on func(Update)) ([]Update, error) {
	g, err := w.newGate(ctx, targets, true, on)
	if err != nil {
		return nil, err
	}
	defer w.store.unsubscribe(g.sub)

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var over <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		over = timer.C
	}
	for {
		fresh := g.fresh() // before the judgement, which is then made of what was read
		fresh = g.judge(time.Now()) && fresh
		if done, err := g.result(fresh, time.Now()); done {
			return g.updates(), err
		}
		select {
		case <-ctx.Done():
			return g.updates(), g.w.endedBy(context.Cause(ctx))
		case <-over:
			over = nil
			g.over(timeout, time.Now())
		case <-g.sub.signal:
			_ = pause.About(ctx, burst)
		case <-tick.C:
			g.markUnhealthy()
		}
	}
}

// Watch tells every change of state of the targets, from the goroutine that
// called it, until ctx ends, and returns its cause. A kind that the cluster does
// not serve is told as failed once.
func (w *Watcher) Watch(ctx context.Context, targets []Target, on func(Update)) error {
	served := make([]Target, 0, len(targets))
	for _, t := range targets {
		_, err := w.track(ctx, t)
		switch {
		case absent(err):
			on(unserved(t))
		case err != nil:
			return err
		default:
			served = append(served, t)
		}
	}
	g, err := w.newGate(ctx, served, false, on)
	if err != nil {
		return err
	}
	defer w.store.unsubscribe(g.sub)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		g.judge(time.Now())
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-g.sub.signal:
			_ = pause.About(ctx, burst)
		case <-tick.C:
			g.tellSilence(time.Now())
			g.markUnhealthy()
		}
	}
}

// burst is how long to let changes gather: events come many at once.
const burst = 30 * time.Millisecond

// judge judges one target as the store has it.
func (w *Watcher) judge(t *tracked, since, now time.Time) verdict {
	m, known := w.store.member(t.key)
	var v verdict
	switch {
	case m.err != nil:
		return unknown("readable", oneLine(m.err.Error(), 300))
	case t.Done && away(m.obj), m.obj == nil && known && m.last != nil && succeeded(m.last):
		return deletedJob()
	case m.obj == nil && known:
		return missing()
	case m.obj == nil:
		return w.judgeUnseen(t, since, now)
	case t.UID != "" && m.obj.GetUID() != t.UID:
		return progressing("exists", "the object that was written is not seen yet; another one has its name")
	case m.obj.GetGeneration() < t.MinGeneration:
		return progressing("observed-generation", fmt.Sprintf("generation %d, which was written, is not seen yet", t.MinGeneration))
	}
	if err := contain.Call(func() error {
		v = judge(m.obj, t.rule, w.related(t, w.store.clock.server(since)), w.store.clock.server(now))
		return nil
	}); err != nil {
		return unknown("judged", err.Error())
	}
	if unreported(v.Result) {
		w.probeStatus(t.key)
	}
	if v.State != Healthy {
		v.note(m.note)
	}
	return v
}

// unreported says that an object's status may be missing because its kind has none.
func unreported(r Result) bool {
	return r.State == Unknown || r.State == Progressing && r.Rule == "condition Ready"
}

// note adds to the message how the object was read.
func (v *verdict) note(text string) {
	if text != "" {
		v.Message = strings.TrimSpace(v.Message + " (" + text + ")")
	}
}

// judgeUnseen answers for an object that no LIST or watch has shown. After three
// seconds it is asked for by name: it may lack the label.
func (w *Watcher) judgeUnseen(t *tracked, since, now time.Time) verdict {
	s := w.stream(w.memberStream(t.key))
	state := s.State()
	synced := state.First
	switch {
	case state.Denied != nil:
		return progressing("exists", "not read yet: no right to watch "+t.key.Resource)
	case synced.IsZero():
		return progressing("exists", NotRead)
	}
	if synced.Before(since) {
		synced = since
	}
	if now.Sub(synced) > 3*time.Second {
		s.check(t.key)
	}
	return progressing("exists", "not seen yet")
}

// absent says that err means that the cluster does not serve the kind.
func absent(err error) bool {
	return meta.IsNoMatchError(err)
}

// unserved is the judgement of an object whose kind the cluster does not serve.
func unserved(t Target) Update {
	return Update{Target: t, Result: failed("exists", "the cluster does not serve "+t.GVK.String()).Result, At: time.Now()}
}
