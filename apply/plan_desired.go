package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// flatten makes items of the selected units and maps their kinds; p.desired gets
// every object of the environment, selected or not.
func (p *planner) flatten(ctx context.Context) error {
	crds, known := p.plannedCRDs(), map[kschema.GroupVersionKind]kindMapping{}
	var errs []error
	order := 0
	for i := range p.env.Units {
		unit := &p.env.Units[i]
		for j := range unit.Objects {
			order++
			it := &item{unit: unit.Name, order: order, obj: &unit.Objects[j]}
			it.ref = schema.RefOf(it.obj.Unstructured)
			if twin, twice := p.desired[it.ref.ID()]; twice {
				errs = append(errs, fmt.Errorf("unit %s: %s: also rendered by unit %s", it.unit, it.ref, twin.unit))
				continue
			}
			p.desired[it.ref.ID()] = it
			if !p.selected(unit.Name) || !p.named(it.ref) {
				continue
			}
			if err := p.mapKind(ctx, it, crds, known); err != nil {
				if misfit, ok := errors.AsType[*misfit](err); ok {
					p.misplaced(it, misfit)
				} else {
					errs = append(errs, it.wrap(err))
					continue
				}
			}
			p.leaveScaled(it)
			it.leaveInjected()
			p.rerun(it)
			p.items = append(p.items, it)
		}
	}
	for _, name := range p.opts.Units {
		if p.env.Unit(name) == nil {
			errs = append(errs, fmt.Errorf("environment %s has no unit %q", p.env.Name, name))
		}
	}
	return errors.Join(errs...)
}

// leaveInjected leaves what an annotation asks a controller to fill in.
func (it *item) leaveInjected() {
	if pointers := kinds.Injected(it.obj.Unstructured); len(pointers) > 0 {
		left := *it.obj
		left.Ignore = slices.Concat(left.Ignore, pointers)
		it.obj = &left
	}
}

// kindMapping is the answer of the mapper, which takes its time, for one kind.
type kindMapping struct {
	mapping *meta.RESTMapping
	err     error
}

// mapKind finds the resource of an object, or the CRD of the plan that will bring
// it.
func (p *planner) mapKind(ctx context.Context, it *item, crds map[kschema.GroupKind]plannedCRD, kinds map[kschema.GroupVersionKind]kindMapping) error {
	gvk := it.obj.GroupVersionKind()
	known, ok := kinds[gvk]
	if !ok {
		known.mapping, known.err = p.cluster.Mapping(ctx, gvk)
		kinds[gvk] = known
	}
	m, err := known.mapping, known.err
	crd, planned := crds[gvk.GroupKind()]
	switch {
	case err == nil:
		it.mapping = m
		return checkScope(it.ref, m.Scope.Name() == meta.RESTScopeNameNamespace)
	case !meta.IsNoMatchError(err):
		return err
	case slices.Contains(p.plan.Incomplete, gvk.Group):
		return fmt.Errorf("the server does not answer for API group %s", gvk.Group)
	case !planned:
		return &misfit{
			why:  fmt.Sprintf("the server has no %s of %s, and no unit brings its CRD", gvk.Kind, gvk.GroupVersion()),
			hint: "put the CRD into crds of the environment, or install what brings it first",
		}
	case !p.selected(crd.unit):
		return fmt.Errorf("the server has no %s of %s yet: its CRD comes with unit %s, which is not among those asked for", gvk.Kind, gvk.GroupVersion(), crd.unit)
	}
	it.waits = crd.name
	if other, err := p.cluster.Mapping(ctx, kschema.GroupVersionKind{Group: gvk.Group, Kind: gvk.Kind}); err == nil {
		it.otherVersion = other
	}
	return checkScope(it.ref, crd.namespaced)
}

func checkScope(ref schema.Ref, namespaced bool) error {
	switch {
	case namespaced && ref.Namespace == "":
		return &misfit{why: "has no namespace, and its kind needs one", hint: "put metadata.namespace into the object in git"}
	case !namespaced && ref.Namespace != "":
		return &misfit{why: "has a namespace, and its kind is not namespaced", hint: "take metadata.namespace out of the object in git"}
	}
	return nil
}

// misfit says why an object cannot even be asked about: the server does not serve
// it, or not there.
type misfit struct{ why, hint string }

func (e *misfit) Error() string { return e.why }

// misplaced plans an object that does not fit the server. Should it be live where it
// belongs, that is no stranger's.
func (p *planner) misplaced(it *item, why *misfit) {
	it.mapping, it.otherVersion, it.waits = nil, nil, ""
	p.reject(it, why.why, why.hint)
	ref := it.ref
	if ref.Namespace == "" {
		ref.Namespace = p.env.Namespace
	} else {
		ref.Namespace = ""
	}
	if p.desired[ref.ID()] == nil {
		p.desired[ref.ID()] = it
	}
}

type plannedCRD struct {
	unit       string
	name       string
	namespaced bool
}

// plannedCRDs are the kinds that CRDs of the units define, selected or not.
func (p *planner) plannedCRDs() map[kschema.GroupKind]plannedCRD {
	crds := map[kschema.GroupKind]plannedCRD{}
	for unit, obj := range p.env.Objects() {
		if !kinds.IsCRD(obj.Unstructured) {
			continue
		}
		scope, _, _ := unstructured.NestedString(obj.Object, "spec", "scope")
		crds[kinds.Defines(obj.Unstructured)] = plannedCRD{
			unit:       unit,
			name:       schema.RefOf(obj.Unstructured).String(),
			namespaced: scope == "Namespaced",
		}
	}
	return crds
}
