package apply_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

const AnnotationKinds = "applyset.kubernetes.io/contains-group-kinds"

// TestRecreate changes fields of built-in kinds that cannot be changed.
func TestRecreate(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	selector := func(s *scenario, label string) schema.Object {
		d := s.deployment("web", "x:1")
		for _, path := range [][]string{{"spec", "selector", "matchLabels"}, {"spec", "template", "metadata", "labels"}} {
			_ = unstructured.SetNestedStringMap(d.Object, map[string]string{"app": label}, path...)
		}
		return d
	}
	cluster := func(s *scenario, ip string) schema.Object {
		svc := s.service("svc", "1")
		_ = unstructured.SetNestedField(svc.Object, "NodePort", "spec", "type")
		if ip != "" {
			_ = unstructured.SetNestedField(svc.Object, "ClusterIP", "spec", "type")
			_ = unstructured.SetNestedField(svc.Object, ip, "spec", "clusterIP")
		}
		return svc
	}
	job := func(s *scenario, image string) schema.Object {
		return s.object("batch/v1", "Job", "job", map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"restartPolicy": "Never", "containers": []any{map[string]any{"name": "c", "image": image}},
		}}}})
	}
	claim := func(s *scenario, size string) schema.Object {
		return s.object("v1", "PersistentVolumeClaim", "claim", map[string]any{"spec": map[string]any{
			"accessModes": []any{"ReadWriteOnce"}, "storageClassName": size,
			"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
		}})
	}
	invalid := func(s *scenario) schema.Object {
		d := selector(s, "b")
		_ = unstructured.SetNestedField(d.Object, "Sometimes", "spec", "template", "spec", "restartPolicy")
		return d
	}
	for _, test := range []struct {
		name          string
		before, after func(s *scenario) schema.Object
		named         bool
		refused       string // empty: recreated
	}{
		{name: "selector of a Deployment", before: func(s *scenario) schema.Object { return selector(s, "a") }, after: func(s *scenario) schema.Object { return selector(s, "b") }},
		{name: "a Service becomes headless", before: func(s *scenario) schema.Object { return cluster(s, "") }, after: func(s *scenario) schema.Object { return cluster(s, "None") }},
		{name: "template of a Job", before: func(s *scenario) schema.Object { return job(s, "x:1") }, after: func(s *scenario) schema.Object { return job(s, "x:2") }},
		{name: "a claim", before: func(s *scenario) schema.Object { return claim(s, "a") }, after: func(s *scenario) schema.Object { return claim(s, "b") }, refused: "is never recreated"},
		{name: "a claim by name", before: func(s *scenario) schema.Object { return claim(s, "a") }, after: func(s *scenario) schema.Object { return claim(s, "b") }, named: true, refused: "is never recreated"},
		{name: "an invalid one", before: func(s *scenario) schema.Object { return selector(s, "a") }, after: invalid, refused: "restartPolicy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			before, after := test.before(s), test.after(s)
			after.Recreate = true
			s.apply(t, s.env(s.home(), unit("app", before)))
			opts := tortureOptions()
			if test.named {
				opts.Recreate = []string{after.GetKind() + "/" + after.GetName()}
			}
			uid := s.uidOf(t, before)
			report, err := s.run(t.Context(), s.env(s.home(), unit("app", after)), opts)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("got %v, want %q", err, test.refused)
				}
				if now := s.uidOf(t, before); now != uid {
					t.Errorf("uid %s, was %s", now, uid)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if report.Summary[apply.Recreated] != 1 {
				t.Errorf("summary %v", report.Summary)
			}
			if now := s.uidOf(t, before); now == "" || now == uid {
				t.Errorf("uid %q, was %s", now, uid)
			}
			if again := s.apply(t, s.env(s.home(), unit("app", after))); again.Requests.Write != 2 {
				t.Errorf("and again: %+v", again.Changes)
			}
		})
	}
}

