package apply

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// keepHelmOut marks the Helm releases whose objects the run adopts, before it writes
// one of them: helm upgrade refuses from then on. A run that is killed in between
// marked them already, and goes on. Where a release cannot be marked, that is said:
// the objects are taken over all the same, because that was asked for.
func (r *run) keepHelmOut(ctx context.Context) {
	type release struct{ namespace, name string }
	objects := map[release][]*unstructured.Unstructured{}
	for _, change := range r.changes(Adopted) {
		if namespace, name := managed.HelmRelease(change.live); name != "" {
			at := release{namespace, name}
			objects[at] = append(objects[at], change.live)
		}
	}
	order := func(a, b release) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
	}
	for _, at := range slices.SortedFunc(maps.Keys(objects), order) {
		message, err := r.markRelease(ctx, at.namespace, at.name, objects[at])
		if err != nil {
			message = fmt.Sprintf("the Helm release %s in namespace %s could not be marked as taken over, helm upgrade would undo this: %v", at.name, at.namespace, err)
			message = plain.Line(message, math.MaxInt)
			r.plan.Warnings = append(r.plan.Warnings, message)
		}
		if message != "" {
			r.journal.tell(Event{Phase: PhaseWiden, Message: message})
		}
	}
}

func (r *run) markRelease(ctx context.Context, namespace, name string, adopted []*unstructured.Unstructured) (string, error) {
	if err := r.mayWrite(ctx); err != nil {
		return "", err
	}
	ctx, cancel := r.request(ctx)
	defer cancel()
	record, err := r.c.helmRecord(ctx, namespace, name)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(adopted, record.wrote) {
		return "", nil
	}
	secret, err := record.handOver("evenkeel, environment " + r.env.Name)
	if err != nil || secret == nil {
		return "", err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(secret)
	if err != nil {
		return "", err
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetAPIVersion("v1")
	object.SetKind("Secret")
	if _, err := r.c.Secrets(namespace).Update(ctx, object, metav1.UpdateOptions{FieldManager: schema.Manager}); err != nil {
		return "", err
	}
	return fmt.Sprintf("the Helm release %s is marked: helm upgrade refuses from now on", name), nil
}
