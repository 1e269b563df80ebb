package apply_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// scenario is an environment with a namespace of its own, before and after a
// change.
type scenario struct {
	namespace string
	cfg       *rest.Config

	port      int64         // a node port that was free, see allocate
	others    [2]int64      // and two more
	address   string        // and an address
	impatient time.Duration // how long the lock of a run lasts that waits for no other; zero as usual
}

func newScenario(t testing.TB, cfg *rest.Config) *scenario {
	t.Helper()
	s := &scenario{namespace: "t-" + strings.ToLower(rand.Text()[:10]), cfg: cfg}
	t.Cleanup(func() {
		client, err := dynamic.NewForConfig(cfg)
		if err != nil {
			t.Error(err)
			return
		}
		ctx := context.WithoutCancel(t.Context())
		_ = client.Resource(crdResource()).Delete(ctx, s.crdName(), metav1.DeleteOptions{})
		_ = client.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Delete(ctx, s.namespace, metav1.DeleteOptions{})
	})
	return s
}

// run plans and applies.
func (s *scenario) run(ctx context.Context, env *schema.Environment, opts apply.ApplyOptions) (*apply.Report, error) {
	c, err := apply.Connect(s.cfg)
	if err != nil {
		return nil, err
	}
	return applyWith(ctx, c, env, opts)
}

func applyWith(ctx context.Context, c *apply.Cluster, env *schema.Environment, opts apply.ApplyOptions) (*apply.Report, error) {
	plan, err := c.Plan(ctx, env, apply.PlanOptions{
		Units: opts.Units, ForceConflicts: opts.ForceConflicts, TakeOwnership: opts.TakeOwnership,
		Recreate: opts.Recreate, Prune: opts.AllowPrune, DeleteFirst: opts.DeleteFirst, ToApply: true,
	})
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	before := plan.Everything()
	report, err := c.Apply(ctx, env, plan, opts)
	if after := plan.Everything(); after != before {
		err = errors.Join(err, fmt.Errorf("apply changed the plan of its caller (-before +after):\n%s", cmp.Diff(before, after)))
	}
	return report, err
}

// apply runs without trouble.
func (s *scenario) apply(t *testing.T, env *schema.Environment) *apply.Report {
	t.Helper()
	report, err := s.run(t.Context(), env, tortureOptions())
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return report
}

// before is what the environment was, after what it is changed to.
func (s *scenario) before() *schema.Environment {
	frozen := s.immutable("1")
	frozen.Recreate = true
	return s.env(
		unit("environment", s.object("v1", "Namespace", s.namespace, nil)),
		unit("base", s.configMap("keep", "k", "1"), s.configMap("change", "k", "1"), s.configMap("old-base", "k", "1")),
		unit("app", s.configMap("other", "k", "1"), frozen, s.service("svc", "1"), s.configMap("old-app", "k", "1"), s.secret("old-secret", "1")),
	)
}

func (s *scenario) after() *schema.Environment {
	frozen := s.immutable("2")
	frozen.Recreate = true
	crd := s.crd()
	return s.env(
		unit("environment", s.object("v1", "Namespace", s.namespace, nil)),
		unit("base", s.configMap("keep", "k", "1"), s.configMap("change", "k", "2"), s.configMap("new", "k", "1")),
		unit("definitions", crd),
		unit("app", s.configMap("other", "k", "1", "l", "2"), frozen, s.service("svc", "2"), s.secret("new-secret", "1"), s.widget("w")),
	)
}

// recreates reports whether the change replaces an object.
func (s *scenario) recreates(name string) bool { return name == "ConfigMap/frozen" }

func (s *scenario) env(units ...schema.Unit) *schema.Environment {
	env := &schema.Environment{Name: s.namespace, Namespace: s.namespace, Units: units}
	for _, u := range units {
		for _, o := range u.Objects {
			o.SetLabels(map[string]string{
				schema.LabelPartOf:    schema.ApplySetID(env.Name, env.Namespace),
				schema.LabelManagedBy: schema.Manager,
				schema.LabelUnit:      u.Name,
			})
		}
	}
	return env
}

