package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// TestOwnedFields applies what is rendered to a real API server and holds it
// against what the server stores for the fields that it then owns: every
// example environment, every stack, and testdata/awkward with objects of all
// built-in kinds that are written as the server would not store them.
func TestOwnedFields(t *testing.T) {
	w := newOwnedWriter(t)
	root := repoRoot(t)
	for _, repo := range []struct{ name, dir string }{
		{"awkward", awkwardRepo(t, root)}, {"examples", root}, {"stacks", filepath.Join(root, "testdata", "stacks")},
	} {
		r, err := render.Open(repo.dir)
		if err != nil {
			t.Fatal(err)
		}
		envs, err := r.Envs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, env := range envs {
			res, err := r.Render(t.Context(), env.Name)
			if err != nil {
				t.Fatalf("%s %s: %v", repo.name, env.Name, err)
			}
			var objs []*unstructured.Unstructured
			for _, u := range res.Env.Units {
				for _, o := range u.Objects {
					objs = append(objs, o.Unstructured)
				}
			}
			w.env(t, repo.name+"/"+env.Name, objs)
		}
	}
}

// TestAwkwardKinds holds that the corpus has every kind that can be applied.
func TestAwkwardKinds(t *testing.T) {
	not := map[string]bool{ // no object that lasts, or one that others make
		"Binding": true, "Event": true, "ComponentStatus": true, "Scale": true, "Eviction": true, "Status": true,
		"RangeAllocation": true, "SerializedReference": true, "WatchEvent": true, "APIGroup": true, "APIVersions": true,
		"PodStatusResult": true, "NodeProxyOptions": true, "PodAttachOptions": true,
		"CertificateSigningRequest": true, // asked once: the server lets nobody own its spec
		// kubelets and controllers write their own
		"PodCertificateRequest": true, "ClusterTrustBundle": true, "ConversionReview": true, "DeviceTaintRule": true,
		"ResourcePoolStatusRequest": true,
	}
	have := map[string]bool{}
	for _, obj := range awkward(t, repoRoot(t)) {
		u := unstructured.Unstructured{Object: obj}
		have[u.GetAPIVersion()+" "+u.GetKind()] = true
	}
	kinds := typed.New()
	for group := range kinds.Groups() {
		for _, version := range []string{"v1", "v2"} {
			gv := schema.GroupVersion{Group: group, Version: version}
			for _, kind := range kinds.KindsOf(gv) {
				if not[kind] || strings.HasSuffix(kind, "List") || strings.HasSuffix(kind, "Options") {
					continue
				}
				if !have[gv.String()+" "+kind] {
					t.Errorf("testdata/awkward has no %s %s", gv, kind)
				}
			}
		}
	}
}

func awkward(t *testing.T, root string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "testdata", "awkward", "objects.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var objs []map[string]any
	for doc := range bytes.SplitSeq(data, []byte("\n---\n")) {
		var obj map[string]any
		if err := yaml.Unmarshal(doc, &obj); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		objs = append(objs, obj)
	}
	return objs
}

