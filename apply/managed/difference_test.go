package managed

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

func TestDifferences(t *testing.T) {
	live := applytest.Object(t, `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  resourceVersion: "8"
  labels: {app.kubernetes.io/name: web}
  finalizers: [a/x, b/x]
  managedFields:
  - manager: evenkeel
    operation: Apply
    apiVersion: apps/v1
    time: "2026-11-21T09:00:00Z"
    fieldsV1:
      f:metadata:
        f:labels: {f:app.kubernetes.io/name: {}}
        f:finalizers: {'v:"a/x"': {}}
      f:spec:
        f:template:
          f:spec:
            f:containers:
              k:{"name":"app"}: {.: {}, f:name: {}, f:image: {}, f:args: {}}
              k:{"name":"side"}: {.: {}, f:name: {}}
  - manager: kubectl-edit
    operation: Update
    apiVersion: apps/v1
    time: "2026-11-21T10:32:00Z"
    fieldsV1:
      f:metadata: {f:finalizers: {'v:"b/x"': {}}}
      f:spec:
        f:replicas: {}
        f:template: {f:spec: {f:nodeSelector: {}}}
spec:
  replicas: 5
  template:
    spec:
      nodeSelector: {disk: ssd}
      containers:
      - {name: app, image: "img:1", args: [a]}
      - {name: side}
status: {replicas: 5}
`)
	result := live.DeepCopy()
	edit := func(v any, path ...string) {
		if err := unstructured.SetNestedField(result.Object, v, path...); err != nil {
			t.Fatal(err)
		}
	}
	edit("9", "metadata", "resourceVersion")
	edit("shop", "metadata", "labels", "app.kubernetes.io/name")
	edit([]any{"a/x", "c/x"}, "metadata", "finalizers")
	edit(int64(2), "spec", "replicas")
	edit("hdd", "spec", "template", "spec", "nodeSelector", "disk")
	edit([]any{
		map[string]any{"name": "app", "image": "img:2", "args": []any{"a", "b"}},
		map[string]any{"name": "new"},
	}, "spec", "template", "spec", "containers")

	edited := time.Date(2026, 11, 21, 10, 32, 0, 0, time.UTC)
	applied := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	want := []Field{
		{Path: "metadata.finalizers[=b/x]", From: "b/x", By: "kubectl-edit", At: &edited},
		{Path: "metadata.finalizers[=c/x]", To: "c/x"},
		{Path: "metadata.labels[app.kubernetes.io/name]", From: "web", To: "shop", By: "evenkeel", At: &applied},
		{Path: "spec.replicas", From: int64(5), To: int64(2), By: "kubectl-edit", At: &edited},
		{Path: "spec.template.spec.containers[name=app].args", From: []any{"a"}, To: []any{"a", "b"}, By: "evenkeel", At: &applied},
		{Path: "spec.template.spec.containers[name=app].image", From: "img:1", To: "img:2", By: "evenkeel", At: &applied},
		{Path: "spec.template.spec.containers[name=side]", From: map[string]any{"name": "side"}, By: "evenkeel", At: &applied},
		{Path: "spec.template.spec.containers[name=new]", To: map[string]any{"name": "new"}},
		{Path: "spec.template.spec.nodeSelector.disk", From: "ssd", To: "hdd", By: "kubectl-edit", At: &edited},
	}
	if diff := cmp.Diff(want, Fields(Differences(live, result))); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if got := Differences(live, live); len(got) != 0 {
		t.Errorf("an object differs from itself: %v", got)
	}
}

func TestDifferencesOfOrder(t *testing.T) {
	live, result := applytest.Object(t, liveDeployment), applytest.Object(t, liveDeployment)
	list, _, _ := unstructured.NestedSlice(result.Object, "spec", "template", "spec", "containers")
	list[0], list[1] = list[1], list[0]
	if err := unstructured.SetNestedSlice(result.Object, list, "spec", "template", "spec", "containers"); err != nil {
		t.Fatal(err)
	}
	got := Fields(Differences(live, result))
	want := []string{"spec.template.spec.containers[order]"}
	if len(got) != 1 || got[0].Path != want[0] {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLocalDifferences(t *testing.T) {
	desired := applytest.Object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      imagePullSecrets: [{name: harbor}]
      containers:
      - {name: app, image: "img:2", args: [a, b], ports: [{containerPort: 80, protocol: TCP}]}
      - {name: side, image: "side:1"}
      volumes: [{name: tmp, emptyDir: {}}]
`)
	got := map[string]any{}
	for _, f := range Fields(LocalDifferences(desired, applytest.Object(t, liveDeployment))) {
		got[f.Path] = f.To
	}
	// Defaults of the server are no differences, what evenkeel owned and no longer
	// sets is.
	want := map[string]any{"spec.replicas": nil, "spec.template.spec.containers[name=app].image": "img:2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestForeignFields(t *testing.T) {
	live := applytest.Object(t, liveDeployment)
	entries, _, _ := unstructured.NestedSlice(live.Object, "metadata", "managedFields")
	entries = append(entries, applytest.Object(t, `
kind: x
manager: kubectl-edit
operation: Update
apiVersion: apps/v1
time: "2026-11-21T10:32:00Z"
fieldsV1:
  f:metadata:
    f:annotations: {.: {}, f:kubectl.kubernetes.io/restartedAt: {}, f:note: {}}
  f:spec:
    f:progressDeadlineSeconds: {}
    f:paused: {}
    f:template:
      f:spec:
        f:containers:
          k:{"name":"app"}:
            f:imagePullPolicy: {}
            f:env: {.: {}, 'k:{"name":"DEBUG"}': {.: {}, f:name: {}, f:value: {}}}
`).Object, map[string]any{
		"manager": "mesh", "operation": "Update", "apiVersion": "apps/v1",
		"fieldsV1": map[string]any{"f:metadata": map[string]any{"f:labels": map[string]any{"f:mesh": map[string]any{}}}},
	})
	set := func(v any, path ...string) {
		if err := unstructured.SetNestedField(live.Object, v, path...); err != nil {
			t.Fatal(err)
		}
	}
	set(entries, "metadata", "managedFields")
	set("hello", "metadata", "annotations", "note")
	set("x", "metadata", "labels", "mesh")
	set(true, "spec", "paused")
	containers, _, _ := unstructured.NestedSlice(live.Object, "spec", "template", "spec", "containers")
	containers[0].(map[string]any)["env"] = []any{map[string]any{"name": "DEBUG", "value": "1"}}
	set(containers, "spec", "template", "spec", "containers")

	paths := func(controllers ...string) []string {
		var paths []string
		for _, f := range Foreign(applytest.Object(t, desiredDeployment), live, nil, controllers, false) {
			paths = append(paths, f.Path+" by "+f.By)
		}
		return paths
	}
	want := []string{
		"metadata.annotations.note by kubectl-edit",
		"spec.paused by kubectl-edit",
		"spec.template.spec.containers[name=app].env[name=DEBUG] by kubectl-edit",
	}
	if diff := cmp.Diff(want, paths("mesh")); diff != "" {
		t.Errorf("foreign (-want +got):\n%s", diff)
	}
	if got := len(paths()); got != len(want)+1 {
		t.Errorf("%d fields without declared controllers, want %d", got, len(want)+1)
	}
}
