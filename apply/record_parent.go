package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Annotations of the ApplySet parent: those of KEP-3659, and evenkeel's own.
const (
	annotationTooling = "applyset.kubernetes.io/tooling"

	// annotationPlaces is where members are or may be: KIND:NAMESPACE,... by kind.
	annotationPlaces = "evenkeel.dev/places"
	// annotationRun names the run that wrote last: a plan whose parent has
	// another resourceVersion by the time the lock is held is out of date.
	annotationRun = "evenkeel.dev/run"
	// annotationRendered is the digest of the environment that was applied as a
	// whole, annotationRevision the number of the revision that holds it.
	annotationRendered = "evenkeel.dev/rendered"
	annotationRevision = "evenkeel.dev/revision"
	// annotationHold is the rendered digest that was rolled back from.
	annotationHold = "evenkeel.dev/hold"
)

// parent is the ConfigMap that stands for an environment in its cluster: which
// kinds and namespaces its members have, so that a later run knows where to
// look, even after this one was killed.
type parent struct {
	client dynamic.ResourceInterface
	env    *schema.Environment
	live   *unstructured.Unstructured // nil: does not exist
}

// readParent gets an environment's parent, which need not exist. A ConfigMap of
// that name which is no parent, or another tool's, is refused.
func readParent(ctx context.Context, client dynamic.ResourceInterface, env *schema.Environment) (*parent, error) {
	p := &parent{client: client, env: env}
	live, err := client.Get(ctx, schema.ParentName(env.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("applyset parent of environment %s: %w", env.Name, err)
	}
	p.live = live
	tool, _, _ := strings.Cut(live.GetAnnotations()[annotationTooling], "/")
	if id := schema.ApplySetID(env.Name, env.Namespace); live.GetLabels()[schema.LabelID] != id || tool != schema.Manager {
		return nil, &Refused{
			Reason: fmt.Sprintf("ConfigMap/%s/%s is not the applyset parent that evenkeel made", env.Namespace, live.GetName()),
			Hints:  []string{"rename it, or give the environment another name"},
		}
	}
	return p, nil
}

// resourceVersion is that of the parent, or empty where it does not exist.
func (p *parent) resourceVersion() string {
	if p.live == nil {
		return ""
	}
	return p.live.GetResourceVersion()
}

func (p *parent) annotation(name string) string {
	if p.live == nil {
		return ""
	}
	return p.live.GetAnnotations()[name]
}

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

// narrow makes the parent say what is there now: what the environment renders,
// and what was found and not deleted. A run that looked at some units only, or
// could not see everything, shrinks nothing.
func (r *run) narrow(ctx context.Context, revision Revision) error {
	s := scopeOf(r.env)
	if len(r.opts.Units) > 0 || len(r.plan.Incomplete) > 0 {
		maps.Copy(s, r.plan.places)
	}
	for _, change := range r.changes(Kept, Deleted, CopiedLabel, Terminating) {
		if !r.journal.has(change.Ref) {
			s[kindIn{change.GVK().GroupKind(), change.Namespace}] = true
		}
	}
	annotations, err := r.scopeAnnotations(ctx, s)
	if err != nil {
		return err
	}
	annotations[annotationRevision] = strconv.Itoa(revision.Number)
	annotations[annotationHold] = r.opts.Hold
	if len(r.opts.Units) == 0 {
		annotations[annotationRendered] = r.plan.Rendered
	}
	r.journal.tell(Event{Phase: PhaseNarrow})
	ctx, cancel := r.request(ctx)
	defer cancel()
	return r.parent.write(ctx, annotations)
}

// write sets annotations of the parent; one with an empty value is removed,
// except those of the specification. It sends nothing where they stand so
// already, and carries the resourceVersion that was read, so that it fails
// where another run has written since.
func (p *parent) write(ctx context.Context, annotations map[string]string) error {
	desired := p.live
	if desired == nil {
		desired = &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}}
		desired.SetName(schema.ParentName(p.env.Name))
		desired.SetNamespace(p.env.Namespace)
		desired.SetLabels(map[string]string{
			schema.LabelID:        schema.ApplySetID(p.env.Name, p.env.Namespace),
			schema.LabelManagedBy: schema.Manager,
		})
	} else {
		desired = desired.DeepCopy()
	}
	all := merged(desired.GetAnnotations(), annotations)
	for _, own := range []string{annotationRun, annotationRendered, annotationRevision, annotationHold, annotationSignature, annotationUnconfirmed, annotationPaused, annotationScaled, annotationFights} {
		if all[own] == "" {
			delete(all, own)
		}
	}
	if p.live != nil && maps.Equal(all, p.live.GetAnnotations()) {
		return nil
	}
	desired.SetAnnotations(all)
	var written *unstructured.Unstructured
	var err error
	if p.live == nil {
		written, err = p.client.Create(ctx, desired, metav1.CreateOptions{FieldManager: parentManager})
	} else {
		written, err = p.client.Update(ctx, desired, metav1.UpdateOptions{FieldManager: parentManager})
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		written, err = p.own(ctx, desired, err)
	}
	if err != nil {
		return fmt.Errorf("applyset parent of environment %s: %w", p.env.Name, err)
	}
	p.live = written
	return nil
}

// own answers a conflict: a request whose answer was lost was sent again, and
// what stands there is what it wrote. Anything else is another run's.
func (p *parent) own(ctx context.Context, desired *unstructured.Unstructured, conflict error) (*unstructured.Unstructured, error) {
	live, err := p.client.Get(ctx, desired.GetName(), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if maps.Equal(live.GetAnnotations(), desired.GetAnnotations()) {
		return live, nil
	}
	if !p.onlyNoted(live, desired) {
		return nil, fmt.Errorf("another run wrote it meanwhile: %w", conflict)
	}
	desired.SetAnnotations(withNotes(desired.GetAnnotations(), live.GetAnnotations()))
	desired.SetResourceVersion(live.GetResourceVersion())
	return p.client.Update(ctx, desired, metav1.UpdateOptions{FieldManager: parentManager})
}

// onlyNoted reports whether all that happened to the parent since it was read is
// that a note was set or removed, which waits for no lock, while desired is about
// something else.
func (p *parent) onlyNoted(live, desired *unstructured.Unstructured) bool {
	return p.live != nil && p.live.GetUID() == live.GetUID() &&
		maps.Equal(withNotes(desired.GetAnnotations(), p.live.GetAnnotations()), desired.GetAnnotations()) &&
		maps.Equal(withNotes(live.GetAnnotations(), p.live.GetAnnotations()), p.live.GetAnnotations())
}

// parentManager is the field manager of the parent.
const parentManager = schema.Manager + "-applyset"

func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return strings.TrimSpace(s) == "" })
}

func sortedSet(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// merged is a with all of b set.
func merged(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}
