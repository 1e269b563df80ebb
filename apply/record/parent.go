package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Annotations of the ApplySet parent: those of KEP-3659, and evenkeel's own.
const (
	annotationTooling    = "applyset.kubernetes.io/tooling"
	AnnotationKinds      = "applyset.kubernetes.io/contains-group-kinds"
	AnnotationNamespaces = "applyset.kubernetes.io/additional-namespaces"

	// AnnotationPlaces is where members are or may be: KIND:NAMESPACE,... by kind.
	AnnotationPlaces = "evenkeel.dev/places"
	// AnnotationRun names the run that wrote last: a plan whose parent has
	// another resourceVersion by the time the lock is held is out of date.
	AnnotationRun = "evenkeel.dev/run"
	// AnnotationRendered is the digest of the environment that was applied as a
	// whole, AnnotationRevision the number of the revision that holds it.
	AnnotationRendered = "evenkeel.dev/rendered"
	AnnotationRevision = "evenkeel.dev/revision"
	// AnnotationUnfinished names the run that began to write and has not recorded what
	// it did.
	AnnotationUnfinished = "evenkeel.dev/unfinished"
	// AnnotationHold is the rendered digest that was rolled back from.
	AnnotationHold = "evenkeel.dev/hold"
	// AnnotationUnconfirmed lists the places that the parent named without being
	// signed, so that they are not forgotten before somebody has decided about them.
	AnnotationUnconfirmed = "evenkeel.dev/unconfirmed"
	// AnnotationCanary records, by app, how far its canary is: for people, and for who
	// waits to hear that it may go on.
	AnnotationCanary = "evenkeel.dev/canary"
)

// Parent is the ConfigMap that stands for an environment in its cluster: which
// kinds and namespaces its members have, so that a later run knows where to
// look, even after this one was killed.
type Parent struct {
	client dynamic.ResourceInterface
	Env    *schema.Environment
	Live   *unstructured.Unstructured // nil: does not exist
}

// Parent gets an environment's parent, which need not exist. A ConfigMap of
// that name which is no parent, or another tool's, is refused, unless the environment has
// a key: tenants of its namespace must not stop it by taking a label away.
func (c *Store) Parent(ctx context.Context, env *schema.Environment) (*Parent, error) {
	p := &Parent{client: c.Dynamic.Resource(ConfigMaps()).Namespace(env.Namespace), Env: env}
	live, err := p.client.Get(ctx, schema.ParentName(env.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("applyset parent of environment %s: %w", env.Name, err)
	}
	p.Live = live
	tool, _, _ := strings.Cut(live.GetAnnotations()[annotationTooling], "/")
	if live.GetLabels()[schema.LabelID] == schema.ApplySetID(env.Name, env.Namespace) && tool == schema.Manager {
		return p, nil
	}
	signer := c.Signer(env.Name, env.Namespace)
	if _, err := signer.Newest(ctx); err != nil {
		return nil, err
	}
	if signer.HasKey() {
		return p, nil // the environment was applied, so the name is evenkeel's: somebody took its marks away
	}
	return nil, &hint.Refused{
		Reason: fmt.Sprintf("ConfigMap/%s/%s is not the applyset parent that evenkeel made", env.Namespace, live.GetName()),
		Hints: []string{
			"rename it, or give the environment another name",
			fmt.Sprintf("if somebody put it in the place of evenkeel's: kubectl delete configmap -n %s %s", env.Namespace, live.GetName()),
		},
	}
}

// ResourceVersion is that of the parent, or empty where it does not exist.
func (p *Parent) ResourceVersion() string {
	if p.Live == nil {
		return ""
	}
	return p.Live.GetResourceVersion()
}

// Annotation is that of the parent, or empty where either does not exist.
func (p *Parent) Annotation(name string) string {
	if p.Live == nil {
		return ""
	}
	return p.Live.GetAnnotations()[name]
}

// Write sets annotations of the parent; one with an empty value is removed,
// except those of the specification. It sends nothing where they stand so
// already, and carries the resourceVersion that was read, so that it fails
// where another run has written since.
func (p *Parent) Write(ctx context.Context, annotations map[string]string) error {
	desired := p.Live
	if desired == nil {
		desired = &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}}
		desired.SetName(schema.ParentName(p.Env.Name))
		desired.SetNamespace(p.Env.Namespace)
	} else {
		desired = desired.DeepCopy()
	}
	desired.SetLabels(merged(desired.GetLabels(), map[string]string{
		schema.LabelID:        schema.ApplySetID(p.Env.Name, p.Env.Namespace),
		schema.LabelManagedBy: schema.Manager,
	}))
	all := merged(desired.GetAnnotations(), annotations)
	for _, own := range []string{AnnotationRun, AnnotationUnfinished, AnnotationRendered, AnnotationRevision, AnnotationHold, annotationSignature, AnnotationUnconfirmed, AnnotationPaused, annotationScaled, annotationFights, annotationFightsBy, AnnotationCanary} {
		if all[own] == "" {
			delete(all, own)
		}
	}
	if p.Live != nil && maps.Equal(all, p.Live.GetAnnotations()) && maps.Equal(desired.GetLabels(), p.Live.GetLabels()) {
		return nil
	}
	desired.SetAnnotations(all)
	var written *unstructured.Unstructured
	var err error
	if p.Live == nil {
		written, err = p.client.Create(ctx, desired, metav1.CreateOptions{FieldManager: parentManager})
	} else {
		written, err = p.client.Update(ctx, desired, metav1.UpdateOptions{FieldManager: parentManager})
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		written, err = p.own(ctx, desired, err)
	}
	if _, refused := errors.AsType[*hint.Refused](err); refused {
		return err
	}
	if err != nil {
		return fmt.Errorf("applyset parent of environment %s: %w", p.Env.Name, err)
	}
	p.Live = written
	return nil
}

