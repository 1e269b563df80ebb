package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// creatable proves, before the first write, that what is to be recreated can be
// created: by a dry run under another name. What cannot be proven is refused,
// unless the caller named the object.
func (r *run) creatable(ctx context.Context) error {
	changes := r.changes(Recreated)
	errs := r.each(changes, func(change *Change) error { return r.probe(ctx, change) })
	if err := r.ended(ctx); err != nil {
		return err
	}
	var lines, hints []string
	for i, err := range errs {
		if err == nil {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s must be recreated, and it is not certain that it could be: %v", changes[i].Ref, err))
		hints = append(hints, fmt.Sprintf("--recreate %s/%s deletes it all the same", changes[i].Kind, changes[i].Name))
	}
	if len(lines) > 0 {
		return &hint.Refused{Reason: strings.Join(lines, "\n"), Hints: hints}
	}
	return nil
}

// probe creates the object under another name, as a dry run.
func (r *run) probe(ctx context.Context, change *Change) error {
	if kinds.Irreplaceable(change.live) {
		return fmt.Errorf("a %s is never recreated", change.Kind)
	}
	if slices.Contains(r.opts.Recreate, change.Kind+"/"+change.Name) {
		return nil
	}
	mapping, err := r.mapping(ctx, change)
	if err != nil {
		return err
	}
	_, _, err = r.c.DryRun(ctx, mapping, probeOf(change.desired))
	return err
}

// probeOf is an object under another name, as it could be created beside the old
// one.
func probeOf(desired *schema.Object) *unstructured.Unstructured {
	body := desired.DeepCopy()
	body.SetName(ProbeName(desired.GetName()))
	if body.GroupVersionKind().GroupKind().String() == "Service" {
		// The old Service still has them.
		for _, field := range []string{"clusterIP", "clusterIPs"} {
			if ip, _, _ := unstructured.NestedString(body.Object, "spec", field); ip != "None" {
				unstructured.RemoveNestedField(body.Object, "spec", field)
			}
		}
		withoutNodePorts(body)
	}
	return body
}

// ProbeName is a name beside another one, within the 63 characters of a label.
func ProbeName(name string) string {
	const suffix = "-probe"
	return strings.TrimRight(name[:min(len(name), 63-len(suffix))], "-.") + suffix
}

func withoutNodePorts(service *unstructured.Unstructured) {
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, port := range ports {
		if fields, ok := port.(map[string]any); ok {
			delete(fields, "nodePort")
		}
	}
	if len(ports) > 0 {
		_ = unstructured.SetNestedSlice(service.Object, ports, "spec", "ports")
	}
	unstructured.RemoveNestedField(service.Object, "spec", "healthCheckNodePort")
}

// remove deletes the object that a change was planned against, and only that,
// and waits until it is gone. A run that is killed afterwards leaves an object
// missing, which the next one creates.
func (r *run) remove(ctx context.Context, change *Change) error {
	if err := r.delete(ctx, change); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return r.awaitAbsence(ctx, []*Change{change})
}

// delete sends the deletion of the object that a change was planned against.
func (r *run) delete(ctx context.Context, change *Change) error {
	client, err := r.client(ctx, change)
	if err != nil {
		return err
	}
	if err := r.mayWrite(ctx); err != nil {
		return err
	}
	ctx, cancel := r.request(ctx)
	defer cancel()
	uid, version := change.live.GetUID(), change.live.GetResourceVersion()
	// The default of a Job is to orphan its pods.
	what := metav1.DeletePropagationBackground
	if change.orphans {
		what = metav1.DeletePropagationOrphan
	}
	return r.unanswered(ctx, client.Delete(ctx, change.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
		PropagationPolicy: &what,
	}))
}
