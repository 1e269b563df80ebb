package managed

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// liveDeployment is what an API server made of desiredDeployment.
const liveDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  uid: 4b1c
  resourceVersion: "7"
  generation: 1
  labels: {app: web}
  managedFields:
  - manager: evenkeel
    operation: Apply
    apiVersion: apps/v1
    time: "2026-11-21T10:32:00Z"
    fieldsType: FieldsV1
    fieldsV1:
      f:metadata: {f:labels: {f:app: {}}}
      f:spec:
        f:replicas: {}
        f:selector: {}
        f:template:
          f:metadata: {f:labels: {f:app: {}}}
          f:spec:
            f:containers:
              k:{"name":"app"}:
                .: {}
                f:name: {}
                f:image: {}
                f:args: {}
                f:ports:
                  k:{"containerPort":80,"protocol":"TCP"}: {.: {}, f:containerPort: {}, f:protocol: {}}
              k:{"name":"side"}: {.: {}, f:name: {}, f:image: {}}
            f:imagePullSecrets:
              k:{"name":"harbor"}: {}
            f:volumes:
              k:{"name":"tmp"}: {.: {}, f:name: {}, f:emptyDir: {}}
  - manager: kube-controller-manager
    operation: Update
    apiVersion: apps/v1
    subresource: status
    time: "2026-11-21T10:33:00Z"
    fieldsV1:
      f:metadata: {f:annotations: {.: {}, f:deployment.kubernetes.io/revision: {}}}
      f:status: {f:replicas: {}}
  annotations: {deployment.kubernetes.io/revision: "1"}
spec:
  replicas: 2
  progressDeadlineSeconds: 600
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      restartPolicy: Always
      imagePullSecrets: [{name: harbor}]
      containers:
      - {name: app, image: "img:1", args: [a, b], ports: [{containerPort: 80, protocol: TCP}], imagePullPolicy: IfNotPresent}
      - {name: side, image: "side:1"}
      volumes: [{name: tmp, emptyDir: {}}]
status: {replicas: 2}
`

const desiredDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      imagePullSecrets: [{name: harbor}]
      containers:
      - {name: app, image: "img:1", args: [a, b], ports: [{containerPort: 80, protocol: TCP}]}
      - {name: side, image: "side:1"}
      volumes: [{name: tmp, emptyDir: {}}]
`