// own answers a conflict: a request whose answer was lost was sent again, and
// what stands there is what it wrote, or notes were set meanwhile. Anything else is
// another run's.
func (p *Parent) own(ctx context.Context, desired *unstructured.Unstructured, conflict error) (*unstructured.Unstructured, error) {
	wanted := desired.GetAnnotations()
	for range conflictTries {
		live, err := p.client.Get(ctx, desired.GetName(), metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if maps.Equal(live.GetAnnotations(), desired.GetAnnotations()) {
			return live, nil
		}
		if !p.onlyNoted(live, wanted) {
			return nil, &hint.Refused{
				Reason: fmt.Sprintf("environment %s was changed by another run meanwhile", p.Env.Name),
				Hints:  []string{"run the same command again: it goes on from what is there"},
			}
		}
		desired.SetAnnotations(withNotes(wanted, live.GetAnnotations()))
		desired.SetResourceVersion(live.GetResourceVersion())
		written, err := p.client.Update(ctx, desired, metav1.UpdateOptions{FieldManager: parentManager})
		if !apierrors.IsConflict(err) {
			return written, err
		}
	}
	return nil, conflict
}

// onlyNoted reports whether all that happened to the parent since it was read is
// that a note was set or removed, which waits for no lock, while what is wanted is
// about something else.
func (p *Parent) onlyNoted(live *unstructured.Unstructured, wanted map[string]string) bool {
	return p.Live != nil && p.Live.GetUID() == live.GetUID() &&
		maps.Equal(withNotes(wanted, p.Live.GetAnnotations()), wanted) &&
		maps.Equal(withNotes(live.GetAnnotations(), p.Live.GetAnnotations()), p.Live.GetAnnotations())
}

// parentManager is the field manager of the parent.
const parentManager = schema.Manager + "-applyset"

// merged is a with all of b set.
func merged(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// SignedBy reports whether what the parent says of its members was signed by who has the
// key.
func (p *Parent) SignedBy(ctx context.Context, by *Signer) (bool, error) {
	return by.Signed(ctx, p.Annotation(annotationSignature), signedParent,
		p.Annotation(AnnotationKinds), p.Annotation(AnnotationNamespaces), p.Annotation(AnnotationPlaces))
}
