package reconcile

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	// Of a kind that is newer than the cluster, the server cannot have version 1.
	group := namespace + ".example.com"
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "wakes." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"kind": "Wake", "plural": "wakes"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}},
			}},
		},
	}}
	if _, err := definitions.Create(t.Context(), definition, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = definitions.Delete(context.WithoutCancel(t.Context()), definition.GetName(), metav1.DeleteOptions{})
	})
	wakes := client.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "wakes"}).Namespace(namespace)
	until(t, "the kind is served", func() bool {
		_, err := wakes.List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
	var begun, seen atomic.Int32
	s := newStream(wakes, "kept=yes", func(watch.EventType, *unstructured.Unstructured) { seen.Add(1) })
	s.Version, s.begun = "1", func() { begun.Add(1) }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	until(t, "the stream began anew", func() bool { return begun.Load() == 1 })
	for name, kept := range map[string]string{"a": "yes", "b": "no"} {
		u := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": group + "/v1", "kind": "Wake", "metadata": map[string]any{"name": name, "labels": map[string]any{"kept": kept}},
		}}
		if _, err := wakes.Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
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
