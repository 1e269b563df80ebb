package health

import (
	"context"
	"time"
)

// gate is one wait.
type gate struct {
	w       *Watcher
	since   time.Time
	targets []*tracked
	byKey   map[objectKey][]*tracked
	sub     *subscription
	on      func(Update)

	timeout time.Duration // the time that is over; zero while it is not
	asked   time.Time     // when everything was asked for once more, for a verdict
	silent  bool          // that the API server does not answer was told
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

// markUnhealthy has those judged again whose judgement may change with time, and
// doubts watches that show nothing of them.
func (g *gate) markUnhealthy() {
	for _, t := range g.targets {
		if t.update.State != Healthy {
			g.sub.mark(t.key)
			g.w.stream(g.w.memberStream(t.key)).doubt(t.key, time.Now())
		}
	}
}

// judgePass is how long one pass may take: rules that cost much leave the rest to the
// next, so that an end of the wait is seen in between.
const judgePass = 2 * time.Second

// judge judges the targets that something has happened to, and says whether it came
// to the end of them.
func (g *gate) judge(now time.Time) (all bool) {
	all = true
	for key := range g.sub.take() {
		if time.Since(now) > judgePass {
			g.sub.mark(key)
			all = false
			continue
		}
		for _, t := range g.byKey[key] {
			v := g.w.judge(t, g.since, now)
			if v.State != Healthy {
				v.note(g.w.explain(t))
				v.blind(g.w.silence(t, now))
			}
			g.report(t, v, now)
			if v.crash != nil {
				g.w.logs.fetch(v.crash)
			}
		}
	}
	return all
}

// report stores a verdict and tells a change of it.
func (g *gate) report(t *tracked, v verdict, now time.Time) {
	u := g.w.update(t, v, now)
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

// result says whether the wait is over. All being healthy ends it as it is seen; any
// other verdict needs a judgement that is fresh: made of what was read since it was
// asked for.
func (g *gate) result(fresh bool, now time.Time) (done bool, err error) {
	done, err = g.verdict(now)
	if done && err == nil {
		return true, nil
	}
	if err := g.w.unauthorized(); err != nil {
		return true, err
	}
	if !done && g.timeout == 0 {
		g.asked = time.Time{} // what looked like a failure is none
		return false, nil
	}
	switch {
	case g.asked.IsZero():
		g.ask(now)
		return false, nil
	case fresh && done:
		return true, err
	case fresh:
		return true, g.notHealthy(g.timeout)
	case g.timeout > 0 && now.Sub(g.asked) > lastRead:
		return true, g.notKnown()
	}
	return false, nil
}

// verdict is the result by what is known.
func (g *gate) verdict(now time.Time) (done bool, err error) {
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
