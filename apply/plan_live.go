package apply

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/paging"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// manyNamespaces is the number of namespaces above which a kind is listed across
// the whole cluster, where the rights allow it.
const manyNamespaces = 4

// stranger is a live object that bears the label and is not desired.
type stranger struct {
	live    *unstructured.Unstructured
	mapping *meta.RESTMapping
}

// readLive lists what bears the environment's label: the kinds and namespaces of
// the desired objects, and those that the ApplySet parent remembers, so that what
// is no longer rendered is found too. Each object is assessed as it comes in.
func (p *planner) readLive(ctx context.Context) error {
	if p.opts.Objects != nil {
		return p.readNamed(ctx)
	}
	selector := schema.LabelPartOf + "=" + p.rules.sets[0]
	if len(p.rules.sets) > 1 {
		selector = schema.LabelPartOf + " in (" + strings.Join(p.rules.sets, ",") + ")"
	}
	definitions, others := p.reads(ctx)
	if err := p.readAll(ctx, definitions, selector); err != nil {
		return err
	}
	return p.readAll(ctx, others, selector)
}

// readAll lists side by side and returns the errors of all LISTs: a missing right
// seldom comes alone.
func (p *planner) readAll(ctx context.Context, reads []*Reading, selector string) error {
	errs := make([]error, len(reads))
	group := contain.NewGroup()
	group.SetLimit(p.opts.Concurrency)
	for i, r := range reads {
		group.Go(func() error {
			errs[i] = p.read(ctx, r, selector)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// Reading is one kind, in one version, and the namespaces to look at; none means
// a kind without namespaces.
type Reading struct {
	Mapping    *meta.RESTMapping
	Namespaces []string
}

// reads says what to list. CRDs come first: when one changed decides how far the
// certificate of its custom resources can be trusted.
func (p *planner) reads(ctx context.Context) (definitions, others []*Reading) {
	byKind := map[kschema.GroupVersionKind]*Reading{}
	var reads []*Reading
	add := func(m *meta.RESTMapping, namespaces ...string) {
		r := byKind[m.GroupVersionKind]
		if r == nil {
			r = &Reading{Mapping: m}
			byKind[m.GroupVersionKind] = r
			reads = append(reads, r)
		}
		for _, ns := range namespaces {
			if ns != "" && !slices.Contains(r.Namespaces, ns) {
				r.Namespaces = append(r.Namespaces, ns)
			}
		}
	}
	for _, it := range p.items {
		switch {
		case it.mapping != nil:
			add(it.mapping, it.ref.Namespace)
		case it.otherVersion != nil:
			add(it.otherVersion, it.ref.Namespace)
		}
	}
	mappings := map[kschema.GroupKind]*meta.RESTMapping{}
	for _, at := range p.remembered() {
		m, known := mappings[at.Kind]
		if !known {
			m = p.rememberedMapping(ctx, at.Kind, reads)
			mappings[at.Kind] = m
		}
		switch {
		case m == nil:
		case m.Scope.Name() != meta.RESTScopeNameNamespace:
			add(m)
		case at.Namespace != "":
			add(m, at.Namespace)
		}
	}
	p.plan.reads = reads
	for _, r := range reads {
		if r.Mapping.GroupVersionKind.GroupKind() == kinds.Definition() {
			definitions = append(definitions, r)
		} else {
			others = append(others, r)
		}
	}
	return definitions, others
}

// rememberedMapping prefers a version that is listed anyway. A kind that is gone
// from the server has no objects left; one whose group does not answer is in
// Plan.Incomplete.
func (p *planner) rememberedMapping(ctx context.Context, gk kschema.GroupKind, reads []*Reading) *meta.RESTMapping {
	for _, r := range reads {
		if r.Mapping.GroupVersionKind.GroupKind() == gk {
			return r.Mapping
		}
	}
	m, err := p.cluster.Mapping(ctx, kschema.GroupVersionKind{Group: gk.Group, Kind: gk.Kind})
	if err != nil {
		return nil
	}
	return m
}

// remembered is what the parent says, and the one under the environment's former
// name, as far as they are believed, in order.
func (p *planner) remembered() []record.Place {
	return slices.SortedFunc(maps.Keys(p.plan.places), func(a, b record.Place) int {
		return cmp.Or(cmp.Compare(a.Kind.String(), b.Kind.String()), cmp.Compare(a.Namespace, b.Namespace))
	})
}

// ofMembers are those of the API groups in which the environment has or may have
// objects. The parent named each before its first object was written, so in the
// others nothing of ours is overlooked: an aggregated API server that is down for
// days would else keep every environment from pruning. Where there is no parent,
// nobody knows.
func (p *planner) ofMembers(groups []string) []string {
	places := p.remembered()
	if len(places) == 0 {
		return groups
	}
	ours := map[string]bool{}
	for at := range record.ScopeOf(p.env) {
		ours[at.Kind.Group] = true
	}
	for _, at := range places {
		ours[at.Kind.Group] = true
	}
	for _, ref := range p.opts.Recorded {
		ours[ref.GVK().Group] = true
	}
	return slices.DeleteFunc(groups, func(group string) bool { return !ours[group] })
}

func (p *planner) read(ctx context.Context, r *Reading, selector string) error {
	if len(r.Namespaces) == 0 {
		return p.readOne(ctx, r.Mapping, "", selector)
	}
	if len(r.Namespaces) > manyNamespaces {
		err := p.readOne(ctx, r.Mapping, "", selector)
		if !apierrors.IsForbidden(err) {
			return err
		}
	}
	errs := make([]error, len(r.Namespaces))
	group := contain.NewGroup()
	group.SetLimit(p.opts.Concurrency)
	for i, ns := range r.Namespaces {
		group.Go(func() error {
			errs[i] = p.readOne(ctx, r.Mapping, ns, selector)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return errors.Join(errs...)
}

func (p *planner) readOne(ctx context.Context, m *meta.RESTMapping, namespace, selector string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	sink := &sink{planner: p, mapping: m}
	sink.full = func() { stop(p.room.full(m.Resource.GroupResource().String(), namespace)) }
	err := p.cluster.List(ctx, m, namespace, selector, sink)
	if full, ok := errors.AsType[*hint.Error](context.Cause(ctx)); ok {
		return full
	}
	if isUnconverted(m, err) {
		sink.Restart()
		p.leaveUnread(m, err)
		return nil
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strangers = append(p.strangers, sink.strangers...)
	return nil
}

// sink receives the objects of one LIST. Every desired object is in one LIST only,
// so that no lock is needed for it.
type sink struct {
	planner   *planner
	mapping   *meta.RESTMapping
	seen      []*item
	strangers []stranger
	taken     int64  // of the room of the plan
	full      func() // there is no more of it
}

func (s *sink) Visit(live *unstructured.Unstructured) {
	it := s.planner.desired[schema.IDOf(live)]
	if it == nil && !s.planner.rules.ours(live) {
		live = headOf(live)
	}
	weight := paging.Weight(live.Object)
	s.taken += weight
	if !s.planner.room.take(weight) {
		s.full()
		return
	}
	switch {
	case it == nil:
		s.strangers = append(s.strangers, stranger{live: live, mapping: s.mapping})
	case it.mapping == nil && it.otherVersion != nil:
		it.live = live
		s.seen = append(s.seen, it)
	case it.mapping == nil || it.mapping.GroupVersionKind != s.mapping.GroupVersionKind:
		// Of a unit that is not selected, or listed in another version too.
	default:
		if kinds.IsCRD(live) {
			s.planner.noteSchema(live)
		}
		s.planner.assess(it, live)
		s.seen = append(s.seen, it)
	}
}

func (s *sink) Restart() {
	for _, it := range s.seen {
		it.live, it.change, it.foreign, it.generation = nil, nil, nil, 0
	}
	s.planner.room.give(s.taken)
	s.seen, s.strangers, s.taken = nil, nil, 0
}
