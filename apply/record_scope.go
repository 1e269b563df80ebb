package apply

import (
	"maps"
	"slices"
	"strings"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// kindIn is a kind and a namespace that members have or may have; a kind without
// namespaces has an empty one.
type kindIn struct {
	gk        kschema.GroupKind
	namespace string
}

// scope is what a parent says of its members. The annotations of KEP-3659 name
// kinds and namespaces apart. Who looked for each kind in each of the namespaces
// would need rights that the environment has no use for, such as to read the
// Secrets of kube-system, so the places themselves are kept beside them.
type scope map[kindIn]bool

// scopeOf is the scope of an environment's objects.
func scopeOf(env *schema.Environment) scope {
	s := scope{}
	for i := range env.Units {
		for _, o := range env.Units[i].Objects {
			s[kindIn{o.GroupVersionKind().GroupKind(), o.GetNamespace()}] = true
		}
	}
	return s
}

// scope is what the parent says: its places, or where another tool has written
// kinds or namespaces since, each of the kinds in each of the namespaces.
func (p *parent) scope() scope {
	s := scope{}
	if p.live == nil {
		return s
	}
	s = parsePlaces(p.annotation(annotationPlaces))
	if kinds, namespaces := s.kep(p.env.Namespace); kinds == p.annotation(annotationKinds) && namespaces == p.annotation(annotationNamespaces) {
		return s
	}
	s = scope{}
	for _, kind := range split(p.annotation(annotationKinds)) {
		for _, ns := range append(split(p.annotation(annotationNamespaces)), p.env.Namespace, "") {
			s[kindIn{kschema.ParseGroupKind(kind), ns}] = true
		}
	}
	return s
}

// with is s and also all that the parent says today.
func (s scope) with(p *parent) scope {
	out := maps.Clone(s)
	maps.Copy(out, p.scope())
	return out
}

// within reports whether the parent names all of s.
func (s scope) within(p *parent) bool {
	return p.live != nil && len(s.with(p)) == len(p.scope())
}

// kep are the two annotations of KEP-3659: sorted, and the parent's own namespace
// left out.
func (s scope) kep(home string) (kinds, namespaces string) {
	var gks, others []string
	for at := range s {
		gks = append(gks, at.gk.String())
		if at.namespace != "" && at.namespace != home {
			others = append(others, at.namespace)
		}
	}
	return strings.Join(sortedSet(gks), ","), strings.Join(sortedSet(others), ",")
}

// annotations are the scope as a parent carries it.
func (s scope) annotations(home string) map[string]string {
	kinds, namespaces := s.kep(home)
	return map[string]string{
		annotationTooling:    schema.Manager + "/v1",
		annotationKinds:      kinds,
		annotationNamespaces: namespaces,
		annotationPlaces:     s.places(),
	}
}

// places are the scope as text; see parsePlaces.
func (s scope) places() string {
	byKind := map[string][]string{}
	for at := range s {
		byKind[at.gk.String()] = append(byKind[at.gk.String()], at.namespace)
	}
	var places []string
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		places = append(places, kind+":"+strings.Join(sortedSet(byKind[kind]), ","))
	}
	return strings.Join(places, ";")
}

// parsePlaces reads KIND:NAMESPACE,...;...
func parsePlaces(text string) scope {
	s := scope{}
	for entry := range strings.SplitSeq(text, ";") {
		kind, namespaces, named := strings.Cut(entry, ":")
		if !named {
			continue
		}
		for ns := range strings.SplitSeq(namespaces, ",") {
			s[kindIn{kschema.ParseGroupKind(kind), ns}] = true
		}
	}
	return s
}

// name is how a place is named to PlanOptions.LookIn: by its namespace, or by its
// kind where that has none.
func (at kindIn) name() string {
	if at.namespace == "" {
		return at.gk.String()
	}
	return at.namespace
}

// isName tells what may be a namespace, or a kind, from what somebody wrote in their place.
func isName(name string) bool { return name != "" && !strings.ContainsFunc(name, notOfName) }

func notOfName(r rune) bool {
	return !strings.ContainsRune("-.0123456789", r) && ('a' > r || r > 'z') && ('A' > r || r > 'Z')
}

func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return strings.TrimSpace(s) == "" })
}

func sortedSet(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
