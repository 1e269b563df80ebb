package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// watch looks at the checks of a canary that comes up, until ctx ends or one fails, which
// is *CanaryFailed: a pod that is ready gets calls before it counts as available. None of
// them is passed here, nor missed: that is for the hold.
func (k *Canaries) watch(ctx context.Context) error {
	checks := newChecker(k)
	for {
		if err := checks.fails(ctx); err != nil {
			return err
		}
		if pause.For(ctx, max(k.Unit.Canary.Every, time.Second)) != nil {
			return nil
		}
	}
}

// Waits reports whether a canary that runs waits for somebody, and has checks: a daemon
// looks at them where no apply does.
func (k *Canaries) Waits() bool {
	return k != nil && k.Begun && !k.State.Last && k.Unit.Canary.Steps[k.State.Step].Manual && len(k.Unit.Canary.Checks) > 0
}

// Fails looks once at the checks of a canary that waits: *CanaryFailed where one fails.
func (k *Canaries) Fails(ctx context.Context) error {
	if note, err := k.note(ctx); err != nil || note.Since.IsZero() {
		return nil //nolint:nilerr // another run goes on with it
	}
	if err := newChecker(k).fails(ctx); err != nil {
		return fmt.Errorf("unit %s: %w", k.State.App, err)
	}
	return nil
}

// canaryGate is the gate of a run with a canary: its checks are looked at from when it is
// waited for until all units are through. One that fails ends the wait for all of them.
type canaryGate struct {
	app     string
	checks  func(context.Context) error
	ctx     context.Context // of the waits
	stop    context.CancelCauseFunc
	begin   sync.Once
	looking sync.WaitGroup
	failed  error // once looking is over
}

// newCanaryGate is nil where no checks are to be looked at.
func (r *run) newCanaryGate(ctx context.Context) *canaryGate {
	if r.opts.Canary == nil || r.opts.Checks == nil {
		return nil
	}
	g := &canaryGate{app: r.opts.Canary.App, checks: r.opts.Checks}
	g.ctx, g.stop = context.WithCancelCause(ctx)
	return g
}

// over is a gate that looks at the checks as well.
func (g *canaryGate) over(gate gateFunc) gateFunc {
	if g == nil {
		return gate
	}
	return func(ctx context.Context, unit *schema.Unit) error {
		if unit.Name == g.app {
			g.begin.Do(func() { g.looking.Go(g.look) })
		}
		err := gate(g.ctx, unit)
		if unhealthy := (*health.NotHealthy)(nil); err == nil || ctx.Err() != nil || g.ctx.Err() == nil || errors.As(err, &unhealthy) {
			return err
		}
		return errSkipped
	}
}

func (g *canaryGate) look() {
	if g.failed = contain.Call(func() error { return g.checks(g.ctx) }); g.failed != nil {
		g.stop(g.failed)
	}
}

// end is the check that failed, with what the gate saw of the canary that was not healthy.
func (g *canaryGate) end(r *run) error {
	if g == nil {
		return nil
	}
	g.stop(nil)
	g.looking.Wait()
	if g.failed == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var seen strings.Builder
	for _, h := range r.health {
		if h.Unit == g.app && h.State != health.Healthy {
			fmt.Fprintf(&seen, "\n  %s: %s (%s, rule %s)", h.Ref, cmp.Or(h.Message, "no cause known"), h.State, h.Rule)
		}
	}
	return fmt.Errorf("unit %s: %w%s", g.app, g.failed, seen.String())
}
