package apply_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// gated are options with a gate.
func gated() apply.ApplyOptions {
	opts := tortureOptions()
	opts.NoWait, opts.Timeout = false, 60*time.Second
	return opts
}

func (s *scenario) home() schema.Unit {
	return unit("environment", s.object("v1", "Namespace", s.namespace, nil))
}

func (s *scenario) deployment(name, image string) schema.Object {
	labels := map[string]any{"app": name}
	return s.object("apps/v1", "Deployment", name, map[string]any{"spec": map[string]any{
		"replicas": int64(2),
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{
			"metadata": map[string]any{"labels": labels},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "c", "image": image}}},
		},
	}})
}

func (s *scenario) resource(t *testing.T, group, resource, name string) *unstructured.Unstructured {
	t.Helper()
	u, err := s.client(t).Resource(kschema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}).
		Namespace(s.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// patch changes an object as somebody else.
func (s *scenario) patch(t *testing.T, group, resource, name, manager, patch string, subresources ...string) {
	t.Helper()
	_, err := s.client(t).Resource(kschema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}).
		Namespace(s.namespace).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: manager}, subresources...)
	if err != nil {
		t.Fatal(err)
	}
}

func TestGateOrdersUnits(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	env := s.env(
		s.home(),
		schema.Unit{Name: "db", Objects: []schema.Object{s.deployment("db", "x:slow")}},
		schema.Unit{Name: "side", Objects: []schema.Object{s.deployment("side", "x:1")}},
		schema.Unit{Name: "web", After: []string{"db"}, Objects: []schema.Object{s.deployment("web", "x:1")}},
	)
	opts := gated()
	var order []string
	opts.On = func(e apply.Event) {
		if e.Kind == "Deployment" && (e.Phase == apply.PhaseWrite || e.State == health.Healthy) {
			order = append(order, string(e.Phase)+" "+e.Unit)
		}
	}
	report, err := s.run(t.Context(), env, opts)
	if err != nil {
		t.Fatal(err)
	}
	at := func(what string) int { return slices.Index(order, what) }
	if at("write web") < at("gate db") || at("gate db") < 0 {
		t.Errorf("web was written before db was healthy: %v", order)
	}
	if at("write side") > at("gate db") {
		t.Errorf("side waited for db: %v", order)
	}
	if n := len(report.Health); n != 4 {
		t.Errorf("the report has the health of %d objects", n)
	}
	if again, err := s.run(t.Context(), env, gated()); err != nil || again.Requests.Write != 2 || again.Revision != 0 {
		t.Errorf("the next apply: %v, %+v", err, again.Requests)
	}
	status, err := s.connect(t).Status(t.Context(), env, apply.StatusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !status.Healthy || len(status.Units) != 4 {
		t.Errorf("status %+v", status)
	}
}

func TestFailedGate(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	good := s.env(
		s.home(),
		schema.Unit{Name: "db", Objects: []schema.Object{s.deployment("db", "x:1"), s.configMap("old", "k", "1")}},
		schema.Unit{Name: "web", After: []string{"db"}, Objects: []schema.Object{s.configMap("web", "k", "1")}},
	)
	if _, err := s.run(t.Context(), good, gated()); err != nil {
		t.Fatal(err)
	}
	bad := s.env(
		s.home(),
		schema.Unit{Name: "db", Objects: []schema.Object{s.deployment("db", "x:broken-pull")}},
		schema.Unit{Name: "web", After: []string{"db"}, Objects: []schema.Object{s.configMap("web", "k", "2")}},
	)
	for _, run := range []string{"first", "second"} {
		started := time.Now()
		report, err := s.run(t.Context(), bad, gated())
		var unhealthy *health.NotHealthy
		if !errors.As(err, &unhealthy) || !strings.Contains(err.Error(), "unit db: ") || !strings.Contains(err.Error(), "broken-pull") {
			t.Fatalf("%s run: got %v, want the image that cannot be pulled", run, err)
		}
		if took := time.Since(started); took > 40*time.Second {
			t.Errorf("%s run: the gate waited for %s", run, took)
		}
		want := []string{"ConfigMap/" + s.namespace + "/web", "ConfigMap/" + s.namespace + "/old"}
		var got []string
		for _, ref := range report.NotDone {
			got = append(got, ref.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s run: not done (-want +got):\n%s", run, diff)
		}
	}
	members := s.members(t)
	if members["ConfigMap/web"] != "map[k:1]" || members["ConfigMap/old"] == "" {
		t.Errorf("what stands behind the failed gate was touched: %v", members)
	}
	status, err := s.connect(t).Status(t.Context(), bad, apply.StatusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if status.Healthy {
		t.Error("status says healthy")
	}
	history, err := s.connect(t).History(t.Context(), s.namespace, s.namespace)
	if err != nil || len(history) != 1 {
		t.Errorf("a failed apply was recorded: %v, %v", history, err)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	one := s.env(s.home(), unit("app", s.configMap("c", "k", "1"), s.secret("s", "1")))
	two := s.env(s.home(), unit("app", s.configMap("c", "k", "2")))
	noSecrets := tortureOptions()
	noSecrets.NoSecrets = true
	if _, err := s.run(t.Context(), one, noSecrets); err != nil {
		t.Fatal(err)
	}
	opts := tortureOptions()
	second, err := s.run(t.Context(), s.env(s.home(), unit("app", s.configMap("c", "k", "2"), s.secret("s", "2"))), opts)
	if err != nil {
		t.Fatal(err)
	}
	c := s.connect(t)
	revision, err := c.Revision(t.Context(), s.namespace, s.namespace, 1)
	if err != nil {
		t.Fatal(err)
	}
	if revision.Secrets {
		t.Error("revision 1 says that it holds Secrets")
	}
	opts.Hold, opts.LeaveSecrets = second.Rendered, true
	if _, err := s.run(t.Context(), revision.Restored(two), opts); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Namespace/" + s.namespace: "", "ConfigMap/c": "map[k:1]", "Secret/s": content(s.secret("s", "2").Unstructured)}
	if diff := cmp.Diff(want, s.members(t)); diff != "" {
		t.Errorf("rolled back (-want +got):\n%s", diff)
	}

	held := s.env(s.home(), unit("app", s.configMap("c", "k", "2"), s.secret("s", "2")))
	if _, err := s.run(t.Context(), held, tortureOptions()); exitCode(err) != 4 || !strings.Contains(err.Error(), "held") {
		t.Errorf("what was rolled back from was applied again: %v", err)
	}
	release := tortureOptions()
	release.Release = true
	if _, err := s.run(t.Context(), held, release); err != nil {
		t.Errorf("released: %v", err)
	}
	if _, err := s.run(t.Context(), held, tortureOptions()); err != nil {
		t.Errorf("after the release: %v", err)
	}
}

func TestLostLabel(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	s.edit(t, "old-app", `{"metadata":{"labels":{"`+schema.LabelPartOf+`":null}}}`)
	s.edit(t, "keep", `{"metadata":{"labels":{"`+schema.LabelPartOf+`":null}}}`)
	s.apply(t, s.after())
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.get(t, "keep").GetLabels()[schema.LabelPartOf] == "" {
		t.Error("keep is still without the label")
	}
}

// TestMove moves an object from one environment to another, in both orders of
// apply, with and without knowledge of the other environment.
func TestMove(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for _, order := range []string{"from first", "to first"} {
		t.Run(order, func(t *testing.T) {
			s := newScenario(t, cfg)
			named := func(name string, units ...schema.Unit) *schema.Environment {
				env := s.env(units...)
				env.Name = name
				for _, u := range units {
					for _, o := range u.Objects {
						labels := o.GetLabels()
						labels[schema.LabelPartOf] = schema.ApplySetID(name, s.namespace)
						o.SetLabels(labels)
					}
				}
				return env
			}
			moved := func() schema.Object { return s.configMap("moved", "k", "1") }
			plain := func(name string) schema.Object { return s.configMap(name, "k", "1") }
			from1, to1 := named("from", s.home(), unit("a", plain("a"), moved())), named("to", unit("b", plain("b")))
			from2, to2 := named("from", s.home(), unit("a", plain("a"))), named("to", unit("b", plain("b"), moved()))
			s.apply(t, from1)
			s.apply(t, to1)
			uid := s.get(t, "moved").GetUID()
			with := func(env, sibling *schema.Environment) error {
				c := s.connect(t)
				plan, err := c.Plan(t.Context(), env, apply.PlanOptions{Siblings: []*schema.Environment{sibling}})
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.Apply(t.Context(), env, plan, tortureOptions())
				return err
			}
			if order == "from first" {
				if err := with(from2, to2); err != nil {
					t.Fatal(err)
				}
				if err := with(to2, from2); err != nil {
					t.Fatal(err)
				}
			} else {
				if err := with(to2, from2); err != nil {
					t.Fatal(err)
				}
				if err := with(from2, to2); err != nil {
					t.Fatal(err)
				}
			}
			live := s.get(t, "moved")
			if live.GetUID() != uid {
				t.Error("deleted and created again")
			}
			if live.GetLabels()[schema.LabelPartOf] != schema.ApplySetID("to", s.namespace) {
				t.Error("it is not a member of the new environment")
			}
			s.apply(t, from2)
			s.apply(t, to2)
			if s.get(t, "moved").GetUID() != uid {
				t.Error("deleted in the end")
			}
		})
	}
}

// TestAutoscalerTakesOver gives replicas to an autoscaler and takes them back:
// neither may reset them.
func TestAutoscalerTakesOver(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	replicas := func(n int64) schema.Object {
		d := s.deployment("web", "x:1")
		_ = unstructured.SetNestedField(d.Object, n, "spec", "replicas")
		return d
	}
	without := s.deployment("web", "x:1")
	unstructured.RemoveNestedField(without.Object, "spec", "replicas")
	hpa := s.object("autoscaling/v2", "HorizontalPodAutoscaler", "web", map[string]any{"spec": map[string]any{
		"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
		"minReplicas":    int64(3), "maxReplicas": int64(9),
	}})
	watch := s.watchReplicas(t, "web")
	s.apply(t, s.env(s.home(), unit("app", replicas(4))))
	s.apply(t, s.env(s.home(), unit("app", without, hpa)))
	s.apply(t, s.env(s.home(), unit("app", without, hpa)))
	live, _, _ := unstructured.NestedInt64(s.resource(t, "apps", "deployments", "web").Object, "spec", "replicas")
	if live != 4 {
		t.Errorf("after the autoscaler took over: %d replicas", live)
	}
	// The autoscaler scales, as it does through the subresource.
	s.patch(t, "apps", "deployments", "web", "horizontal-pod-autoscaler", `{"spec":{"replicas":6}}`, "scale")
	again := s.apply(t, s.env(s.home(), unit("app", without, hpa)))
	if again.Requests.Write != 2 {
		t.Errorf("the autoscaler's value was seen as drift: %v", again.Changes)
	}
	// Back to a number in git, the same that the autoscaler left.
	opts := tortureOptions()
	opts.ForceConflicts = true
	if _, err := s.run(t.Context(), s.env(s.home(), unit("app", replicas(6))), opts); err != nil {
		t.Fatal(err)
	}
	if seen, want := watch(), []int64{4, 6}; !slices.Equal(seen, want) {
		t.Errorf("replicas went through %v, want %v", seen, want)
	}
}

// watchReplicas notes every value that replicas of a Deployment ever had.
func (s *scenario) watchReplicas(t *testing.T, name string) func() []int64 {
	t.Helper()
	s.apply(t, s.env(s.home()))
	ctx, stop := context.WithCancel(t.Context())
	w, err := s.client(t).Resource(kschema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).
		Namespace(s.namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	var seen []int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			u, ok := e.Object.(*unstructured.Unstructured)
			if !ok {
				continue
			}
			n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
			if len(seen) == 0 || seen[len(seen)-1] != n {
				seen = append(seen, n)
			}
		}
	}()
	return func() []int64 {
		time.Sleep(200 * time.Millisecond) // the last events are on their way
		stop()
		w.Stop()
		<-done
		return seen
	}
}

func TestScaledAwayAndBack(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	env := func() *schema.Environment { return s.env(s.home(), unit("app", s.deployment("web", "x:1"))) }
	s.apply(t, env())
	for _, n := range []string{"5", "2"} {
		s.patch(t, "apps", "deployments", "web", "kubectl", `{"spec":{"replicas":`+n+`}}`, "scale")
	}
	report := s.apply(t, env())
	if report.Summary[apply.Reowned] != 1 {
		t.Errorf("summary %v, want one reowned", report.Summary)
	}
	if again := s.apply(t, env()); again.Requests.Write != 2 {
		t.Errorf("and again: %v", again.Changes)
	}
}

// TestAdoptionWithoutRestart adopts what kubectl created, and no pod is
// replaced where the template is the same.
func TestAdoptionWithoutRestart(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for _, manager := range []string{"kubectl-client-side-apply", "kubectl-create", "kubectl-edit"} {
		t.Run(manager, func(t *testing.T) {
			s := newScenario(t, cfg)
			s.apply(t, s.env(s.home()))
			existing := s.deployment("web", "x:1")
			existing.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "x"})
			_, err := s.client(t).Resource(kschema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).
				Namespace(s.namespace).Create(t.Context(), existing.Unstructured, metav1.CreateOptions{FieldManager: manager})
			if err != nil {
				t.Fatal(err)
			}
			before := s.resource(t, "apps", "deployments", "web")
			opts := gated()
			env := s.env(s.home(), unit("app", s.deployment("web", "x:1")))
			env.Cluster.Server = cfg.Host
			opts.Yes = false
			if _, err := s.run(t.Context(), env, opts); err != nil {
				t.Fatal(err)
			}
			after := s.resource(t, "apps", "deployments", "web")
			if diff := cmp.Diff(before.Object["spec"], after.Object["spec"]); diff != "" {
				t.Errorf("adoption changed the spec:\n%s", diff)
			}
			sets, err := s.client(t).Resource(kschema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}).
				Namespace(s.namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil || len(sets.Items) != 1 {
				t.Errorf("%d ReplicaSets, want the first one alone (%v)", len(sets.Items), err)
			}
			if a := after.GetAnnotations(); a["mine"] != "" || a["kubectl.kubernetes.io/last-applied-configuration"] != "" {
				t.Errorf("annotations that kubectl set are left: %v", a)
			}
			// Another template restarts pods, and needs to be confirmed.
			s2 := newScenario(t, cfg)
			s2.apply(t, s2.env(s2.home()))
			_, err = s2.client(t).Resource(kschema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).
				Namespace(s2.namespace).Create(t.Context(), s2.deployment("web", "x:1").Unstructured, metav1.CreateOptions{FieldManager: manager})
			if err != nil {
				t.Fatal(err)
			}
			env2 := s2.env(s2.home(), unit("app", s2.deployment("web", "x:2")))
			env2.Cluster.Server = cfg.Host
			if _, err := s2.run(t.Context(), env2, opts); exitCode(err) != 4 || !strings.Contains(err.Error(), "replaces its pods") {
				t.Errorf("got %v, want a refusal because pods would be replaced", err)
			}
		})
	}
}

// TestRenamedEnvironment takes over the set of an environment's former name.
func TestRenamedEnvironment(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	uids := s.uids(t)
	env := s.after()
	env.Name, env.Was = "renamed", s.namespace
	for _, u := range env.Units {
		for _, o := range u.Objects {
			labels := o.GetLabels()
			labels[schema.LabelPartOf] = schema.ApplySetID(env.Name, env.Namespace)
			o.SetLabels(labels)
		}
	}
	opts := tortureOptions()
	s.apply(t, env)
	members := s.members(t)
	for name := range members {
		if strings.HasPrefix(name, "ConfigMap/evenkeel-") || strings.HasPrefix(name, "Secret/evenkeel-") {
			delete(members, name) // under the new name
		}
	}
	if diff := cmp.Diff(s.want(env), members); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, uid := range s.uids(t) {
		if was := uids[name]; was != "" && was != uid && !s.recreates(name) {
			t.Errorf("%s was deleted and created again", name)
		}
	}
	for _, u := range s.all(t) {
		if strings.HasPrefix(u.GetName(), schema.ParentName(s.namespace)) {
			t.Errorf("%s/%s is left of the former name", u.GetKind(), u.GetName())
		}
	}
	again, err := s.run(t.Context(), env, opts)
	if err != nil || again.Requests.Write != 2 {
		t.Errorf("the next apply: %v, %+v", err, again)
	}
}
