package health

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// probeAnswer is whether a kind has a status subresource.
type probeAnswer struct {
	known, none bool
}

func (w *Watcher) hasNoStatus(gvr schema.GroupVersionResource) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.noStatus[gvr]
	return a != nil && a.known && a.none
}

// probeStatus asks once per kind for the status subresource of an object that
// says nothing about itself: a kind without one has nobody who would.
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
	none := w.lacksStatus(ctx, key)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noStatus[key.GroupVersionResource] = &probeAnswer{known: true, none: none}
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
