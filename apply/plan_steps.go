package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Plan says what an apply of env would do. It writes nothing. All errors of all
// objects come together (errors.Join), each naming unit and object. A cluster that
// env is not pinned to is *Refused, and so is a caller without the rights, all of
// which are listed.
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
		p.readContext, p.flatten, p.readLive, p.askServer, p.findLost, p.findCandidates,
	} {
		if err := step(ctx); err != nil {
			return nil, p.lacking(ctx, err)
		}
	}
	p.collect()
	p.plan.key = p.signer.known()
	p.plan.Requests = c.Requests().Since(before)
	p.plan.Durations.Plan = time.Since(started).Seconds()
	return p.plan, nil
}

// replan plans one object of an earlier plan anew, from a fresh read, for a write
// that met a conflict of versions.
func (c *Cluster) replan(ctx context.Context, env *schema.Environment, opts PlanOptions, earlier *Change) (*Change, error) {
	opts.Units = []string{earlier.Unit}
	p := newPlanner(c, env, opts)
	p.plan.state = newState()
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

// planner gathers a plan. Its steps run one after the other; inside a step,
// requests run side by side and mu guards what they share.
type planner struct {
	cluster *Cluster
	env     *schema.Environment
	opts    PlanOptions
	plan    *Plan
	mask    mask.Masker

	signer *signer // of the records
	former *signer // of those under the environment's former name

	rules    pruneRules
	siblings map[string]string // environment by set id
	targets  map[string]bool   // what autoscalers scale
	scaled   map[string]Scaled

	desired map[schema.ID]*item // of all units
	items   []*item             // of the selected ones, in order

	mu         sync.Mutex
	strangers  []stranger // live bearers of the label that nothing desires
	newSpaces  map[string]string
	changedCRD map[kschema.GroupKind]string
	// definitions are the CRDs of the environment as they are live.
	definitions map[kschema.GroupKind]definition
	// homeless says that the environment's Namespace is of no selected unit,
	// and is not there.
	homeless bool
	pruned   []Change
}

func newPlanner(c *Cluster, env *schema.Environment, opts PlanOptions) *planner {
	if opts.Concurrency <= 0 {
		opts.Concurrency = 32
	}
	p := &planner{
		cluster: c, env: env, opts: opts,
		plan:       &Plan{Environment: env.Name, options: opts, Changes: []Change{}, Summary: map[Action]int{}, generations: map[schema.Ref]int64{}},
		rules:      newPruneRules(c, env, opts),
		siblings:   map[string]string{},
		targets:    kinds.Autoscaled(env),
		desired:    map[schema.ID]*item{},
		newSpaces:  map[string]string{},
		changedCRD: map[kschema.GroupKind]string{},

		definitions: map[kschema.GroupKind]definition{},
	}
	c.known.Learn(env)
	p.signer, p.former = c.signer(env.Name, env.Namespace), c.signer(env.Was, env.Namespace)
	p.signer.lenient, p.former.lenient = !opts.ToApply, !opts.ToApply
	p.plan.places, p.plan.unconfirmed = scope{}, scope{}
	for _, sibling := range opts.Siblings {
		p.siblings[schema.ApplySetID(sibling.Name, sibling.Namespace)] = sibling.Name
	}
	return p
}

// readContext reads what is known of cluster and environment, all at once.
func (p *planner) readContext(ctx context.Context) error {
	p.cluster.Mapper.ResetWithContext(ctx)
	whole := ctx
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		p.plan.Cluster, err = p.cluster.identityOf(ctx, p.env)
		return err
	})
	group.Go(func() (err error) {
		p.plan.state, err = p.cluster.loadState(ctx, p.env, p.signer)
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
	if err := p.judgeRecords(whole); err != nil {
		return err
	}
	if p.opts.Recorded == nil {
		p.opts.Recorded = p.plan.state.members
		p.plan.options = p.opts
	}
	p.plan.Cluster.Context = p.env.Cluster.Context
	p.plan.Warnings = append(p.plan.Warnings, p.plan.state.warnings...)
	p.mask = mask.New(p.plan.state.key, p.allMarks(), p.cluster.known)
	p.plan.Incomplete = p.ofMembers(p.plan.Incomplete)
	p.scaled = scaledIn(p.plan.parent, time.Now())
	var err error
	p.plan.Rendered, err = mask.Digest(p.env, p.plan.state.key)
	return err
}

// readParent reads the ApplySet parent of an environment; nil is none.
func (p *planner) readParent(ctx context.Context, env *schema.Environment) (*unstructured.Unstructured, error) {
	parent, err := readParent(ctx, p.cluster.Dynamic.Resource(configMapResource()).Namespace(env.Namespace), env)
	if err != nil {
		return nil, err
	}
	return parent.live, nil
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

// home is the environment's own Namespace, where the environment renders it.
func (p *planner) home() *item {
	return p.desired[schema.Ref{APIVersion: "v1", Kind: "Namespace", Name: p.env.Namespace}.ID()]
}

// lookHome finds that the environment's Namespace is not there where the selected
// units have no object in it: the lock and the parent are in it all the same.
func (p *planner) lookHome(ctx context.Context) error {
	home := p.home()
	if p.homeless || p.plan.parent != nil || home == nil || p.selected(home.unit) {
		return nil
	}
	_, err := p.cluster.Dynamic.Resource(kube.Namespaces()).Get(ctx, p.env.Namespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	home.mapping, err = p.cluster.Mapping(ctx, home.ref.GVK())
	p.homeless = err == nil
	return err
}

// needsHome answers a server that does not find the environment's Namespace,
// which is of no selected unit: the plan makes it first, as any first apply does.
func (p *planner) needsHome(ctx context.Context, it *item, err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) || it.ref.Namespace != p.env.Namespace {
		return false
	}
	home, details := p.home(), status.Status().Details
	if home == nil || p.selected(home.unit) || details == nil || details.Kind != "namespaces" {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if home.mapping == nil {
		home.mapping, err = p.cluster.Mapping(ctx, home.ref.GVK())
		p.homeless = err == nil
	}
	return p.homeless
}

// askAll asks about objects side by side and returns the errors of all of them.
func (p *planner) askAll(ctx context.Context, items []*item) error {
	errs := make([]error, len(items))
	group := errgroup.Group{}
	group.SetLimit(p.opts.Concurrency)
	for i, it := range items {
		group.Go(func() error {
			if err := p.ask(ctx, it); err != nil {
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
		p.plan.Warnings = append(p.plan.Warnings, m.warning())
	}
	for _, w := range p.cluster.Warnings() {
		p.plan.Warnings = append(p.plan.Warnings, p.cluster.known.Text(w))
	}
}

// forget drops what is known of objects that are no longer desired.
func (p *planner) forget() {
	desired := map[string]bool{}
	for _, it := range p.desired {
		desired[it.ref.String()] = true
	}
	gone := func(name, _ string) bool { return !desired[name] }
	maps.DeleteFunc(p.plan.state.receipts, gone)
	maps.DeleteFunc(p.plan.state.finished, gone)
}

// allMarks are the fields whose values are not shown: those that the environment
// marks, and those that it marked when it was applied last, as what is no longer
// desired is shown too.
func (p *planner) allMarks() map[schema.ID][]mask.Mark {
	all := mask.Marks(p.env)
	for _, m := range p.plan.state.marked {
		all[m.ref.ID()] = mask.Merge(all[m.ref.ID()], m.marks)
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
