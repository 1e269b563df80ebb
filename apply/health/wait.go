package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
)

// Wait returns when all targets are healthy (nil), when one has failed or no
// more can be known (*NotHealthy), when timeout is over (*NotHealthy), or when
// ctx ends (its cause). A timeout of zero is none. The updates are the last of
// each target, in the order of targets.
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
		g.judge(time.Now())
		if done, err := g.result(time.Now()); done {
			return g.updates(), err
		}
		select {
		case <-ctx.Done():
			return g.updates(), context.Cause(ctx)
		case <-over:
			g.judge(time.Now())
			if done, err := g.result(time.Now()); done {
				return g.updates(), err
			}
			return g.updates(), g.notHealthy(timeout)
		case <-g.sub.signal:
			pause(ctx, burst)
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
			pause(ctx, burst)
		case <-tick.C:
			g.markUnhealthy()
		}
	}
}

// burst is how long to let changes gather: events come many at once.
const burst = 30 * time.Millisecond

// gate is one wait.
type gate struct {
	w       *Watcher
	since   time.Time
	targets []*tracked
	byKey   map[objectKey][]*tracked
	sub     *subscription
	on      func(Update)
}

// newGate subscribes to the targets. With written, those that can only exist are
// taken to: the API server has just said so.
func (w *Watcher) newGate(ctx context.Context, targets []Target, written bool, on func(Update)) (*gate, error) {
	g := &gate{w: w, since: time.Now(), byKey: map[objectKey][]*tracked{}, on: on}
	if on == nil {
		g.on = func(Update) {}
	}
	var keys []objectKey
	for _, target := range targets {
		t, err := w.track(ctx, target)
		if err != nil {
			return nil, err
		}
		t.static = t.static && written
		g.targets = append(g.targets, t)
		g.byKey[t.key] = append(g.byKey[t.key], t)
		if !t.static {
			keys = append(keys, t.key)
		}
	}
	g.sub = w.store.subscribe(keys)
	for _, key := range keys {
		w.stream(w.memberStream(key))
	}
	for _, t := range g.targets {
		if t.static {
			g.report(t, judgeExists(nil, Related{}, g.since), g.since)
		}
	}
	return g, nil
}

func (w *Watcher) memberStream(key objectKey) streamKey {
	return streamKey{GroupVersionResource: key.GroupVersionResource, namespace: key.namespace, labels: w.selector}
}

// markUnhealthy has those judged again whose judgement may change with time.
func (g *gate) markUnhealthy() {
	for _, t := range g.targets {
		if t.update.State != Healthy {
			g.sub.mark(t.key)
		}
	}
}

func (g *gate) judge(now time.Time) {
	for key := range g.sub.take() {
		for _, t := range g.byKey[key] {
			v := g.w.judge(t, g.since, now)
			if v.State != Healthy {
				v.note(g.w.explain(t))
			}
			g.report(t, v, now)
			if v.crash != nil {
				g.w.logs.fetch(v.crash)
			}
		}
	}
}

