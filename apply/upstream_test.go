package apply_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestUpstream applies the manifests of upstream projects as they are published,
// with all that render would make canonical: what the certificate cannot prove is
// dry-run once, by the plan after the apply, and then never again. It brings
// objects of kube-system, so it runs alone.
func TestUpstream(t *testing.T) {
	s := newScenario(t, applytest.Cluster(t))
	env := s.upstream(t, filepath.Join("..", "testdata", "upstream"))
	objects := 0
	kinds := map[string]bool{}
	var prune, spaces []string
	for _, u := range env.Units {
		for _, o := range u.Objects {
			objects++
			kinds[o.GetKind()] = true
			switch k := o.GetKind(); k {
			case "Namespace":
				spaces = append(spaces, o.GetName())
			case "CustomResourceDefinition":
				prune = append(prune, k+"/"+o.GetName())
			}
		}
	}
	s.apply(t, env)
	t.Cleanup(func() {
		opts := tortureOptions()
		opts.AllowPrune, opts.Timeout = prune, 4*time.Minute
		ctx, done := context.WithCancel(context.WithoutCancel(t.Context()))
		defer done()
		go s.nudge(ctx, t, prune)
		if _, err := s.connect(t).Delete(ctx, env, opts); err != nil {
			t.Errorf("delete: %v", err)
		}
		for _, ns := range spaces { // without waiting until they are gone
			_ = s.client(t).Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).Delete(ctx, ns, metav1.DeleteOptions{})
		}
	})

	c := s.connect(t)
	first, err := c.Plan(t.Context(), env, apply.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Nobody waits for health here, so nobody sees a Job with a TTL of zero succeed.
	news := func(p *apply.Plan) []string {
		return slices.DeleteFunc(changes(p), func(change string) bool {
			return strings.HasPrefix(change, "created Job/ingress-nginx-admission-") || strings.HasPrefix(change, "terminating Job/ingress-nginx-admission-")
		})
	}
	if rest := news(first); len(rest) != 0 {
		t.Errorf("right after the apply the plan has %v", rest)
	}
	// Controllers still write to what is new; what a plan learned holds from when
	// they have done.
	var again *apply.Plan
	for deadline := time.Now().Add(2 * time.Minute); again == nil || again.Requests.DryRun > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("the plans go on to send %d dry-runs", again.Requests.DryRun)
		}
		s.apply(t, env) // keeps what the plan learned
		if again, err = c.Plan(t.Context(), env, apply.PlanOptions{}); err != nil {
			t.Fatal(err)
		}
		if rest := news(again); len(rest) != 0 {
			t.Errorf("the next plan has %v", rest)
		}
	}
	t.Logf("counted: %d objects of %d kinds from %d projects; dry-runs after the apply: %d of what is as published, then %d",
		objects, len(kinds), len(env.Units)-1, first.Requests.DryRun, again.Requests.DryRun)
}

// nudge writes to the definitions that are being deleted, until the context ends.
// One that is deleted seconds after it came finds its storage "(re)initializing", and
// the server tries again ever later, after minutes in the end, or at once after a write.
func (s *scenario) nudge(ctx context.Context, t *testing.T, definitions []string) {
	client := s.client(t).Resource(apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	for n := 0; pause.For(ctx, 5*time.Second) == nil; n++ {
		for _, definition := range definitions {
			_, name, _ := strings.Cut(definition, "/")
			live, err := client.Get(ctx, name, metav1.GetOptions{})
			if err != nil || live.GetDeletionTimestamp() == nil {
				continue
			}
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"nudged":"%d"}}}`, n)
			_, _ = client.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
		}
	}
}

// upstream is an environment with a unit for each project below a directory, and
// the Namespaces that they take for granted.
func (s *scenario) upstream(t *testing.T, dir string) *schema.Environment {
	t.Helper()
	home := unit("environment", s.object("v1", "Namespace", s.namespace, nil))
	units := []schema.Unit{home}
	systems, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	spaces := map[string]bool{"default": true, "kube-system": true, s.namespace: true}
	var wanted []string
	for _, system := range systems {
		u := schema.Unit{Name: system.Name(), After: []string{"environment"}}
		files, err := filepath.Glob(filepath.Join(dir, system.Name(), "*.y*ml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, obj := range s.documents(t, file) {
				u.Objects = append(u.Objects, schema.Object{Unstructured: obj, Key: obj.GetKind() + "/" + obj.GetName()})
				if obj.GetKind() == "Namespace" {
					spaces[obj.GetName()] = true
				} else if ns := obj.GetNamespace(); ns != "" {
					wanted = append(wanted, ns)
				}
			}
		}
		if system.Name() == "traefik" {
			u.Objects = append(u.Objects, s.ingressRoutes()) // the chart leaves its definitions to others
		}
		units = append(units, u)
	}
	slices.Sort(wanted)
	for _, ns := range slices.Compact(wanted) {
		if !spaces[ns] {
			units[0].Objects = append(units[0].Objects, s.object("v1", "Namespace", ns, nil))
		}
	}
	env := &schema.Environment{Name: s.namespace, Namespace: s.namespace, Units: units}
	for _, u := range units {
		for _, o := range u.Objects {
			labels := o.GetLabels()
			if labels == nil {
				labels = map[string]string{}
			}
			labels[schema.LabelPartOf] = schema.ApplySetID(env.Name, env.Namespace)
			labels[schema.LabelUnit] = u.Name
			o.SetLabels(labels)
		}
	}
	return env
}

// documents reads the objects of a file. Placeholders get a value; what has no
// namespace and needs one goes where kubectl would put it.
func (s *scenario) documents(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("__DNS__DOMAIN__", "cluster.local", "__DNS__MEMORY__LIMIT__", "170Mi", "clusterIP: __DNS__SERVER__", "clusterIP: None").Replace(string(raw))
	var out []*unstructured.Unstructured
	for doc := range strings.SplitSeq("\n"+text, "\n---") {
		object := map[string]any{}
		data, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		u := &unstructured.Unstructured{Object: object}
		if string(data) == "null" || u.UnmarshalJSON(data) != nil {
			continue // comments alone, or the values of a chart
		}
		if u.GetKind() == "ValidatingWebhookConfiguration" {
			continue // nobody serves it: it would deny the Ingresses of the others
		}
		if u.GetNamespace() == "" && !isClusterScoped(u.GetKind()) {
			u.SetNamespace(s.namespace)
		}
		out = append(out, u)
	}
	return out
}

// ingressRoutes is Traefik's definition, as far as the API server is concerned.
func (s *scenario) ingressRoutes() schema.Object {
	return s.object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "ingressroutes.traefik.io", map[string]any{"spec": map[string]any{
		"group": "traefik.io", "scope": "Namespaced",
		"names": map[string]any{"kind": "IngressRoute", "listKind": "IngressRouteList", "plural": "ingressroutes", "singular": "ingressroute"},
		"versions": []any{map[string]any{
			"name": "v1alpha1", "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
		}},
	}})
}

func isClusterScoped(kind string) bool {
	switch kind {
	case "Namespace", "ClusterRole", "ClusterRoleBinding", "IngressClass", "CustomResourceDefinition",
		"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "PriorityClass", "StorageClass", "GatewayClass":
		return true
	}
	return false
}
