package record

import (
	"context"
	"maps"
	"slices"
	"strings"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Place is a kind and a namespace that members have or may have; a kind without
// namespaces has an empty one.
type Place struct {
	Kind      kschema.GroupKind
	Namespace string
}

// Scope is what a parent says of its members. The annotations of KEP-3659 name
// kinds and namespaces apart. Who looked for each kind in each of the namespaces
// would need rights that the environment has no use for, such as to read the
// Secrets of kube-system, so the places themselves are kept beside them.
type Scope map[Place]bool

// ScopeOf is the scope of an environment's objects.
func ScopeOf(env *schema.Environment) Scope {
	s := Scope{}
	for i := range env.Units {
		for _, o := range env.Units[i].Objects {
			s[Place{o.GroupVersionKind().GroupKind(), o.GetNamespace()}] = true
		}
	}
	return s
}

// Scope is what the parent says: its places, or where another tool has written
// kinds or namespaces since, each of the kinds in each of the namespaces.
func (p *Parent) Scope() Scope {
	s := Scope{}
	if p.Live == nil {
		return s
	}
	s = ParsePlaces(p.Annotation(AnnotationPlaces))
	if kinds, namespaces := s.kep(p.Env.Namespace); kinds == p.Annotation(AnnotationKinds) && namespaces == p.Annotation(AnnotationNamespaces) {
		return s
	}
	s = Scope{}
	for _, kind := range split(p.Annotation(AnnotationKinds)) {
		for _, ns := range append(split(p.Annotation(AnnotationNamespaces)), p.Env.Namespace, "") {
			s[Place{kschema.ParseGroupKind(kind), ns}] = true
		}
	}
	return s
}

// With is s and also all that the parent says today.
func (s Scope) With(p *Parent) Scope {
	out := maps.Clone(s)
	maps.Copy(out, p.Scope())
	return out
}

// Within reports whether the parent names all of s.
func (s Scope) Within(p *Parent) bool {
	return p.Live != nil && len(s.With(p)) == len(p.Scope())
}

// kep are the two annotations of KEP-3659: sorted, and the parent's own namespace
// left out.
func (s Scope) kep(home string) (kinds, namespaces string) {
	var gks, others []string
	for at := range s {
		gks = append(gks, at.Kind.String())
		if at.Namespace != "" && at.Namespace != home {
			others = append(others, at.Namespace)
		}
	}
	return strings.Join(sortedSet(gks), ","), strings.Join(sortedSet(others), ",")
}

// annotations are the scope as a parent carries it.
func (s Scope) annotations(home string) map[string]string {
	kinds, namespaces := s.kep(home)
	return map[string]string{
		annotationTooling:    schema.Manager + "/v1",
		AnnotationKinds:      kinds,
		AnnotationNamespaces: namespaces,
		AnnotationPlaces:     s.Places(),
	}
}

// Signed is the scope as a parent of the namespace home carries it, with a signature.
func (s Scope) Signed(ctx context.Context, home string, by *Signer) (map[string]string, error) {
	annotations := s.annotations(home)
	signature, err := by.Sign(ctx, signedParent, annotations[AnnotationKinds], annotations[AnnotationNamespaces], annotations[AnnotationPlaces])
	annotations[annotationSignature] = signature
	return annotations, err
}

// Places are the scope as text; see ParsePlaces.
func (s Scope) Places() string {
	byKind := map[string][]string{}
	for at := range s {
		byKind[at.Kind.String()] = append(byKind[at.Kind.String()], at.Namespace)
	}
	var places []string
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		places = append(places, kind+":"+strings.Join(sortedSet(byKind[kind]), ","))
	}
	return strings.Join(places, ";")
}

// ParsePlaces reads KIND:NAMESPACE,...;...
func ParsePlaces(text string) Scope {
	s := Scope{}
	for entry := range strings.SplitSeq(text, ";") {
		kind, namespaces, named := strings.Cut(entry, ":")
		if !named {
			continue
		}
		for ns := range strings.SplitSeq(namespaces, ",") {
			s[Place{kschema.ParseGroupKind(kind), ns}] = true
		}
	}
	return s
}

// Name is how a place is named to PlanOptions.LookIn: by its namespace, or by its
// kind where that has none.
func (at Place) Name() string {
	if at.Namespace == "" {
		return at.Kind.String()
	}
	return at.Namespace
}

// IsName tells what may be a namespace, or a kind, from what somebody wrote in their place.
func IsName(name string) bool { return name != "" && !strings.ContainsFunc(name, notOfName) }

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
