package health

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// probeAnswer is whether anybody reports on a kind.
type probeAnswer struct {
	known bool
	// none says that the kind has no status, silent that none of its objects has
	// ever had one.
	none, silent bool
}

func (w *Watcher) probed(gvr schema.GroupVersionResource) probeAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.noStatus[gvr]; a != nil && a.known {
		return *a
	}
	return probeAnswer{}
}

// probeStatus asks once per kind whether anybody reports on it: an object that
// says nothing about itself may have nobody who would.
func (w *Watcher) probeStatus(key objectKey) {
	if w.firstProbe(key.GroupVersionResource) {
		go w.answerProbe(w.ctx, key)
	}
}

func (w *Watcher) firstProbe(gvr schema.GroupVersionResource) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noStatus[gvr] != nil {
		return false
	}
	w.noStatus[gvr] = &probeAnswer{}
	return true
}

func (w *Watcher) answerProbe(ctx context.Context, key objectKey) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer := &probeAnswer{known: true}
	// Where it broke down, the question is left open.
	_ = contain.Call(func() error {
		if known, none := w.schemaLacksStatus(ctx, key.GroupVersionResource); known {
			answer.none = none
		} else {
			answer.none = w.lacksStatus(ctx, key)
		}
		if !answer.none {
			answer.silent = w.isSilent(ctx, key)
		}
		return nil
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noStatus[key.GroupVersionResource] = answer
}

// lacksStatus is true where the object is there and its status is not. Any other
// answer leaves the question open.
func (w *Watcher) lacksStatus(ctx context.Context, key objectKey) bool {
	client := w.client.Resource(key.GroupVersionResource).Namespace(key.namespace)
	if _, err := client.Get(ctx, key.name, metav1.GetOptions{}, "status"); !apierrors.IsNotFound(err) {
		return false
	}
	_, err := client.Get(ctx, key.name, metav1.GetOptions{})
	return err == nil
}

// schemaLacksStatus reads the definition of a kind, where it may be read: a kind
// whose schema has no field below status has nobody who could report, because the
// API server would drop it.
func (w *Watcher) schemaLacksStatus(ctx context.Context, gvr schema.GroupVersionResource) (known, none bool) {
	definitions := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	crd, err := w.client.Resource(definitions).Get(ctx, gvr.GroupResource().String(), metav1.GetOptions{})
	if err != nil {
		return false, false
	}
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		return false, false
	}
	for _, item := range versions {
		v, ok := item.(map[string]any)
		if !ok || v["name"] != gvr.Version {
			continue
		}
		_, reported, err := unstructured.NestedMap(v, "subresources", "status")
		if err != nil {
			return false, false
		}
		root, _, err := unstructured.NestedMap(v, "schema", "openAPIV3Schema")
		if err != nil {
			return false, false
		}
		return true, !hasFields(root, "status") && (!reported || root["x-kubernetes-preserve-unknown-fields"] != true)
	}
	return false, false
}

// hasFields says whether a schema keeps anything below a field.
func hasFields(root map[string]any, field string) bool {
	of, ok, err := unstructured.NestedMap(root, "properties", field)
	if err != nil || !ok {
		return false
	}
	properties, _, err := unstructured.NestedMap(of, "properties")
	_, more := of["additionalProperties"]
	return err != nil || len(properties) > 0 || more || of["x-kubernetes-preserve-unknown-fields"] == true
}

// silentFor is how old an object must be before its lack of a status means that
// nobody gives its kind one.
const silentFor = time.Hour

// isSilent looks at all objects of a kind, or at those of the namespace where no
// more may be listed: nobody has written a status to any of them, though one has
// been there for long.
func (w *Watcher) isSilent(ctx context.Context, key objectKey) bool {
	opts := metav1.ListOptions{Limit: 500}
	list, err := w.client.Resource(key.GroupVersionResource).List(ctx, opts)
	if apierrors.IsForbidden(err) {
		list, err = w.client.Resource(key.GroupVersionResource).Namespace(key.namespace).List(ctx, opts)
	}
	if err != nil {
		return false
	}
	old := false
	now := w.store.clock.server(time.Now())
	for i := range list.Items {
		obj := &list.Items[i]
		if reports(obj) {
			return false
		}
		for _, m := range obj.GetManagedFields() {
			if m.Subresource == "status" {
				return false
			}
		}
		old = old || now.Sub(obj.GetCreationTimestamp().Time) > silentFor
	}
	return old
}