func unit(name string, objects ...schema.Object) schema.Unit {
	u := schema.Unit{Name: name, Objects: objects}
	if name == "app" {
		u.After = []string{"base"}
	}
	return u
}

func (s *scenario) object(apiVersion, kind, name string, content map[string]any) schema.Object {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	maps.Copy(u.Object, content)
	u.SetName(name)
	if kind != "Namespace" && kind != "CustomResourceDefinition" {
		u.SetNamespace(s.namespace)
	}
	return schema.Object{Unstructured: u, Key: name}
}

func (s *scenario) configMap(name string, pairs ...string) schema.Object {
	data := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		data[pairs[i]] = pairs[i+1]
	}
	return s.object("v1", "ConfigMap", name, map[string]any{"data": data})
}

// immutable is a ConfigMap whose data cannot be changed.
func (s *scenario) immutable(value string) schema.Object {
	return s.object("v1", "ConfigMap", "frozen", map[string]any{"data": map[string]any{"k": value}, "immutable": true})
}

func (s *scenario) secret(name, value string) schema.Object {
	return s.object("v1", "Secret", name, map[string]any{"type": "Opaque", "data": map[string]any{"k": base64.StdEncoding.EncodeToString([]byte("secret-" + value))}})
}

func (s *scenario) service(name, app string) schema.Object {
	return s.object("v1", "Service", name, map[string]any{"spec": map[string]any{
		"selector": map[string]any{"app": "a" + app},
		"ports":    []any{map[string]any{"name": "http", "port": int64(80), "protocol": "TCP"}},
	}})
}

func crdResource() kschema.GroupVersionResource {
	return kschema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

func (s *scenario) group() string { return s.namespace + ".example.com" }

func (s *scenario) crdName() string { return "widgets." + s.group() }

func (s *scenario) crd() schema.Object {
	return s.object("apiextensions.k8s.io/v1", "CustomResourceDefinition", s.crdName(), map[string]any{"spec": map[string]any{
		"group": s.group(),
		"names": map[string]any{"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"},
		"scope": "Namespaced",
		"versions": []any{map[string]any{
			"name": "v1", "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{
				"type":       "object",
				"properties": map[string]any{"spec": map[string]any{"type": "object", "properties": map[string]any{"size": map[string]any{"type": "integer"}}}},
			}},
		}},
	}})
}

func (s *scenario) widget(name string) schema.Object {
	return s.object(s.group()+"/v1", "Widget", name, map[string]any{"spec": map[string]any{"size": int64(3)}})
}

// want are the objects of an environment with what of them the tests look at.
func (s *scenario) want(env *schema.Environment) map[string]string {
	out := map[string]string{}
	for _, u := range env.Units {
		for _, o := range u.Objects {
			out[o.GetKind()+"/"+o.GetName()] = content(o.Unstructured)
		}
	}
	return out
}

func content(u *unstructured.Unstructured) string {
	switch u.GetKind() {
	case "ConfigMap", "Secret":
		return fmt.Sprint(u.Object["data"])
	case "Service":
		selector, _, _ := unstructured.NestedMap(u.Object, "spec", "selector")
		return fmt.Sprint(selector)
	case "Deployment":
		containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
		if len(containers) == 0 {
			return ""
		}
		container, _ := containers[0].(map[string]any)
		return fmt.Sprint(container["image"])
	case "Widget":
		return fmt.Sprint(u.Object["spec"])
	}
	return ""
}

// live are all objects of the kinds of the scenario, labelled or not, except
// what Kubernetes and evenkeel keep for themselves.
func (s *scenario) live(t *testing.T) []unstructured.Unstructured {
	t.Helper()
	return slices.DeleteFunc(s.all(t), func(u unstructured.Unstructured) bool {
		return strings.HasPrefix(u.GetName(), schema.ParentName(s.namespace))
	})
}

