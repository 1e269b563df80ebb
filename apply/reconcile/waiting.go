package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// waits says why new content is not for now: a freeze, and until when, or an app of
// which an apply tries the new version first. It is nil where there is none, or where
// nothing is touched anyway.
func (out *Outcome) waits(env *schema.Environment, standing *record.Standing, k *apply.Canaries, now time.Time) (why *Skip, until time.Time) {
	objects := objectsOf(out.Changes, isDifference)
	if standing.Rendered == out.Rendered || len(objects) == 0 || untouched(out.Skipped) {
		return nil, until
	}
	if f, until, frozen := env.Frozen(now); frozen {
		return &Skip{Reason: ReasonFrozen, Message: apply.Frozen(env.Name, f, until).Reason, Objects: objects}, until
	}
	if k != nil && !k.Begun {
		return &Skip{Reason: ReasonCanary, Unit: k.State.App, Message: "a canary begins with: evenkeel apply " + env.Name, Objects: objects}, until
	}
	return nil, until
}

// meanwhile is a pass over an environment whose new content waits: that is left alone
// and said, and what was applied last is what drift is measured by.
func (out *Outcome) meanwhile(ctx context.Context, c *apply.Cluster, env *schema.Environment, standing *record.Standing, opts Options, why Skip, until time.Time) (*Outcome, error) {
	of := out
	applied, err := appliedLast(ctx, c, env, standing)
	if err != nil {
		return nil, err
	}
	if applied != nil && opts.Plan.Objects != nil {
		opts.Plan.Objects = slices.DeleteFunc(slices.Clone(opts.Plan.Objects), func(ref schema.Ref) bool { return !renders(applied, ref) })
	}
	if applied != nil && (opts.Plan.Objects == nil || len(opts.Plan.Objects) > 0) {
		opts.Confirm = nil
		if of, err = Pass(ctx, c, applied, opts); of == nil {
			return nil, err
		}
		why.Objects = slices.DeleteFunc(why.Objects, func(ref schema.Ref) bool {
			return slices.ContainsFunc(of.Changes, func(c apply.Change) bool { return c.Ref == ref && isDifference(c) })
		})
	}
	if len(why.Objects) > 0 {
		of.Skipped = append(of.Skipped, why)
	}
	if !until.IsZero() && (of.again.IsZero() || until.Before(of.again)) {
		of.again = until
	}
	return of, err
}

// untouched reports whether nothing of an environment is touched anyway.
func untouched(skipped []Skip) bool {
	return slices.ContainsFunc(skipped, func(s Skip) bool { return s.Reason == ReasonHeld || s.Reason == ReasonLocked })
}

// appliedLast is the environment as it was applied last, nil where no record of that
// can be believed, or the record has no Secrets.
func appliedLast(ctx context.Context, c *apply.Cluster, env *schema.Environment, standing *record.Standing) (*schema.Environment, error) {
	last, err := c.Revision(ctx, env.Name, env.Namespace, 0)
	if errors.Is(err, record.ErrNoRevision) {
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
