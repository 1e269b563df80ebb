package apply

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// planner gathers a plan. Its steps run one after the other; inside a step,
// requests run side by side and mu guards what they share.
type planner struct {
	cluster *Cluster
	env     *schema.Environment
	opts    PlanOptions
	plan    *Plan
	mask    mask.Masker

	signer *record.Signer // of the records
	former *record.Signer // of those under the environment's former name

	room     room
	rules    pruneRules
	siblings map[string]string // environment by set id
	targets  map[string]bool   // what autoscalers scale
	scaled   map[string]record.Scaled

	desired map[schema.ID]*item // of all units
	items   []*item             // of the selected ones, in order

	mu         sync.Mutex
	strangers  []stranger // live bearers of the label that nothing desires
	newSpaces  map[string]string
	changedCRD map[kschema.GroupKind]string
	unread     map[kschema.GroupKind]string // why the objects of a kind cannot be read
	// definitions are the CRDs of the environment as they are live.
	definitions map[kschema.GroupKind]definition
	// homeless says that the environment's Namespace is of no selected unit,
	// and is not there.
	homeless bool
	pruned   []Change

	// last is what was applied last, read once and only where it is needed.
	last struct {
		once     sync.Once
		revision *record.Revision
		err      error
	}
	// earlier are the objects of the revisions that are recorded, the same.
	earlier struct {
		once    sync.Once
		objects map[schema.ID][]*unstructured.Unstructured
		err     error
	}
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
		unread:     map[kschema.GroupKind]string{},

		definitions: map[kschema.GroupKind]definition{},
	}
	c.known.Learn(env)
	p.room.open(env)
	p.signer, p.former = c.Signer(env.Name, env.Namespace), c.Signer(env.Was, env.Namespace)
	p.signer.Lenient, p.former.Lenient = !opts.ToApply, !opts.ToApply
	p.plan.places, p.plan.unconfirmed = record.Scope{}, record.Scope{}
	for _, sibling := range opts.Siblings {
		p.siblings[schema.ApplySetID(sibling.Name, sibling.Namespace)] = sibling.Name
	}
	return p
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
	group := contain.NewGroup()
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

func (p *planner) selected(unit string) bool { return among(p.opts.Units, unit) }

// item is one desired object on its way through a plan.
type item struct {
	unit  string
	order int // position in the environment
	obj   *schema.Object
	ref   schema.Ref

	mapping *meta.RESTMapping // nil where the server does not know the kind yet
	// otherVersion is how the server serves the kind today, where the desired
	// version arrives with a CRD of this plan.
	otherVersion *meta.RESTMapping
	// waits names the CRD of this plan that brings the kind or the version.
	waits string

	live    *unstructured.Unstructured // nil until found
	change  *Change                    // nil as long as the server was not asked
	foreign *Change
	removes bool // the server was asked about what goes beside the apply; see planner.removes
	// certified is the generation of an unchanged object, see Plan.generations.
	generation int64
}

func (it *item) wrap(err error) error {
	return fmt.Errorf("unit %s: %s: %w", it.unit, it.ref, err)
}

// newChange is a change of an item, checked by the server unless said otherwise.
func (p *planner) newChange(it *item, action Action) *Change {
	return &Change{
		Action: action, Unit: it.unit, Ref: it.ref, Verified: true,
		desired: it.obj, live: it.live, mask: p.mask,
	}
}

// warn adds a warning, on one line whatever a cluster has put into it.
func (p *planner) warn(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan.Warnings = append(p.plan.Warnings, plain.Line(text, math.MaxInt))
}