// judge judges one target as the store has it.
func (w *Watcher) judge(t *tracked, since, now time.Time) verdict {
	m, known := w.store.member(t.key)
	var v verdict
	switch {
	case m.err != nil:
		return unknown("readable", oneLine(m.err.Error(), 300))
	case m.obj == nil && known && m.last != nil && succeeded(m.last):
		return healthy("job-complete", "done, and deleted since")
	case m.obj == nil && known:
		return missing()
	case m.obj == nil:
		return w.judgeUnseen(t, since, now)
	case t.UID != "" && m.obj.GetUID() != t.UID:
		return progressing("exists", "the object that was written is not seen yet; another one has its name")
	case m.obj.GetGeneration() < t.MinGeneration:
		return progressing("observed-generation", fmt.Sprintf("generation %d, which was written, is not seen yet", t.MinGeneration))
	}
	v = judge(m.obj, t.rule, w.related(t, w.store.clock.server(since)), w.store.clock.server(now))
	if v.State == Unknown || v.Rule == "condition Ready" {
		w.probeStatus(t.key)
	}
	if v.State != Healthy {
		v.note(m.note)
	}
	return v
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
	synced, denied := s.state()
	switch {
	case denied != nil:
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

// report stores a verdict and tells a change of it.
func (g *gate) report(t *tracked, v verdict, now time.Time) {
	u := Update{Target: t.Target, Result: v.Result, Ready: v.ready, Desired: v.desired, At: now}
	switch {
	case v.State != Failed:
		t.failedSince = time.Time{}
	case t.failedSince.IsZero():
		t.failedSince = now
		t.inherited = !t.judged || now.Sub(g.since) < time.Second
	}
	changed := !t.judged || differs(t.update, u)
	if !changed {
		u.At = t.update.At
	}
	t.update, t.crash, t.judged = u, v.crash, true
	if changed {
		g.on(u)
	}
}

// differs passes over what only counts seconds.
func differs(a, b Update) bool {
	return a.State != b.State || a.Rule != b.Rule || a.Ready != b.Ready || a.Desired != b.Desired || a.Log != b.Log || alike(a.Message) != alike(b.Message)
}

// result says whether the wait is over.
func (g *gate) result(now time.Time) (done bool, err error) {
	waiting, unknown := 0, 0
	for _, t := range g.targets {
		switch {
		case !t.judged:
			waiting++
		case t.update.State == Failed && g.settled(t, now):
			return true, g.notHealthy(0)
		case t.update.State == Unknown:
			unknown++
		case t.update.State != Healthy:
			waiting++
		}
	}
	switch {
	case waiting > 0:
		return false, nil
	case unknown > 0 && now.Sub(g.since) < grace:
		return false, nil
	case unknown > 0 && !g.w.opts.AllowUnknown:
		return true, g.notHealthy(0)
	}
	return true, nil
}

// settled says that a failure has lasted, and that the log that explains it has
// been read or does not come.
func (g *gate) settled(t *tracked, now time.Time) bool {
	settle := g.w.opts.Settle
	if t.inherited {
		settle *= 5
	}
	lasted := now.Sub(t.failedSince)
	if lasted < settle {
		return false
	}
	return lasted > settle+logTimeout || !g.w.logs.pending(t.crash)
}

func (g *gate) updates() []Update {
	out := make([]Update, len(g.targets))
	for i, t := range g.targets {
		out[i] = t.update
	}
	return out
}

func (g *gate) notHealthy(after time.Duration) error {
	return newNotHealthy(g.updates(), after)
}

// NotHealthy is the error of Wait: the objects that are not healthy, those that
// failed first.
type NotHealthy struct {
	Updates []Update
	// After is the timeout that ended the wait; zero where a failure did, or
	// where nothing more can be known.
	After time.Duration
}

func newNotHealthy(all []Update, after time.Duration) *NotHealthy {
	e := &NotHealthy{After: after}
	for _, state := range []State{Failed, Unknown, Progressing} {
		for _, u := range all {
			if u.State == state && (after > 0 || state != Progressing) {
				e.Updates = append(e.Updates, u)
			}
		}
	}
	return e
}

// Error has one line for each object, and indented below it the log that
// explains the failure.
func (e *NotHealthy) Error() string {
	var b strings.Builder
	b.WriteString("not healthy")
	if e.After > 0 {
		fmt.Fprintf(&b, " after %s", e.After)
	}
	b.WriteString(":")
	for _, u := range e.Updates {
		fmt.Fprintf(&b, "\n  %s: %s (%s, rule %s)", u.Target, cmpOr(u.Message, "no cause known"), u.State, u.Rule)
		for line := range strings.SplitSeq(strings.TrimRight(u.Log, "\n"), "\n") {
			if line != "" {
				b.WriteString("\n    | " + line)
			}
		}
	}
	return b.String()
}

func cmpOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Failed are the objects that failed, without those that were still waited for.
func (e *NotHealthy) Failed() []Update {
	return slices.DeleteFunc(slices.Clone(e.Updates), func(u Update) bool { return u.State != Failed })
}

// absent says that err means that the cluster does not serve the kind.
func absent(err error) bool {
	return meta.IsNoMatchError(err)
}

// unserved is the judgement of an object whose kind the cluster does not serve.
func unserved(t Target) Update {
	return Update{Target: t, Result: failed("exists", "the cluster does not serve "+t.GVK.String()).Result, At: time.Now()}
}
