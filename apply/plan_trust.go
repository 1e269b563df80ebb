package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// trustRecords decides how far the records are believed: where the plan looks
// beside the places of git, and which objects and receipts it knows of. The
// namespaces of git are looked at in any case; others, and kinds without
// namespaces, only where a signed parent names them, or the caller does.
func (p *planner) trustRecords(ctx context.Context) error {
	p.plan.places, p.plan.unconfirmed = record.Scope{}, record.Scope{}
	git := p.git()
	namespaces := map[string]bool{p.env.Namespace: true}
	for at := range git {
		namespaces[at.Namespace] = true
	}
	near := func(at record.Place) bool { return git[at] || at.Namespace != "" && namespaces[at.Namespace] }
	for _, from := range []struct {
		live *unstructured.Unstructured
		by   *record.Signer
	}{{p.plan.parent, p.signer}, {p.plan.former, p.former}} {
		named := &record.Parent{Env: p.env, Live: from.live}
		told, doubtful := named.Scope(), record.Scope{}
		maps.Copy(told, record.ParsePlaces(named.Annotation(record.AnnotationUnconfirmed)))
		for at := range told {
			if !git[at] {
				at = p.normal(ctx, at)
			}
			if near(at) {
				p.plan.places[at] = true
			} else {
				doubtful[at] = true
			}
		}
		if len(doubtful) == 0 {
			continue
		}
		signed, err := named.SignedBy(ctx, from.by)
		if err != nil {
			return err
		}
		for at := range doubtful {
			if signed && named.Scope()[at] || slices.Contains(p.opts.LookIn, at.Name()) {
				p.plan.places[at] = true
			} else {
				p.plan.unconfirmed[at] = true
			}
		}
	}
	p.warnUnconfirmed()
	return p.trustState(ctx)
}

// trustState drops the members of a state that is not signed, where they name
// anything that git does not.
func (p *planner) trustState(ctx context.Context) error {
	rendered := map[schema.ID]bool{}
	for _, o := range p.env.Objects() {
		rendered[schema.IDOf(o.Unstructured)] = true
	}
	if !slices.ContainsFunc(p.plan.state.Members, func(ref schema.Ref) bool { return !rendered[ref.ID()] }) {
		return nil
	}
	return p.plan.state.Verify(ctx, p.signer)
}

// git is where git has objects of the environment.
func (p *planner) git() record.Scope {
	if p.opts.rendered != nil {
		return record.ScopeOf(p.opts.rendered)
	}
	return record.ScopeOf(p.env)
}

// normal is a place as it is looked at: a kind without namespaces is looked at in
// the whole cluster, whatever namespace stands beside it.
func (p *planner) normal(ctx context.Context, at record.Place) record.Place {
	m, err := p.cluster.Mapping(ctx, kschema.GroupVersionKind{Group: at.Kind.Group, Kind: at.Kind.Kind})
	if err != nil {
		return at // it is not served, and not looked at
	}
	switch namespaced := m.Scope.Name() == meta.RESTScopeNameNamespace; {
	case !namespaced:
		at.Namespace = ""
	case at.Namespace == "":
		at.Namespace = p.env.Namespace
	}
	return at
}

// unconfirmedNames are what LookIn could name.
func (p *Plan) unconfirmedNames() []string {
	var names []string
	for at := range p.unconfirmed {
		names = append(names, at.Name())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *planner) warnUnconfirmed() {
	names := p.plan.unconfirmedNames()
	if len(names) == 0 {
		return
	}
	const shown = 10
	all := len(names)
	names = slices.DeleteFunc(names, func(name string) bool { return !record.IsName(name) })
	names = names[:min(len(names), shown)]
	text := strings.Join(names, ", ")
	switch more := all - len(names); {
	case len(names) == 0:
		text = fmt.Sprintf("%d places with names that nothing has", more)
	case more > 0:
		text += fmt.Sprintf(" and %d more", more)
	}
	p.warn(fmt.Sprintf("not looked at, as neither git nor a signed record names it: %s; if the environment had objects there: --look-in NAME", text))
}
