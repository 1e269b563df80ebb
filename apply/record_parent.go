package apply

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
	// annotationUnfinished names the run that began to write and has not recorded what
	// it did.
	annotationUnfinished = "evenkeel.dev/unfinished"
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
// that name which is no parent, or another tool's, is refused, unless the environment has
// a key: tenants of its namespace must not stop it by taking a label away.
func (c *Cluster) readParent(ctx context.Context, env *schema.Environment) (*parent, error) {
	p := &parent{client: c.Dynamic.Resource(configMapResource()).Namespace(env.Namespace), env: env}
	live, err := p.client.Get(ctx, schema.ParentName(env.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("applyset parent of environment %s: %w", env.Name, err)
	}
	p.live = live
	tool, _, _ := strings.Cut(live.GetAnnotations()[annotationTooling], "/")
	if live.GetLabels()[schema.LabelID] == schema.ApplySetID(env.Name, env.Namespace) && tool == schema.Manager {
		return p, nil
	}
	signer := c.signer(env.Name, env.Namespace)
	if _, err := signer.newest(ctx); err != nil {
		return nil, err
	}
	if signer.hasKey() {
		return p, nil // the environment was applied, so the name is evenkeel's: somebody took its marks away
	}
	return nil, &Refused{
		Reason: fmt.Sprintf("ConfigMap/%s/%s is not the applyset parent that evenkeel made", env.Namespace, live.GetName()),
		Hints: []string{
			"rename it, or give the environment another name",
			fmt.Sprintf("if somebody put it in the place of evenkeel's: kubectl delete configmap -n %s %s", env.Namespace, live.GetName()),
		},
	}
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
	} else {
		desired = desired.DeepCopy()
	}
	desired.SetLabels(merged(desired.GetLabels(), map[string]string{
		schema.LabelID:        schema.ApplySetID(p.env.Name, p.env.Namespace),
		schema.LabelManagedBy: schema.Manager,
	}))
	all := merged(desired.GetAnnotations(), annotations)
	for _, own := range []string{annotationRun, annotationUnfinished, annotationRendered, annotationRevision, annotationHold, annotationSignature, annotationUnconfirmed, annotationPaused, annotationScaled, annotationFights, annotationFightsBy, annotationCanary} {
		if all[own] == "" {
			delete(all, own)
		}
	}
	if p.live != nil && maps.Equal(all, p.live.GetAnnotations()) && maps.Equal(desired.GetLabels(), p.live.GetLabels()) {
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
	if _, refused := errors.AsType[*Refused](err); refused {
		return err
	}
	if err != nil {
		return fmt.Errorf("applyset parent of environment %s: %w", p.env.Name, err)
	}
	p.live = written
	return nil
}

// own answers a conflict: a request whose answer was lost was sent again, and
// what stands there is what it wrote, or notes were set meanwhile. Anything else is
// another run's.
func (p *parent) own(ctx context.Context, desired *unstructured.Unstructured, conflict error) (*unstructured.Unstructured, error) {
	wanted := desired.GetAnnotations()
	for range attemptsConflict {
		live, err := p.client.Get(ctx, desired.GetName(), metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if maps.Equal(live.GetAnnotations(), desired.GetAnnotations()) {
			return live, nil
		}
		if !p.onlyNoted(live, wanted) {
			return nil, &Refused{
				Reason: fmt.Sprintf("environment %s was changed by another run meanwhile", p.env.Name),
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
func (p *parent) onlyNoted(live *unstructured.Unstructured, wanted map[string]string) bool {
	return p.live != nil && p.live.GetUID() == live.GetUID() &&
		maps.Equal(withNotes(wanted, p.live.GetAnnotations()), wanted) &&
		maps.Equal(withNotes(live.GetAnnotations(), p.live.GetAnnotations()), p.live.GetAnnotations())
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

// says is what of a parent is signed.
func (p *parent) says() []string {
	return []string{p.annotation(annotationKinds), p.annotation(annotationNamespaces), p.annotation(annotationPlaces)}
}