// awkwardRepo is a repository with one environment of those objects, on which no
// rule looks.
func awkwardRepo(t *testing.T, root string) string {
	t.Helper()
	objects, silence := map[string]any{}, map[string]string{}
	for i, obj := range awkward(t, root) {
		objects[fmt.Sprintf("o%03d", i)] = obj
	}
	for _, rule := range lint.Rules() {
		silence[rule] = "the API server looks at them"
	}
	inCUE := func(v any) string { // JSON is CUE
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"cue.mod/module.cue": "module: \"example.com/awkward@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"envs/awkward/env.cue": `package awkward

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name: "awkward"
	site: {name: "lab", domain: "lab.example", networks: {nodes: "10.4.7.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}}
	podSecurity: "privileged"
	apps: all: schema.#Objects & {silence: ` + inCUE(silence) + `, extraObjects: ` + inCUE(objects) + `}
}
`,
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ownedWriter applies objects as evenkeel does, one by one, to a cluster of its own.
type ownedWriter struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
	spaces map[string]bool
}

func newOwnedWriter(t *testing.T) *ownedWriter {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a cluster")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", applytest.FreshKubeconfig(t, "owned"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst, cfg.WarningHandler = -1, -1, rest.NoWarnings{}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	typedClient, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &ownedWriter{
		client: client, spaces: map[string]bool{},
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(typedClient.Discovery())),
	}
}

func (w *ownedWriter) env(t *testing.T, name string, objs []*unstructured.Unstructured) {
	t.Helper()
	hooks := func(o *unstructured.Unstructured) bool {
		return o.GroupVersionKind().Group == "admissionregistration.k8s.io"
	}
	slices.SortStableFunc(objs, func(a, b *unstructured.Unstructured) int { // they would look at the others
		switch {
		case hooks(a) == hooks(b):
			return 0
		case hooks(a):
			return 1
		}
		return -1
	})
	for _, o := range objs {
		w.space(t, o.GetNamespace())
		stored := w.apply(t, o)
		if stored == nil {
			continue
		}
		want := o.DeepCopy().Object
		delete(want, "apiVersion")
		delete(want, "kind")
		for _, field := range []string{"name", "namespace"} {
			delete(want["metadata"].(map[string]any), field)
		}
		if diff := cmp.Diff(want, ownedPart(t, stored)); diff != "" {
			t.Errorf("%s: %s %s/%s (-rendered +stored)\n%s", name, o.GetKind(), o.GetNamespace(), o.GetName(), diff)
		}
	}
}

// space makes a namespace that the environment takes for granted.
func (w *ownedWriter) space(t *testing.T, name string) {
	t.Helper()
	if name == "" || w.spaces[name] {
		return
	}
	w.spaces[name] = true
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
	_, err := w.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(t.Context(), ns, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// apply waits for what arrives a moment after what it comes from: the resource
// of a definition, the ServiceAccount of a namespace.
func (w *ownedWriter) apply(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		stored, err := w.try(t, o)
		late := meta.IsNoMatchError(err) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err)
		switch {
		case err == nil:
			return stored
		case !late || time.Now().After(deadline):
			t.Errorf("%s %s/%s: %v", o.GetKind(), o.GetNamespace(), o.GetName(), err)
			return nil
		}
		time.Sleep(200 * time.Millisecond)
		w.mapper.Reset()
	}
}

func (w *ownedWriter) try(t *testing.T, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	t.Helper()
	gvk := o.GroupVersionKind()
	mapping, err := w.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	var to dynamic.ResourceInterface = w.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		to = w.client.Resource(mapping.Resource).Namespace(o.GetNamespace())
	}
	return to.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "evenkeel", Force: true})
}

// ownedPart is what of a stored object the manager evenkeel owns by its applies.
func ownedPart(t *testing.T, stored *unstructured.Unstructured) map[string]any {
	t.Helper()
	for _, entry := range stored.GetManagedFields() {
		if entry.Manager != "evenkeel" || entry.Operation != metav1.ManagedFieldsOperationApply || entry.Subresource != "" {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
			t.Fatal(err)
		}
		owned, _ := ownedValue(t, fields, stored.Object).(map[string]any)
		return owned
	}
	t.Fatalf("%s: no entry of evenkeel", stored.GetName())
	return nil
}

// ownedValue cuts a value to a tree of fieldsV1: f: is a field, k: an item by its
// keys, v: an item by its value; an empty tree is all of it.
func ownedValue(t *testing.T, fields map[string]any, value any) any {
	t.Helper()
	if len(fields) == 0 {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, sub := range fields {
			field, ok := strings.CutPrefix(name, "f:")
			if !ok {
				continue
			}
			if inner, there := v[field]; there {
				out[field] = ownedValue(t, sub.(map[string]any), inner)
			} else {
				out[field] = "owned, but not stored"
			}
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			for _, name := range slices.Sorted(maps.Keys(fields)) {
				if itemIs(t, name, item) {
					out = append(out, ownedValue(t, fields[name].(map[string]any), item))
				}
			}
		}
		return out
	}
	return value
}

func itemIs(t *testing.T, name string, item any) bool {
	t.Helper()
	kind, text, _ := strings.Cut(name, ":")
	if kind != "k" && kind != "v" {
		return false
	}
	var want any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if kind == "v" {
		return fmt.Sprint(want) == fmt.Sprint(item)
	}
	m, _ := item.(map[string]any)
	for key, value := range want.(map[string]any) {
		if fmt.Sprint(m[key]) != fmt.Sprint(value) {
			return false
		}
	}
	return m != nil
}
