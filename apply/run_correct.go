package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Correct writes back what drifted from the content that was applied last: the
// changes of plan, which deletes nothing. It takes the lock and passes the guards
// as Apply does, waits, unless told not to, for the health of the units that it
// wrote to, and records no revision, because the content is no other one. A unit
// is not waited for before another is written.
func (c *Cluster) Correct(ctx context.Context, env *schema.Environment, plan *Plan, opts ApplyOptions) (*Report, error) {
	// What a protected environment always waits for is the health of new content.
	wait := !opts.NoWait
	opts.NoWait, opts.NoPrune = false, true
	r := newRun(c, env, plan, opts)
	err := r.correct(ctx, wait)
	if err != nil && ctx.Err() != nil {
		err = r.interrupted(ctx, err)
	}
	return r.finish(), err
}

func (r *run) correct(ctx context.Context, wait bool) (err error) {
	if err := r.guard(ctx); err != nil {
		return err
	}
	if err := r.take(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.lock.Release(ctx)) }()
	if err := r.current(ctx); err != nil {
		return err
	}
	if r.parent.Annotation(record.AnnotationRendered) != r.plan.Rendered {
		return &hint.Refused{
			Reason: fmt.Sprintf("environment %s was applied with other content since the plan was made", r.env.Name),
			Hints:  []string{"plan again"},
		}
	}
	if err := r.foundations(ctx); err != nil {
		return err
	}
	return r.restore(ctx, wait)
}

// restore writes the units that have changes, in their order, and then waits for
// them side by side. One that fails does not keep the others.
func (r *run) restore(ctx context.Context, wait bool) error {
	changes := map[string][]*Change{}
	for _, change := range r.writing() {
		changes[change.Unit] = append(changes[change.Unit], change)
	}
	var errs []error
	var written []*schema.Unit
	for i := range r.env.Units {
		unit := &r.env.Units[i]
		if len(changes[unit.Name]) == 0 {
			continue
		}
		var failed error
		for _, stage := range stages(unit, changes[unit.Name]) {
			for _, wave := range waves(stage) {
				if failed == nil {
					failed = r.writeAll(ctx, wave)
				}
			}
		}
		if failed != nil {
			errs = append(errs, fmt.Errorf("unit %s: %w", unit.Name, failed))
		}
		if failed == nil {
			written = append(written, unit)
		}
	}
	if wait && ctx.Err() == nil {
		errs = append(errs, r.gates(ctx, written)...)
	}
	return errors.Join(errs...)
}

// gates waits for units side by side.
func (r *run) gates(ctx context.Context, units []*schema.Unit) []error {
	gate, closeGate := r.openGate(ctx)
	defer closeGate()
	errs := make([]error, len(units))
	var wg sync.WaitGroup
	for i, unit := range units {
		wg.Go(func() {
			if err := contain.Call(func() error { return gate(ctx, unit) }); err != nil {
				errs[i] = fmt.Errorf("unit %s: %w", unit.Name, err)
			}
		})
	}
	wg.Wait()
	return errs
}
