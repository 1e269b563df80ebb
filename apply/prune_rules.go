package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// pruneRules decide about what an environment has in its cluster and does not render.
type pruneRules struct {
	cluster *Cluster
	env     *schema.Environment
	sets    []string                     // ids of ApplySets that are this environment's
	wanted  map[schema.ID]string         // what other environments of the cluster render
	allowed []string                     // PlanOptions.Prune
	in      map[string]string            // by namespace, an object that an environment renders in it
	of      map[kschema.GroupKind]string // by kind, an object that an environment renders of it
}

func newPruneRules(c *Cluster, env *schema.Environment, opts PlanOptions) pruneRules {
	r := pruneRules{cluster: c, env: env, sets: []string{schema.ApplySetID(env.Name, env.Namespace)}, wanted: map[schema.ID]string{}, allowed: opts.Prune, in: map[string]string{}, of: map[kschema.GroupKind]string{}}
	rendered := func(obj *schema.Object) {
		ref := schema.RefOf(obj.Unstructured)
		r.in[ref.Namespace], r.of[ref.GVK().GroupKind()] = ref.String(), ref.String()
	}
	if env.Was != "" {
		r.sets = append(r.sets, schema.ApplySetID(env.Was, env.Namespace))
	}
	for _, sibling := range opts.Siblings {
		for _, obj := range sibling.Objects() {
			r.wanted[schema.IDOf(obj.Unstructured)] = sibling.Name
			rendered(obj)
		}
	}
	for _, obj := range env.Objects() {
		rendered(obj)
	}
	return r
}

// decide says whether a candidate is deleted, kept, or none at all.
func (r pruneRules) decide(ctx context.Context, ch *Change) error {
	if !r.ours(ch.live) {
		ch.Action = CopiedLabel
		ch.Message = "bears the label, but evenkeel never applied it"
		if c := metav1.GetControllerOf(ch.live); c != nil {
			ch.Message = c.Kind + "/" + c.Name + " made it and copied the label"
		}
		return nil
	}
	if ch.live.GetDeletionTimestamp() != nil {
		ch.Action = Terminating
		ch.Message = "is being deleted" + finalizersOf(ch.live)
		return nil
	}
	reason, err := r.keeps(ctx, ch)
	switch {
	case err != nil:
		return err
	case reason != "":
		ch.Action = Kept
		ch.Message = reason
	case kinds.IsCRD(ch.live):
		ch.Message, err = r.goesWith(ctx, ch.live)
	}
	return err
}

// ours reports whether a live object is a member: it bears the label, and evenkeel
// applied it. Either alone can be a copy, whatever is recorded. What lost its
// label is asked about the apply alone; see findLost.
func (r pruneRules) ours(live *unstructured.Unstructured) bool {
	set := live.GetLabels()[schema.LabelPartOf]
	return managed.IsApplied(live) && (set == "" || slices.Contains(r.sets, set))
}

// keeps returns why a candidate is not deleted, or "".
func (r pruneRules) keeps(ctx context.Context, ch *Change) (string, error) {
	allowed := slices.Contains(r.allowed, ch.Kind+"/"+ch.Name)
	switch {
	case r.wanted[ch.ID()] != "":
		return "environment " + r.wanted[ch.ID()] + " renders it now", nil
	case ch.live.GetAnnotations()[schema.AnnotationPrune] == "disabled" && !ofCanary(ch):
		return schema.AnnotationPrune + " is disabled on it", nil
	case kinds.KeptByWord(ch.live) != "" && !allowed && !ofCanary(ch): // what a canary has for itself copies the word
		return "it says " + kinds.KeptByWord(ch.live) + "; --prune " + ch.Kind + "/" + ch.Name + " deletes it all the same", nil
	case metav1.GetControllerOf(ch.live) != nil && !allowed:
		c := metav1.GetControllerOf(ch.live)
		return c.Kind + "/" + c.Name + " is its controller by now; --prune " + ch.Kind + "/" + ch.Name + " deletes it all the same", nil
	case kinds.IsNamespace(ch.live) && kinds.IsSystemNamespace(ch.Name):
		return "it is a system namespace", nil
	case kinds.IsNamespace(ch.live) && ch.Name == r.env.Namespace:
		return "it holds the records of the environment", nil
	case kinds.IsNamespace(ch.live) && r.in[ch.Name] != "":
		return "it holds " + r.in[ch.Name] + ", which is rendered", nil
	case kinds.IsCRD(ch.live) && r.of[kinds.Defines(ch.live)] != "":
		return "it defines " + r.of[kinds.Defines(ch.live)] + ", which is rendered", nil
	case kinds.Irreplaceable(ch.live) && !allowed:
		return "a " + ch.Kind + " is pruned only by name: --prune " + ch.Kind + "/" + ch.Name, nil
	case kinds.IsNamespace(ch.live):
		return r.heldByOthers(ctx, ch.Name)
	}
	return "", nil
}

