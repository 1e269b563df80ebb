package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// frozen is a pass over an environment that git has new content for in a freeze: that
// is left alone and said, and what was applied last is what drift is measured by. ok is
// false where no freeze keeps anything.
func (out *Outcome) frozen(ctx context.Context, c *apply.Cluster, env *schema.Environment, standing *apply.Standing, opts Options, now time.Time) (of *Outcome, ok bool, err error) {
	f, until, frozen := env.Frozen(now)
	waiting := objectsOf(out.Changes, isDifference)
	if !frozen || standing.Rendered == out.Rendered || len(waiting) == 0 || held(out.Skipped) {
		return nil, false, nil
	}
	of = out
	applied, err := appliedLast(ctx, c, env, standing)
	if err != nil {
		return nil, true, err
	}
	if applied != nil && opts.Plan.Objects != nil {
		opts.Plan.Objects = slices.DeleteFunc(slices.Clone(opts.Plan.Objects), func(ref schema.Ref) bool { return !renders(applied, ref) })
	}
	if applied != nil && (opts.Plan.Objects == nil || len(opts.Plan.Objects) > 0) {
		opts.Planner, opts.Confirm = nil, nil
		if of, err = Pass(ctx, c, applied, opts); of == nil {
			return nil, true, err
		}
	}
	waiting = slices.DeleteFunc(waiting, func(ref schema.Ref) bool {
		return of != out && slices.ContainsFunc(of.Changes, func(c apply.Change) bool { return c.Ref == ref && isDifference(c) })
	})
	if len(waiting) > 0 {
		of.Skipped = append(of.Skipped, Skip{Reason: ReasonFrozen, Message: apply.Frozen(env.Name, f, until).Reason, Objects: waiting})
	}
	if !until.IsZero() && (of.again.IsZero() || until.Before(of.again)) {
		of.again = until
	}
	return of, true, err
}

// held reports whether nothing of an environment is touched anyway.
func held(skipped []Skip) bool {
	return slices.ContainsFunc(skipped, func(s Skip) bool { return s.Reason == ReasonHeld || s.Reason == ReasonLocked })
}

// appliedLast is the environment as it was applied last, nil where no record of that
// can be believed, or the record has no Secrets.
func appliedLast(ctx context.Context, c *apply.Cluster, env *schema.Environment, standing *apply.Standing) (*schema.Environment, error) {
	last, err := c.Revision(ctx, env.Name, env.Namespace, 0)
	if errors.Is(err, apply.ErrNoRevision) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !last.Authenticated || !last.Secrets || last.Rendered != standing.Rendered {
		return nil, nil
	}
	return last.Restored(env), nil
}

func renders(env *schema.Environment, ref schema.Ref) bool {
	for _, o := range env.Objects() {
		if schema.RefOf(o.Unstructured) == ref {
			return true
		}
	}
	return false
}