// all are the objects of the kinds of the scenario, whoever made them.
func (s *scenario) all(t *testing.T) []unstructured.Unstructured {
	t.Helper()
	client, err := dynamic.NewForConfig(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out []unstructured.Unstructured
	for _, gvr := range []kschema.GroupVersionResource{
		{Version: "v1", Resource: "configmaps"},
		{Version: "v1", Resource: "secrets"},
		{Version: "v1", Resource: "services"},
		{Group: "apps", Version: "v1", Resource: "deployments"},
		{Group: s.group(), Version: "v1", Resource: "widgets"},
	} {
		list, err := client.Resource(gvr).Namespace(s.namespace).List(t.Context(), metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, list.Items...)
	}
	for gvr, name := range map[kschema.GroupVersionResource]string{
		crdResource():                           s.crdName(),
		{Version: "v1", Resource: "namespaces"}: s.namespace,
	} {
		u, err := client.Resource(gvr).Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, *u)
	}
	return slices.DeleteFunc(out, func(u unstructured.Unstructured) bool {
		return u.GetName() == "kube-root-ca.crt"
	})
}

func (s *scenario) members(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, u := range s.live(t) {
		out[u.GetKind()+"/"+u.GetName()] = content(&u)
	}
	return out
}

func (s *scenario) uids(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, u := range s.live(t) {
		out[u.GetKind()+"/"+u.GetName()] = string(u.GetUID())
	}
	return out
}

func (s *scenario) connect(t *testing.T) *apply.Cluster {
	t.Helper()
	c, err := apply.Connect(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *scenario) client(t testing.TB) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// get reads a ConfigMap.
func (s *scenario) get(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	u, err := s.client(t).Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(s.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (s *scenario) lease(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	leases := kschema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
	u, err := s.client(t).Resource(leases).Namespace(s.namespace).Get(t.Context(), schema.ParentName(s.namespace), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// edit changes a ConfigMap as somebody else.
func (s *scenario) edit(t *testing.T, name, patch string) {
	t.Helper()
	_, err := s.client(t).Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(s.namespace).
		Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *scenario) create(t testing.TB, u *unstructured.Unstructured, manager string) {
	t.Helper()
	_, err := s.client(t).Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(s.namespace).
		Create(t.Context(), u, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		t.Fatal(err)
	}
}

// rule allows verbs on a resource.
func rule(group, resource string, verbs ...string) any {
	list := make([]any, len(verbs))
	for i, v := range verbs {
		list[i] = v
	}
	return map[string]any{"verbs": list, "apiGroups": []any{group}, "resources": []any{resource}}
}

// grant gives a user rights in the whole cluster.
func (s *scenario) grant(t *testing.T, user string, rules ...any) {
	t.Helper()
	client := s.client(t)
	name := "test-" + user
	rbac := kschema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
	roles, bindings := client.Resource(rbac.WithResource("clusterroles")), client.Resource(rbac.WithResource("clusterrolebindings"))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = roles.Delete(ctx, name, metav1.DeleteOptions{})
		_ = bindings.Delete(ctx, name, metav1.DeleteOptions{})
	})
	_, err := roles.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": rbac.String(), "kind": "ClusterRole", "metadata": map[string]any{"name": name},
		"rules": rules,
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = bindings.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": rbac.String(), "kind": "ClusterRoleBinding", "metadata": map[string]any{"name": name},
		"roleRef":  map[string]any{"apiGroup": rbac.Group, "kind": "ClusterRole", "name": name},
		"subjects": []any{map[string]any{"apiGroup": rbac.Group, "kind": "User", "name": user}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// versions are the resourceVersions of everything in the scenario, evenkeel's
// own records included and its lock left out.
func (s *scenario) versions(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, u := range s.all(t) {
		out[u.GetKind()+"/"+u.GetName()] = u.GetResourceVersion()
	}
	return out
}
