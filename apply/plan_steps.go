package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Plan says what an apply of env would do. It writes nothing. All errors of all
// objects come together (errors.Join), each naming unit and object. A cluster that
// env is not pinned to is *Refused, and so is a caller without the rights, all of
// which are listed. A context that is cancelled gives *Interrupted.
//
// What is live is read with one LIST per kind and namespace; what these show to
// be unchanged beyond doubt is not asked about again, and everything else is
// dry-run by the server.
func (c *Cluster) Plan(ctx context.Context, env *schema.Environment, opts PlanOptions) (*Plan, error) {
	if err := unsealed(env); err != nil {
		return nil, err
	}
	started, before := time.Now(), c.Requests()
	p := newPlanner(c, env, opts)
	for _, step := range []func(context.Context) error{
		p.readContext, p.flatten, p.readLive, p.askServer, p.findLost, p.findCandidates, p.findHeld,
	} {
		if err := step(ctx); err != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, &Interrupted{Cause: context.Cause(ctx)}
			}
			return nil, p.lacking(ctx, err)
		}
	}
	p.collect()
	p.warnOfJobs()
	p.warnOfWebhooks()
	p.plan.key = p.signer.Known()
	p.plan.Requests = c.Requests().Since(before)
	p.plan.Durations.Plan = time.Since(started).Seconds()
	return p.plan, nil
}

// replan plans one object of an earlier plan anew, from a fresh read, for a write
// that met a conflict of versions.
func (c *Cluster) replan(ctx context.Context, env *schema.Environment, opts PlanOptions, earlier *Change) (*Change, error) {
	opts.Units = []string{earlier.Unit}
	p := newPlanner(c, env, opts)
	p.plan.state = record.NewState()
	p.mask = earlier.mask
	if err := p.flatten(ctx); err != nil {
		return nil, err
	}
	it := p.desired[earlier.ID()]
	if it == nil || it.mapping == nil {
		return nil, fmt.Errorf("unit %s: %s: no longer planned", earlier.Unit, earlier.Ref)
	}
	it.obj = earlier.desired // what the plan leaves alone stays so
	live, err := c.Get(ctx, it.mapping, it.ref.Namespace, it.ref.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, it.wrap(err)
	}
	if err == nil {
		p.assess(it, live)
	}
	if it.change == nil {
		if err := p.ask(ctx, it); err != nil {
			return nil, it.wrap(err)
		}
	}
	it.change.finish()
	return it.change, nil
}

// readContext reads what is known of cluster and environment, all at once.
func (p *planner) readContext(ctx context.Context) error {
	p.cluster.Mapper.ResetWithContext(ctx)
	whole := ctx
	group, ctx := contain.WithContext(ctx)
	group.Go(func() (err error) {
		p.plan.Cluster, err = p.cluster.IdentityOf(ctx, p.env)
		return err
	})
	group.Go(func() (err error) {
		p.plan.state, err = p.cluster.LoadState(ctx, p.env, p.signer)
		return err
	})
	group.Go(func() (err error) {
		p.plan.Incomplete, err = p.cluster.Unanswered(ctx)
		return err
	})
	group.Go(func() (err error) {
		p.plan.parent, err = p.readParent(ctx, p.env)
		return err
	})
	group.Go(func() (err error) {
		p.plan.missing, err = p.cluster.missingExternal(ctx, p.env)
		return err
	})
	if p.env.Was != "" {
		group.Go(func() (err error) {
			was := *p.env
			was.Name = p.env.Was
			p.plan.former, err = p.readParent(ctx, &was)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := p.trustRecords(whole); err != nil {
		return err
	}
	if p.opts.Recorded == nil {
		p.opts.Recorded = p.plan.state.Members
		p.plan.options = p.opts
	}
	p.plan.Cluster.Context = p.env.Cluster.Context
	for _, w := range p.plan.state.Warnings {
		p.warn(w)
	}
	p.mask = mask.New(p.plan.state.Key, p.allMarks(), p.cluster.known)
	p.plan.Incomplete = p.ofMembers(p.plan.Incomplete)
	p.scaled = record.ScaledIn(p.plan.parent, time.Now())
	var err error
	p.plan.Rendered, err = mask.Digest(p.env, p.plan.state.Key)
	return err
}

// askServer dry-runs what is not proven unchanged: first Namespaces and CRDs,
// because whether they are there decides what can be asked about the rest.
func (p *planner) askServer(ctx context.Context) error {
	var first, rest []*item
	for _, it := range p.items {
		switch {
		case it.change != nil:
		case kinds.IsNamespace(it.obj.Unstructured) || kinds.IsCRD(it.obj.Unstructured):
			first = append(first, it)
		default:
			rest = append(rest, it)
		}
	}
	if err := errors.Join(p.askAll(ctx, first), p.askAll(ctx, rest)); err != nil {
		return err
	}
	if err := p.lookHome(ctx); err != nil || !p.homeless {
		return err
	}
	home := p.home()
	p.items = append(p.items, home)
	return p.askAll(ctx, []*item{home})
}

// collect puts the changes into the order of the environment, what is pruned
// behind it, and counts.
func (p *planner) collect() {
	slices.SortFunc(p.items, func(a, b *item) int { return cmp.Compare(a.order, b.order) })
	for _, it := range p.items {
		p.plan.Summary[it.change.Action]++
		if it.generation != 0 {
			p.plan.generations[it.ref] = it.generation
		}
		if it.change.Action != Unchanged {
			it.change.finish()
			p.plan.Changes = append(p.plan.Changes, *it.change)
		}
		if it.foreign != nil {
			p.plan.Summary[Foreign]++
			it.foreign.finish()
			p.plan.Changes = append(p.plan.Changes, *it.foreign)
		}
	}
	p.forget()
	slices.SortFunc(p.pruned, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, c := range p.pruned {
		c.finish()
		p.plan.Summary[c.Action]++
		p.plan.Changes = append(p.plan.Changes, c)
	}
	for _, m := range p.plan.missing {
		p.warn(m.warning())
	}
	for _, w := range p.cluster.Warnings() {
		p.warn(p.cluster.known.Text(w))
	}
}

// forget drops what is known of objects that are no longer desired.
func (p *planner) forget() {
	desired := map[string]bool{}
	for _, it := range p.desired {
		desired[it.ref.String()] = true
	}
	gone := func(name, _ string) bool { return !desired[name] }
	maps.DeleteFunc(p.plan.state.Receipts, gone)
	maps.DeleteFunc(p.plan.state.Finished, gone)
}

// allMarks are the fields whose values are not shown: those that the environment
// marks, and those that it marked when it was applied last, as what is no longer
// desired is shown too.
func (p *planner) allMarks() map[schema.ID][]mask.Mark {
	all := mask.Marks(p.env)
	for _, m := range p.plan.state.Marked {
		all[m.Ref.ID()] = mask.Merge(all[m.Ref.ID()], m.Marks)
	}
	return all
}

// unsealed refuses what must not be sent to a cluster: its values are encrypted.
func unsealed(env *schema.Environment) error {
	for unit, obj := range env.Objects() {
		if obj.Sealed {
			return fmt.Errorf("environment %s: unit %s: %s: its values are still encrypted", env.Name, unit, schema.RefOf(obj.Unstructured))
		}
	}
	return nil
}

// readParent reads the ApplySet parent of an environment; nil is none.
func (p *planner) readParent(ctx context.Context, env *schema.Environment) (*unstructured.Unstructured, error) {
	parent, err := p.cluster.Parent(ctx, env)
	if err != nil {
		return nil, err
	}
	return parent.Live, nil
}
