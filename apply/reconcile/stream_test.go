package reconcile

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// TestStreamGone begins anew, and says so, where the server no longer has the
// version that the watch came to (410).
func TestStreamGone(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	namespace := applytest.Namespace(t, cfg, "rec")
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	maps := client.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(namespace)
	var begun, seen atomic.Int32
	s := &stream{
		client: maps, selector: "kept=yes", version: "1",
		begun: func() { begun.Add(1) },
		seen:  func(watch.EventType, *unstructured.Unstructured) { seen.Add(1) },
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()
	until(t, "the stream began anew", func() bool { return begun.Load() == 1 })
	for name, kept := range map[string]string{"a": "yes", "b": "no"} {
		u := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "labels": map[string]any{"kept": kept}},
		}}
		if _, err := maps.Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the member is seen", func() bool { return seen.Load() == 1 })
	stop()
	<-ended
	if n := seen.Load(); n != 1 {
		t.Errorf("%d events, want that of the member", n)
	}
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 seconds not: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
