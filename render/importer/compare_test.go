package importer

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop, labels: {app: shop}}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: shop
        image: r.cn/shop:1
        ports: [{containerPort: 8080}]
        env: [{name: A, value: a}, {name: B, value: b}]
        resources: {requests: {cpu: 100m}}
`

// TestCompare holds that another way to write the same is no difference, and that
// any other change is.
func TestCompare(t *testing.T) {
	for name, tt := range map[string]struct {
		old, new string
		want     []string
	}{
		"same":          {},
		"quantity":      {"cpu: 100m", `cpu: "0.1"`, nil},
		"default":       {"containerPort: 8080", "containerPort: 8080, protocol: TCP", nil},
		"server's own":  {"namespace: shop,", "namespace: shop, uid: a, generation: 3,", nil},
		"image":         {"r.cn/shop:1", "r.cn/shop:2", []string{`Deployment/shop: spec.template.spec.containers[0].image: the string "r.cn/shop:1" became the string "r.cn/shop:2"`}},
		"lost":          {"replicas: 2", "paused: false", []string{"Deployment/shop: spec.replicas: the number 2 became null"}},
		"added":         {"replicas: 2", "replicas: 2\n  paused: true", []string{"Deployment/shop: spec.paused: null became the boolean true"}},
		"not a default": {"containerPort: 8080", "containerPort: 8080, protocol: UDP", []string{`Deployment/shop: spec.template.spec.containers[0].ports[0].protocol: null became the string "UDP"`}},
		"another order": {"name: A, value: a}, {name: B, value: b}", "name: B, value: b}, {name: A, value: a}", []string{
			`Deployment/shop: spec.template.spec.containers[0].env[0].name: the string "A" became the string "B"`, `Deployment/shop: spec.template.spec.containers[0].env[0].value: the string "a" became the string "b"`,
			`Deployment/shop: spec.template.spec.containers[0].env[1].name: the string "B" became the string "A"`, `Deployment/shop: spec.template.spec.containers[0].env[1].value: the string "b" became the string "a"`,
		}},
		"other name": {"name: shop, namespace", "name: shop2, namespace", []string{"Deployment/shop: not rendered"}},
	} {
		t.Run(name, func(t *testing.T) {
			imp := objects(t, deployment, Options{Namespace: "shop"})
			changed := deployment
			if tt.old != "" {
				changed = strings.Replace(deployment, tt.old, tt.new, 1)
			}
			stored := func(objs []Object) {
				for _, obj := range objs {
					builtIn().Normalise(obj, reflect.TypeFor[appsv1.Deployment](), 0)
				}
			}
			rendered := read(t, changed)[0].Object
			stored([]Object{rendered})
			obj := schema.Object{Unstructured: &unstructured.Unstructured{Object: rendered}}
			env := &schema.Environment{Namespace: "shop", Units: []schema.Unit{{Objects: []schema.Object{obj}}}}
			var got []string
			for _, d := range imp.Compare(env, stored) {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

// TestObjects holds what is left out, and why.
func TestObjects(t *testing.T) {
	imp := objects(t, `
apiVersion: v1
kind: Pod
metadata: {name: p, ownerReferences: [{kind: ReplicaSet, name: r}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-root-ca.crt}
---
apiVersion: v1
kind: Secret
metadata: {name: sh.helm.release.v1.a}
type: helm.sh/release.v1
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {pod-security.kubernetes.io/enforce: baseline}}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: shop}
data: {b: eA==}
stringData: {a: x}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: shop, labels: {app: web}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: other, labels: {app: web}}
`, Options{Namespace: "shop", Live: true})
	if diff := cmp.Diff([]string{
		"Pod/p: made by ReplicaSet", "ConfigMap/kube-root-ca.crt: made by the cluster", "Secret/sh.helm.release.v1.a: the record of helm",
		"Namespace/shop: the environment makes it",
	}, imp.Left); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Secret{{Name: "s", Keys: []string{"a", "b"}}}, imp.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if imp.Level != "baseline" || imp.Len() != 2 || len(imp.Units) != 1 || imp.Units[0].Name != "web" {
		t.Errorf("got level %s, %d objects, units %v", imp.Level, imp.Len(), imp.Units)
	}
	for _, key := range []string{"configMap-c", "configMap-c-other"} {
		if imp.Units[0].Objects[key] == nil {
			t.Errorf("no object %s", key)
		}
	}
}

func read(t *testing.T, manifest string) []Item {
	t.Helper()
	got, err := Read(strings.NewReader(manifest), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return got.Items
}

func objects(t *testing.T, manifest string, opts Options) *Import {
	t.Helper()
	imp, err := Objects(read(t, manifest), opts)
	if err != nil {
		t.Fatal(err)
	}
	return imp
}

// TestNamespaceKept: what the environment does not say of its Namespace by itself goes
// into the file, or adoption takes it off.
func TestNamespaceKept(t *testing.T) {
	manifest := `
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels:
    istio-injection: enabled
    kubernetes.io/metadata.name: shop
    pod-security.kubernetes.io/audit: baseline
    pod-security.kubernetes.io/enforce: baseline
  annotations:
    linkerd.io/inject: enabled
    kubectl.kubernetes.io/last-applied-configuration: "{}"
`
	for namespace, want := range map[string]string{
		"shop":  "package dev\n\nenvironment: {\n\tnamespaceLabels: {\n\t\t\"istio-injection\":                  \"enabled\"\n\t\t\"pod-security.kubernetes.io/audit\": \"baseline\"\n\t}\n\tnamespaceAnnotations: \"linkerd.io/inject\": \"enabled\"\n}\n",
		"other": "",
	} {
		files, err := objects(t, manifest, Options{Namespace: namespace}).Sources("dev", false)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range files {
			if f.Name == "imported.cue" {
				got = string(f.Data)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("source (-want +got):\n%s", diff)
		}
	}
}
