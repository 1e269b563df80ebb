package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// served is what a cluster serves beside Kubernetes' own kinds, as far as its
// environments say.
type served struct {
	defined crd.Set
	groups  map[string]bool // those that are declared, or whose server is registered
}

// checkDefinitions: somebody brings the definition of each custom resource, else the
// cluster does not know the kind. A kind is named once, at its first object.
func checkDefinitions(worlds []*world) {
	clusters := map[string]*served{}
	for _, w := range worlds {
		if len(w.broken) > 0 {
			return // what is not there may be in one of those
		}
		if clusters[w.env.Cluster] == nil {
			clusters[w.env.Cluster] = &served{crd.Set{}, map[string]bool{}}
		}
		clusters[w.env.Cluster].add(w)
	}
	for _, w := range worlds {
		if w.mistaken {
			continue
		}
		named := map[string]bool{}
		for _, o := range w.objects {
			kind := o.Kind + "." + group(o.Object)
			at := clusters[w.env.Cluster]
			if _, silenced := o.unit.Silence[RuleDefinition]; silenced || named[kind] || at.defines(o) {
				continue
			}
			near := misspelt(group(o.Object), o.Kind)
			switch {
			case !at.has(o):
				w.reportUndefined(o, at)
			case near != "": // others bring the group, and this is none of its kinds
				f := o.at(RuleDefinition, "kind")
				f.Warning = true
				f.Message = fmt.Sprintf("no kind of the group %s that is known here", group(o.Object))
				f.Found, f.DidYouMean = quote(o.Kind), near
				w.report(f)
			default:
				continue
			}
			named[kind] = true
		}
	}
}

func (s *served) add(w *world) {
	for _, obj := range w.env.Definitions {
		s.defined.Add(obj)
	}
	for _, o := range w.byKind[crd.Kind] {
		s.defined.Add(o.Content)
	}
	for _, o := range w.byKind["APIService"] {
		s.groups[tree.Text(tree.At(o.Content, "spec", "group"))] = true
	}
	for name := range tree.Map(w.env.External["apiGroups"]) {
		s.groups[name] = true
	}
	for _, u := range w.env.Units {
		if u.Type == "traefik" {
			s.groups["traefik.io"] = true // without them rule provider says what is missing
		}
	}
	if w.env.Site["gateway"] != nil {
		s.groups["gateway.networking.k8s.io"] = true
	}
}

func (s *served) has(o located) bool { return s.defines(o) || s.groups[group(o.Object)] }

// defines says whether the definition of a kind is at hand, or Kubernetes has it.
func (s *served) defines(o located) bool {
	_, defined := s.defined.Find(tree.Text(o.Content["apiVersion"]), o.Kind)
	return defined || typed.OwnGroup(group(o.Object))
}

func (w *world) reportUndefined(o located, s *served) {
	g := group(o.Object)
	groups := slices.Collect(maps.Keys(s.groups))
	for _, spec := range s.defined {
		groups = append(groups, tree.Text(spec["group"]))
	}
	slices.Sort(groups)
	f := o.at(RuleDefinition, "apiVersion")
	if o.unit.App && g == "monitoring.coreos.com" && o.unit.at("metrics") != nil {
		f = Finding{Rule: RuleDefinition, Unit: o.unit.Name, Path: typed.Path{"metrics"}}
	}
	f.Warning = true
	f.Message = fmt.Sprintf("no environment of this cluster brings the definition of %s (%s)", o.Kind, g)
	f.DidYouMean = typed.Closest(g, slices.Compact(groups))
	if near := cmp.Or(typed.Closest(o.Kind, s.defined.Kinds(g)), misspelt(g, o.Kind)); near != "" {
		f.Path, f.DidYouMean = typed.Path{"kind"}, near
	}
	f.Hint = fmt.Sprintf("if others do, declare it: external: apiGroups: %q: {}; or lay the definition into crds/", g)
	w.report(f)
}