// heldByOthers looks for anything in a namespace that is not this environment's.
func (r pruneRules) heldByOthers(ctx context.Context, namespace string) (string, error) {
	_, lists, err := r.cluster.Discovery.ServerGroupsAndResourcesWithContext(ctx)
	if err != nil {
		return "not all of what it holds can be read: " + err.Error(), nil
	}
	for _, list := range lists {
		for _, kind := range list.APIResources {
			if !kind.Namespaced || strings.Contains(kind.Name, "/") || !slices.Contains(kind.Verbs, "list") {
				continue
			}
			gvk := schema.Ref{APIVersion: list.GroupVersion, Kind: kind.Kind}.GVK()
			if kinds.Transient(gvk.GroupKind()) {
				continue
			}
			m, err := r.cluster.Mapping(ctx, gvk)
			if meta.IsNoMatchError(err) {
				continue
			}
			if err != nil {
				return "", err
			}
			other := &firstOther{rules: r}
			err = r.cluster.List(ctx, m, namespace, "", other)
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				continue // its definition is gone since discovery, and it with that
			}
			if apierrors.IsForbidden(err) {
				return "not all of what it holds can be read: " + err.Error(), nil
			}
			if err != nil {
				return "", err
			}
			if other.found != "" {
				return "it holds " + other.found + ", which is not of this environment", nil
			}
		}
	}
	return "", nil
}

// goesWith says which objects that are not of this environment the server deletes with a
// definition.
func (r pruneRules) goesWith(ctx context.Context, crd *unstructured.Unstructured) (string, error) {
	m, err := r.cluster.Mapping(ctx, kinds.Defines(crd).WithVersion(""))
	if meta.IsNoMatchError(err) {
		return "", nil // it is not served, and what it has cannot be seen
	}
	if err != nil {
		return "", err
	}
	all := &others{rules: r}
	err = r.cluster.List(ctx, m, "", "", all)
	switch {
	case apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err):
		return "", nil
	case apierrors.IsForbidden(err):
		return "all objects of its kind go with it, and which there are cannot be read: " + err.Error(), nil
	case err != nil:
		return "", err
	case len(all.found) == 0:
		return "", nil
	}
	const most = 3
	slices.Sort(all.found)
	text := strings.Join(all.found[:min(most, len(all.found))], ", ")
	if more := len(all.found) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return "with it go objects that are not of this environment: " + text, nil
}

// others are the objects of a kind that are not of this environment.
type others struct {
	rules pruneRules
	found []string
}

func (o *others) Restart() { o.found = nil }

func (o *others) Visit(live *unstructured.Unstructured) {
	if live.GetLabels()[schema.LabelPartOf] == "" || !o.rules.ours(live) {
		o.found = append(o.found, schema.RefOf(live).String())
	}
}

type firstOther struct {
	rules pruneRules
	found string
}

func (f *firstOther) Restart() { f.found = "" }

func (f *firstOther) Visit(live *unstructured.Unstructured) {
	if f.found != "" || metav1.GetControllerOf(live) != nil || kinds.IsFurniture(live) {
		return
	}
	if live.GetLabels()[schema.LabelPartOf] == "" || !f.rules.ours(live) {
		f.found = schema.RefOf(live).String()
	}
}
