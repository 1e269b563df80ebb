package apply

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// named reports whether a plan that is limited to some objects is about this one.
func (p *planner) named(ref schema.Ref) bool {
	return p.opts.Objects == nil || slices.Contains(p.opts.Objects, ref)
}

// readNamed reads the objects that the plan is limited to one by one: a LIST of
// all members would cost by the size of the environment.
func (p *planner) readNamed(ctx context.Context) error {
	errs := make([]error, len(p.items))
	group := contain.NewGroup()
	group.SetLimit(p.opts.Concurrency)
	for i, it := range p.items {
		if it.mapping == nil {
			continue
		}
		group.Go(func() error {
			live, err := p.cluster.Get(ctx, it.mapping, it.ref.Namespace, it.ref.Name)
			switch {
			case err == nil:
				p.assess(it, live)
			case isUnconverted(it.mapping, err):
				p.leaveUnread(it.mapping, err)
			case !apierrors.IsNotFound(err):
				errs[i] = it.wrap(err)
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// Only is the plan with those of its changes that keep says, as if it had been
// made for their objects alone.
func (p *Plan) Only(keep func(Change) bool) *Plan {
	only := *p
	only.Changes, only.Summary = nil, map[Action]int{}
	only.options.Objects = []schema.Ref{}
	for _, c := range p.Changes {
		if keep(c) {
			only.Changes = append(only.Changes, c)
			only.Summary[c.Action]++
			only.options.Objects = append(only.options.Objects, c.Ref)
		}
	}
	return &only
}
