package main

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gvr "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/ui"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestUIRequests counts what the page asks an API server for: it grows with the kinds,
// not with the objects, and not with those who look on.
func TestUIRequests(t *testing.T) {
	cfg := applytest.Cluster(t)
	asked := func(objects, readers int) kube.Requests {
		ns := applytest.Namespace(t, cfg, "ui-requests")
		env := &schema.Environment{Name: ns, Namespace: ns}
		client := dynamic.NewForConfigOrDie(cfg)
		for i := range objects {
			for kind, resource := range map[string]string{"ConfigMap": "configmaps", "Secret": "secrets", "ServiceAccount": "serviceaccounts"} {
				o := &unstructured.Unstructured{Object: map[string]any{
					"apiVersion": "v1", "kind": kind, "metadata": map[string]any{
						"namespace": ns, "name": fmt.Sprintf("one-%d", i), "labels": map[string]any{schema.LabelPartOf: schema.ApplySetID(ns, ns)},
					},
				}}
				if _, err := client.Resource(gvr.GroupVersionResource{Version: "v1", Resource: resource}).Namespace(ns).Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				env.Units = append(env.Units, schema.Unit{Name: strings.ToLower(kind) + fmt.Sprint(i), Objects: []schema.Object{{Unstructured: o}}})
			}
		}
		cluster, err := apply.Connect(cfg)
		if err != nil {
			t.Fatal(err)
		}
		page, err := ui.New(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8700}, ui.Options{Viewer: func(string) ui.Viewer {
			return ui.Viewer{Environments: []ui.Environment{{Desired: env, Connect: func() (*apply.Cluster, error) { return cluster, nil }}}}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); page.Run(ctx) }()
		defer func() { stop(); <-ended }()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			healthy := 0
			for range readers {
				seen := httptest.NewRecorder()
				r := httptest.NewRequest("GET", "http://127.0.0.1:8700"+page.Path()+"en/env/"+ns+"/", nil)
				page.ServeHTTP(seen, r)
				healthy = strings.Count(seen.Body.String(), "✓ healthy")
			}
			if healthy == 3*objects {
				return cluster.Requests()
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d units are healthy", healthy, 3*objects)
			}
		}
	}
	few, many := asked(2, 1), asked(60, 5)
	t.Logf("6 objects of 3 kinds: %+v; 180 objects and five readers: %+v", few, many)
	if few != many {
		t.Errorf("6 objects of 3 kinds took %+v, 180 of them %+v", few, many)
	}
	// One more of each is for the notes of the environment, which a GET reads before; the
	// other GET is for the identity of the cluster.
	if few.List > 3+1 || few.Watch > 3+1 || few.Get > 2 || few.DryRun+few.Write+few.Review > 0 {
		t.Errorf("3 kinds took %+v, more than a LIST and a watch each", few)
	}
}