func TestDoubt(t *testing.T) {
	type object = map[string]any
	set := func(v any, path ...string) func(o object) {
		return func(o object) {
			if err := unstructured.SetNestedField(o, v, path...); err != nil {
				panic(err)
			}
		}
	}
	entry := func(o object, i int) object {
		return o["metadata"].(object)["managedFields"].([]any)[i].(object)
	}
	container := func(o object, i int) object {
		list, _, _ := unstructured.NestedFieldNoCopy(o, "spec", "template", "spec", "containers")
		return list.([]any)[i].(object)
	}
	none := func(object) {}
	tests := []struct {
		name    string
		desired func(object)
		live    func(object)
		certain bool
	}{
		{name: "untouched", certain: true},
		{name: "foreign addition beside ours", live: set("x", "metadata", "labels", "team"), certain: true},
		{name: "number of another type", desired: set(float64(2), "spec", "replicas"), certain: true},
		{name: "foreign container in between", certain: true, live: func(o object) {
			list, _, _ := unstructured.NestedSlice(o, "spec", "template", "spec", "containers")
			list = []any{list[0], object{"name": "foreign"}, list[1]}
			set(list, "spec", "template", "spec", "containers")(o)
		}},
		{name: "desired changed", desired: set(int64(3), "spec", "replicas")},
		{name: "live changed, entry kept", live: set(int64(3), "spec", "replicas")},
		{name: "desired field new", desired: set(int64(5), "spec", "minReadySeconds")},
		{name: "desired field new, live has it", desired: set(int64(600), "spec", "progressDeadlineSeconds")},
		{name: "desired field gone", desired: func(o object) { unstructured.RemoveNestedField(o, "spec", "replicas") }},
		{name: "ownership lost to another manager", live: func(o object) {
			fields := entry(o, 0)["fieldsV1"].(object)["f:spec"].(object)
			delete(fields, "f:replicas")
		}},
		{name: "atomic list in other order", live: func(o object) { container(o, 0)["args"] = []any{"b", "a"} }},
		{name: "empty map is not absent", live: func(o object) {
			list, _, _ := unstructured.NestedFieldNoCopy(o, "spec", "template", "spec", "volumes")
			delete(list.([]any)[0].(object), "emptyDir")
		}},
		{name: "empty map filled", live: func(o object) {
			list, _, _ := unstructured.NestedFieldNoCopy(o, "spec", "template", "spec", "volumes")
			list.([]any)[0].(object)["emptyDir"] = object{"medium": "Memory"}
		}},
		{name: "somebody owns below our leaf", live: func(o object) {
			entry(o, 1)["fieldsV1"].(object)["f:spec"] = object{"f:selector": object{"f:matchLabels": object{}}}
		}},
		{name: "somebody owns what we own parts of", live: func(o object) {
			entry(o, 1)["fieldsV1"].(object)["f:spec"] = object{"f:template": object{}}
		}},
		{name: "containers swapped", live: func(o object) {
			list, _, _ := unstructured.NestedSlice(o, "spec", "template", "spec", "containers")
			list[0], list[1] = list[1], list[0]
			set(list, "spec", "template", "spec", "containers")(o)
		}},
		{name: "desired containers swapped", desired: func(o object) {
			list, _, _ := unstructured.NestedSlice(o, "spec", "template", "spec", "containers")
			list[0], list[1] = list[1], list[0]
			set(list, "spec", "template", "spec", "containers")(o)
		}},
		{name: "an owned container twice", live: func(o object) {
			list, _, _ := unstructured.NestedSlice(o, "spec", "template", "spec", "containers")
			set(append(list, object{"name": "side"}), "spec", "template", "spec", "containers")(o)
		}},
		{name: "a desired container twice", desired: func(o object) {
			list, _, _ := unstructured.NestedSlice(o, "spec", "template", "spec", "containers")
			set(append(list, list[1]), "spec", "template", "spec", "containers")(o)
		}},
		{name: "container gone", live: func(o object) {
			list, _, _ := unstructured.NestedSlice(o, "spec", "template", "spec", "containers")
			set(list[:1], "spec", "template", "spec", "containers")(o)
		}},
		{name: "key field not spelled out", desired: func(o object) {
			delete(container(o, 0)["ports"].([]any)[0].(object), "protocol")
		}},
		{name: "an atomic item with more in it", live: func(o object) {
			list, _, _ := unstructured.NestedFieldNoCopy(o, "spec", "template", "spec", "imagePullSecrets")
			list.([]any)[0].(object)["more"] = "x"
		}},
		{name: "null where nothing is", desired: set(nil, "spec", "paused")},
		{name: "being deleted", live: set("2026-11-21T10:40:00Z", "metadata", "deletionTimestamp")},
		{name: "applied in another version", live: func(o object) { entry(o, 0)["apiVersion"] = "apps/v1beta1" }},
		{name: "our Update is not our Apply", live: func(o object) { entry(o, 0)["operation"] = "Update" }},
		{name: "entry of the scale subresource", live: func(o object) { entry(o, 0)["subresource"] = "scale" }},
		{name: "another manager's Apply", live: func(o object) { entry(o, 0)["manager"] = "evenkeel-handover" }},
		{name: "managedFields stripped", live: func(o object) { delete(o["metadata"].(object), "managedFields") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			desired, live := applytest.Object(t, desiredDeployment), applytest.Object(t, liveDeployment)
			for u, edit := range map[*unstructured.Unstructured]func(object){desired: test.desired, live: test.live} {
				if edit == nil {
					edit = none
				}
				edit(u.Object)
			}
			if d := Doubt(desired, live); (d == "") != test.certain {
				t.Errorf("doubt %q, want certain %v", d, test.certain)
			}
		})
	}
}

func TestDoubtSets(t *testing.T) {
	live := func(values, owned string) string {
		return `
apiVersion: v1
kind: ConfigMap
metadata:
  name: c
  finalizers: ` + values + `
  managedFields:
  - manager: evenkeel
    operation: Apply
    apiVersion: v1
    fieldsV1: {f:metadata: {f:finalizers: {` + owned + `}}}
`
	}
	tests := []struct {
		name          string
		desired       string
		live, owned   string
		certainlySame bool
	}{
		{"equal", "[a/x, b/x]", "[a/x, b/x]", `'v:"a/x"': {}, 'v:"b/x"': {}`, true},
		{"foreign member", "[a/x, b/x]", "[a/x, c/x, b/x]", `'v:"a/x"': {}, 'v:"b/x"': {}`, true},
		{"other order", "[a/x, b/x]", "[b/x, a/x]", `'v:"a/x"': {}, 'v:"b/x"': {}`, false},
		{"owned twice", "[a/x]", "[a/x, a/x]", `'v:"a/x"': {}`, false},
		{"desired twice", "[a/x, a/x]", "[a/x]", `'v:"a/x"': {}`, false},
		{"member not owned", "[a/x, b/x]", "[a/x, b/x]", `'v:"a/x"': {}`, false},
		{"owns one more", "[a/x]", "[a/x, b/x]", `'v:"a/x"': {}, 'v:"b/x"': {}`, false},
		{"gone", "[a/x]", "[]", `'v:"a/x"': {}`, false},
		{"by index", "[a/x]", "[a/x]", `'i:0': {}`, false},
		{"two kinds of list", "[a/x]", "[a/x]", `'v:"a/x"': {}, 'k:{"name":"a"}': {}`, false},
		{"unreadable", "[a/x]", "[a/x]", `'v:"a/x': {}`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			desired := applytest.Object(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, finalizers: "+test.desired+"}\n")
			if d := Doubt(desired, applytest.Object(t, live(test.live, test.owned))); (d == "") != test.certainlySame {
				t.Errorf("doubt %q, want certain %v", d, test.certainlySame)
			}
		})
	}
}