// uidOf is the uid of an object, or empty.
func (s *scenario) uidOf(t *testing.T, o schema.Object) string {
	t.Helper()
	resource := strings.ToLower(o.GetKind()) + "s"
	if o.GetKind() == "Ingress" {
		resource = "ingresses"
	}
	u, err := s.client(t).Resource(o.GroupVersionKind().GroupVersion().WithResource(resource)).Namespace(s.namespace).Get(t.Context(), o.GetName(), metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return string(u.GetUID())
}

// TestPruneKeeps takes away what must not be deleted with the rest.
func TestPruneKeeps(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	extra := s.namespace + "-extra"
	namespace := func() schema.Object {
		o := s.object("v1", "Namespace", extra, nil)
		o.SetNamespace("")
		return o
	}
	inside := func() schema.Object {
		o := s.configMap("inside", "k", "1")
		o.SetNamespace(extra)
		return o
	}
	claim := s.object("v1", "PersistentVolumeClaim", "claim", map[string]any{"spec": map[string]any{
		"accessModes": []any{"ReadWriteOnce"}, "resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
	}})
	s.apply(t, s.env(s.home(), unit("app", namespace(), inside(), claim, s.configMap("c", "k", "1"))))
	empty := func() *schema.Environment { return s.env(s.home(), unit("app", s.configMap("c", "k", "1"))) }

	report := s.apply(t, empty())
	if diff := cmp.Diff(map[apply.Action]int{apply.Deleted: 1, apply.Kept: 2, apply.Unchanged: 2}, report.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if got := s.get(t, schema.ParentName(s.namespace)).GetAnnotations()[AnnotationKinds]; got != "ConfigMap,Namespace,PersistentVolumeClaim" {
		t.Errorf("the parent forgets what was kept: %s", got)
	}

	// Named, but somebody else has put something into it.
	opts := tortureOptions()
	opts.AllowPrune = []string{"Namespace/" + extra, "PersistentVolumeClaim/claim"}
	foreign := s.configMap("foreign", "k", "1")
	foreign.SetNamespace(extra)
	maps := s.client(t).Resource(kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(extra)
	if _, err := maps.Create(t.Context(), foreign.Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	report, err := s.run(t.Context(), empty(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if report.Summary[apply.Kept] != 1 || report.Summary[apply.Deleted] != 1 {
		t.Errorf("with something foreign in it: %v", report.Summary)
	}
	if _, err := maps.Get(t.Context(), "foreign", metav1.GetOptions{}); err != nil {
		t.Errorf("the foreign object: %v", err)
	}
	if err := maps.Delete(t.Context(), "foreign", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if report, err = s.run(t.Context(), empty(), opts); err != nil {
		t.Fatal(err)
	}
	if report.Summary[apply.Deleted] != 1 {
		t.Errorf("empty at last: %v", report.Summary)
	}
	if s.uids(t)["Namespace/"+extra] != "" {
		t.Error("the namespace is still there")
	}
}

// TestPruneGoing prunes what somebody deletes after the plan was made: there is
// nothing to do but to wait.
func TestPruneGoing(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.env(s.home(), unit("app", s.configMap("c", "k", "1"), s.configMap("going", "k", "1"))))
	maps := s.client(t).Resource(kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(s.namespace)
	hold := func(finalizers string) {
		patch := fmt.Appendf(nil, `{"metadata":{"finalizers":%s}}`, finalizers)
		if _, err := maps.Patch(context.WithoutCancel(t.Context()), "going", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Error(err)
		}
	}
	hold(`["example.org/hold"]`)
	c, env := s.connect(t), s.env(s.home(), unit("app", s.configMap("c", "k", "1")))
	plan, err := c.Plan(t.Context(), env, apply.PlanOptions{})
	if err != nil || plan.Summary[apply.Deleted] != 1 {
		t.Fatalf("%v %v", err, plan.Summary)
	}
	if err := maps.Delete(t.Context(), "going", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	go func() {
		defer close(released)
		time.Sleep(time.Second)
		hold("null")
	}()
	started := time.Now()
	if _, err := c.Apply(t.Context(), env, plan, tortureOptions()); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took < 900*time.Millisecond {
		t.Errorf("it did not wait until the object was gone: %s", took)
	}
	<-released
	if s.members(t)["ConfigMap/going"] != "" {
		t.Error("it is still there")
	}
}

// TestCopiedLabels renders an EndpointSlice beside a Service whose own slices
// carry a copy of its labels.
func TestCopiedLabels(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	slice := func() schema.Object {
		return s.object("discovery.k8s.io/v1", "EndpointSlice", "mine", map[string]any{
			"addressType": "IPv4",
			"endpoints":   []any{map[string]any{"addresses": []any{"10.1.2.3"}, "conditions": map[string]any{"ready": true, "serving": true, "terminating": false}}},
			"ports":       []any{map[string]any{"name": "http", "port": int64(80), "protocol": "TCP"}},
		})
	}
	web := s.deployment("web", "x:1")
	svc := s.service("web", "1")
	_ = unstructured.SetNestedStringMap(svc.Object, map[string]string{"app": "web"}, "spec", "selector")
	env := func(objects ...schema.Object) *schema.Environment {
		return s.env(s.home(), unit("app", append(objects, web, svc, s.configMap("c", "k", "1"))...))
	}
	if _, err := s.run(t.Context(), env(slice()), gated()); err != nil {
		t.Fatal(err)
	}
	endpointSlices := s.client(t).Resource(kschema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}).Namespace(s.namespace)
	count := func() (n int) {
		list, err := endpointSlices.List(t.Context(), metav1.ListOptions{LabelSelector: schema.LabelPartOf})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	for deadline := time.Now().Add(10 * time.Second); count() < 2; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no EndpointSlice carries a copy of the label")
		}
	}
	report := s.apply(t, env(slice()))
	if report.Requests.Write != 2 || report.Summary[apply.CopiedLabel] != 1 {
		t.Errorf("%d writes, summary %v", report.Requests.Write, report.Summary)
	}
	// Only the rendered one is pruned.
	report = s.apply(t, env())
	if report.Summary[apply.Deleted] != 1 || count() != 1 {
		t.Errorf("summary %v, %d slices left", report.Summary, count())
	}
}

// TestOtherTools refuses what belongs to somebody else, and takes it when told.
func TestOtherTools(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for _, test := range []struct {
		name                string
		labels, annotations map[string]string
		owner               string
	}{
		{name: "helm", annotations: map[string]string{"meta.helm.sh/release-name": "rel", "meta.helm.sh/release-namespace": "x"}, owner: "Helm release rel"},
		{name: "flux", labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}, owner: "Flux Kustomization flux-system/apps"},
		{name: "argo", annotations: map[string]string{"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:ns/c"}, owner: "Argo CD application shop"},
		{name: "another set", labels: map[string]string{schema.LabelPartOf: "applyset-x-v1"}, owner: "ApplySet applyset-x-v1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			s.apply(t, s.env(s.home()))
			theirs := s.configMap("c", "k", "theirs")
			theirs.SetLabels(test.labels)
			theirs.SetAnnotations(test.annotations)
			s.create(t, theirs.Unstructured, "tool")
			env := func() *schema.Environment { return s.env(s.home(), unit("app", s.configMap("c", "k", "ours"))) }
			_, err := s.run(t.Context(), env(), tortureOptions())
			if exitCode(err) != 4 || !strings.Contains(err.Error(), test.owner) {
				t.Errorf("got %v, want a refusal that names %s", err, test.owner)
			}
			if got := s.members(t)["ConfigMap/c"]; got != "map[k:theirs]" {
				t.Errorf("it was written: %s", got)
			}
			opts := tortureOptions()
			opts.TakeOwnership = true
			if _, err := s.run(t.Context(), env(), opts); err != nil {
				t.Fatal(err)
			}
			if got := s.members(t)["ConfigMap/c"]; got != "map[k:ours]" {
				t.Errorf("it was not taken: %s", got)
			}
		})
	}
}

// TestConflict refuses to write over a field that another manager applies.
func TestConflict(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	env := func() *schema.Environment { return s.env(s.home(), unit("app", s.configMap("c", "k", "ours"))) }
	s.apply(t, env())
	_, err := s.client(t).Resource(kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(s.namespace).
		Apply(t.Context(), "c", s.configMap("c", "k", "theirs").Unstructured, metav1.ApplyOptions{FieldManager: "operator", Force: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.run(t.Context(), env(), tortureOptions())
	if exitCode(err) != 4 || !strings.Contains(err.Error(), "operator") || !strings.Contains(err.Error(), "data.k") {
		t.Errorf("got %v, want a refusal that names manager and field", err)
	}
	opts := tortureOptions()
	opts.ForceConflicts = true
	if _, err := s.run(t.Context(), env(), opts); err != nil {
		t.Fatal(err)
	}
	if got := s.members(t)["ConfigMap/c"]; got != "map[k:ours]" {
		t.Errorf("it was not taken: %s", got)
	}
}

// TestManyAppliesAtOnce lets several processes' worth of applies with different
// contents race: what is there in the end is one of them, whole.
func TestManyAppliesAtOnce(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	env := func(version int) *schema.Environment {
		u := unit("app")
		for i := range 8 {
			u.Objects = append(u.Objects, s.configMap(fmt.Sprintf("shared%d", i), "k", fmt.Sprint(version)))
		}
		u.Objects = append(u.Objects, s.configMap(fmt.Sprintf("own%d", version), "k", "1"))
		return s.env(s.home(), u)
	}
	const racers = 4
	var refused, applied int
	for round := range 3 {
		errs := make([]error, racers)
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				opts := tortureOptions()
				opts.LockTimeout = time.Duration(i%2) * 10 * time.Second
				_, errs[i] = s.run(t.Context(), env(round*racers+i), opts)
			})
		}
		wg.Wait()
		for _, err := range errs {
			switch exitCode(err) {
			case 0:
				applied++
			case 4:
				refused++
			default:
				t.Errorf("an apply failed: %v", err)
			}
		}
		members := s.members(t)
		matches := false
		for v := range (round + 1) * racers {
			matches = matches || cmp.Equal(s.want(env(v)), members)
		}
		if !matches {
			t.Errorf("round %d: what is there is none of the contents: %v", round, members)
		}
	}
	if applied == 0 {
		t.Error("none was applied")
	}
	t.Logf("counted: %d applies at once in 3 rounds: %d applied, %d refused", 3*racers, applied, refused)
}

// TestUnansweredGroup prunes nothing while nobody answers for an API group in
// which the environment may have objects, and prunes where it has none there. It
// breaks discovery for all, so it runs alone.
func TestUnansweredGroup(t *testing.T) {
	s, stranger := newScenario(t, applytest.Cluster(t)), newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	stranger.apply(t, stranger.before())
	// As a run leaves the parent that was killed before it wrote such an object.
	parent := s.get(t, schema.ParentName(s.namespace)).GetAnnotations()
	s.edit(t, schema.ParentName(s.namespace), fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, AnnotationKinds,
		parent[AnnotationKinds]+",Thing."+s.namespace+".unanswered.example.com"))
	services := s.client(t).Resource(kschema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	name := "v1." + s.namespace + ".unanswered.example.com"
	_, err := services.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"group": s.namespace + ".unanswered.example.com", "version": "v1", "groupPriorityMinimum": int64(1000), "versionPriority": int64(1),
			"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": s.namespace, "name": "svc"},
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	gone := func() {
		if err := services.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	}
	t.Cleanup(gone)
	var plan *apply.Plan
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if plan, err = s.connect(t).Plan(t.Context(), s.after(), apply.PlanOptions{}); err != nil {
			t.Fatal(err)
		}
		if len(plan.Incomplete) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Skip("the server does not name groups that nobody answers for")
		}
	}
	if _, err := s.connect(t).Apply(t.Context(), s.after(), plan, tortureOptions()); err != nil {
		t.Fatal(err)
	}
	members := s.members(t)
	for _, name := range []string{"ConfigMap/old-base", "ConfigMap/old-app", "Secret/old-secret"} {
		if members[name] == "" {
			t.Errorf("%s was deleted while a group did not answer", name)
		}
	}
	if _, err := s.connect(t).Delete(t.Context(), s.after(), tortureOptions()); exitCode(err) != 4 {
		t.Errorf("delete: %v", err)
	}
	if kinds := s.get(t, schema.ParentName(s.namespace)).GetAnnotations()[AnnotationKinds]; !strings.Contains(kinds, "Thing."+s.namespace) {
		t.Errorf("the parent forgot what could not be seen: %s", kinds)
	}
	stranger.apply(t, stranger.after())
	if diff := cmp.Diff(stranger.want(stranger.after()), stranger.members(t)); diff != "" {
		t.Errorf("an environment without objects in the group (-want +got):\n%s", diff)
	}
	gone()
	for deadline := time.Now().Add(15 * time.Second); len(plan.Incomplete) > 0; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the group is still there")
		}
		if plan, err = s.connect(t).Plan(t.Context(), s.after(), apply.PlanOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.apply(t, s.after())
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDesiredIsBeingDeleted waits for an object that somebody deleted and a
// finalizer holds, and then creates it.
func TestDesiredIsBeingDeleted(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	s.edit(t, "keep", `{"metadata":{"finalizers":["example.com/slow"]}}`)
	maps := s.client(t).Resource(kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(s.namespace)
	if err := maps.Delete(t.Context(), "keep", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	opts := tortureOptions()
	opts.Timeout = time.Second
	_, err := s.run(t.Context(), s.before(), opts)
	if err == nil || !strings.Contains(err.Error(), "keep waits for the finalizer example.com/slow") {
		t.Errorf("got %v, want the finalizer by name", err)
	}
	uid := s.get(t, "keep").GetUID()
	ended := make(chan error, 1)
	go func() {
		_, err := s.run(t.Context(), s.before(), tortureOptions())
		ended <- err
	}()
	time.Sleep(time.Second)
	s.edit(t, "keep", `{"metadata":{"finalizers":null}}`)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.want(s.before()), s.members(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.get(t, "keep").GetUID() == uid {
		t.Error("it is still the one that was deleted")
	}
}
