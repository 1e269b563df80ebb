package apply_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

func TestApplyConverges(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))

	first := s.apply(t, s.before())
	if diff := cmp.Diff(s.want(s.before()), s.members(t)); diff != "" {
		t.Errorf("first apply (-want +got):\n%s", diff)
	}
	if first.Revision != 1 {
		t.Errorf("first apply recorded revision %d", first.Revision)
	}

	versions := s.versions(t)
	second := s.apply(t, s.before())
	if diff := cmp.Diff(versions, s.versions(t)); diff != "" {
		t.Errorf("second apply moved resourceVersions (-before +after):\n%s", diff)
	}
	if second.Requests.Write != 2 || second.Revision != 0 {
		t.Errorf("second apply sent %d writes (want 2: lock taken and released) and recorded revision %d", second.Requests.Write, second.Revision)
	}
	if second.Requests.DryRun != 0 {
		t.Errorf("second apply needed %d dry-runs", second.Requests.DryRun)
	}

	third := s.apply(t, s.after())
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("after the change (-want +got):\n%s", diff)
	}
	want := map[apply.Action]int{apply.Created: 4, apply.Configured: 3, apply.Recreated: 1, apply.Deleted: 3, apply.Unchanged: 2}
	if diff := cmp.Diff(want, third.Summary); diff != "" {
		t.Errorf("summary of the change (-want +got):\n%s", diff)
	}
	if n := len(third.Done); n != 11 || len(third.NotDone) != 0 {
		t.Errorf("the report says %d done, %d not", n, len(third.NotDone))
	}

	parent := s.get(t, schema.ParentName(s.namespace))
	wantKinds := "ConfigMap,CustomResourceDefinition.apiextensions.k8s.io,Namespace,Secret,Service,Widget." + s.group()
	if got := parent.GetAnnotations()[AnnotationKinds]; got != wantKinds {
		t.Errorf("the parent names %s, want %s", got, wantKinds)
	}

	// Back again: the definition is kept, because nothing brings back what
	// goes with it.
	s.apply(t, s.before())
	got := s.members(t)
	delete(got, "CustomResourceDefinition/"+s.crdName())
	wantMembers := s.want(s.before())
	if diff := cmp.Diff(wantMembers, got); diff != "" {
		t.Errorf("back again (-want +got):\n%s", diff)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	opts := tortureOptions()
	opts.Who, opts.Git = "jane", record.GitInfo{Commit: "0123456789abcdef", Dirty: true}
	if _, err := s.run(t.Context(), s.after(), opts); err != nil {
		t.Fatal(err)
	}
	c := s.connect(t)
	history, err := c.History(t.Context(), s.namespace, s.namespace)
	if err != nil {
		t.Fatal(err)
	}
	if len(history) != 2 || history[0].Number != 2 || history[0].Who != "jane" || history[0].Git.String() != "0123456789ab-dirty" {
		t.Fatalf("history: %+v", history)
	}
	one, err := c.Revision(t.Context(), s.namespace, s.namespace, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.before().Units, one.Environment.Units); diff != "" {
		t.Errorf("revision 1 (-want +got):\n%s", diff)
	}
	for i := range 11 {
		env := s.after()
		env.Units[1].Objects[0].Object["data"] = map[string]any{"k": fmt.Sprint("v", i)}
		s.apply(t, env)
	}
	if history, err = c.History(t.Context(), s.namespace, s.namespace); err != nil {
		t.Fatal(err)
	}
	if len(history) != 10 || history[0].Number != 13 || history[9].Number != 4 {
		t.Errorf("%d revisions, from %d to %d, want the last ten of 13", len(history), history[0].Number, history[len(history)-1].Number)
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	many := func(s *scenario, n int) schema.Unit {
		u := unit("many")
		for i := range n {
			u.Objects = append(u.Objects, s.configMap(fmt.Sprintf("m%02d", i), "k", "1"))
		}
		return u
	}
	home := func(s *scenario) schema.Unit {
		return unit("environment", s.object("v1", "Namespace", s.namespace, nil))
	}
	for _, test := range []struct {
		name   string
		before func(s *scenario) *schema.Environment
		after  func(s *scenario) *schema.Environment
		opts   func(o *apply.ApplyOptions)
		reason string
		hint   string
	}{
		{
			name:   "empty environment",
			after:  func(s *scenario) *schema.Environment { return s.env() },
			reason: "renders no object",
			hint:   "delete",
		},
		{
			name:   "more than ten",
			before: func(s *scenario) *schema.Environment { return s.env(home(s), many(s, 40)) },
			after:  func(s *scenario) *schema.Environment { return s.env(home(s), many(s, 29)) },
			reason: "11 objects would be deleted, 30 remain",
			hint:   "--yes=11",
		},
		{
			name:   "more than a third",
			before: func(s *scenario) *schema.Environment { return s.env(home(s), many(s, 12)) },
			after:  func(s *scenario) *schema.Environment { return s.env(home(s), many(s, 6)) },
			reason: "6 objects would be deleted, 7 remain",
		},
		{
			name:   "wrong cluster",
			after:  func(s *scenario) *schema.Environment { e := s.before(); e.Cluster.UID = "another"; return e },
			reason: "is pinned to the cluster another",
		},
		{
			name:   "no pin",
			after:  func(s *scenario) *schema.Environment { return s.before() },
			opts:   func(o *apply.ApplyOptions) { o.Yes = false },
			reason: "is not pinned",
			hint:   "cluster: uid:",
		},
		{
			name:   "protected and dirty",
			after:  func(s *scenario) *schema.Environment { e := s.before(); e.Protected = true; return e },
			opts:   func(o *apply.ApplyOptions) { o.Git.Dirty = true },
			reason: "working tree",
		},
		{
			name:   "protected without a gate",
			after:  func(s *scenario) *schema.Environment { e := s.before(); e.Protected = true; return e },
			reason: "always waits",
		},
		{
			name:   "recreation that nobody allowed",
			before: func(s *scenario) *schema.Environment { return s.env(home(s), unit("app", s.immutable("1"))) },
			after:  func(s *scenario) *schema.Environment { return s.env(home(s), unit("app", s.immutable("2"))) },
			reason: "frozen",
			hint:   "--recreate",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScenario(t, cfg)
			if test.before != nil {
				s.apply(t, test.before(s))
			}
			versions := s.versions(t)
			opts := tortureOptions()
			if test.opts != nil {
				test.opts(&opts)
			}
			_, err := s.run(t.Context(), test.after(s), opts)
			var refused *hint.Refused
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, test.reason) || !strings.Contains(strings.Join(refused.Hints, "\n"), test.hint) {
				t.Errorf("got %v, want a refusal with %q and a hint with %q", err, test.reason, test.hint)
			}
			if diff := cmp.Diff(versions, s.versions(t)); diff != "" {
				t.Errorf("something was written (-before +after):\n%s", diff)
			}
		})
	}
}

func TestConfirmedPrune(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	home := unit("environment", s.object("v1", "Namespace", s.namespace, nil), s.configMap("keep", "k", "1"))
	u := unit("many")
	for i := range 12 {
		u.Objects = append(u.Objects, s.configMap(fmt.Sprintf("m%02d", i), "k", "1"))
	}
	disabled := s.configMap("disabled", "k", "1")
	disabled.SetAnnotations(map[string]string{schema.AnnotationPrune: "disabled"})
	u.Objects = append(u.Objects, disabled)
	s.apply(t, s.env(home, u))
	opts := tortureOptions()
	opts.YesCount = 12
	report, err := s.run(t.Context(), s.env(home), opts)
	if err != nil {
		t.Fatal(err)
	}
	if report.Summary[apply.Deleted] != 12 || report.Summary[apply.Kept] != 1 {
		t.Errorf("summary %v", report.Summary)
	}
	if got := len(s.members(t)); got != 3 {
		t.Errorf("%d objects remain, want the Namespace, keep and disabled", got)
	}
	parent := s.get(t, schema.ParentName(s.namespace))
	if got := parent.GetAnnotations()[AnnotationKinds]; got != "ConfigMap,Namespace" {
		t.Errorf("the parent names %s", got)
	}
}

func TestUnitTouchesOnlyItself(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	opts := tortureOptions()
	opts.Units = []string{"base"}
	if _, err := s.run(t.Context(), s.after(), opts); err != nil {
		t.Fatal(err)
	}
	want := s.want(s.before())
	delete(want, "ConfigMap/old-base")
	want["ConfigMap/change"], want["ConfigMap/new"] = "map[k:2]", "map[k:1]"
	if diff := cmp.Diff(want, s.members(t)); diff != "" {
		t.Errorf("after one unit (-want +got):\n%s", diff)
	}
	s.apply(t, s.after())
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("after all (-want +got):\n%s", diff)
	}
}

func TestMissingRightsAreListedAtOnce(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	s := newScenario(t, cfg)
	s.apply(t, s.before())
	plan, err := s.connect(t).Plan(t.Context(), s.after(), apply.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// A user who may look at everything and touch nothing.
	viewer := rest.CopyConfig(cfg)
	viewer.Impersonate = rest.ImpersonationConfig{UserName: "viewer-" + s.namespace}
	s.grant(t, viewer.Impersonate.UserName, rule("*", "*", "get", "list", "watch"))
	versions := s.versions(t)
	c, err := apply.Connect(viewer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Apply(t.Context(), s.after(), plan, tortureOptions())
	var refused *hint.Refused
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	for _, want := range []string{
		"create leases.coordination.k8s.io in namespace " + s.namespace,
		"update leases.coordination.k8s.io " + schema.ParentName(s.namespace) + " in namespace " + s.namespace,
		"patch configmaps in namespace " + s.namespace,
		"delete configmaps in namespace " + s.namespace,
		"delete secrets in namespace " + s.namespace,
		"patch services svc in namespace " + s.namespace,
		"create customresourcedefinitions.apiextensions.k8s.io " + s.crdName(),
		"create widgets." + s.group() + " w in namespace " + s.namespace,
	} {
		if !slices.Contains(strings.Split(refused.Reason, "\n"), "  "+want) {
			t.Errorf("not listed: %s", want)
		}
	}
	if strings.Contains(refused.Reason, "get ") {
		t.Errorf("listed, although it was granted:\n%s", refused.Reason)
	}
	if diff := cmp.Diff(versions, s.versions(t)); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
}

// TestForbiddenInTheMiddle lacks two rights that the run would need last, and then
// one that the plan needs, too: it must not begin, and say all of them.
func TestForbiddenInTheMiddle(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	s := newScenario(t, cfg)
	s.apply(t, s.before())
	widgets := "\n  create widgets." + s.group() + " w in namespace " + s.namespace +
		"\n  patch widgets." + s.group() + " w in namespace " + s.namespace
	s.forbids(t, cfg, "these rights are missing:\n  delete secrets in namespace "+s.namespace+widgets,
		rule("*", "*", "get", "list", "watch"))
	s.forbids(t, cfg, "these rights are missing:\n  delete secrets in namespace "+s.namespace+
		"\n  list secrets in namespace "+s.namespace+widgets,
		rule("", "*", "get"), rule("", "namespaces", "list"), rule("", "configmaps", "list"), rule("", "services", "list"),
		rule("coordination.k8s.io", "*", "get", "list"), rule("apiextensions.k8s.io", "*", "get", "list"), rule(s.group(), "*", "get", "list"))
}

// forbids applies as somebody who may write nearly all of the change, and reads.
func (s *scenario) forbids(t *testing.T, cfg *rest.Config, want string, reads ...any) {
	t.Helper()
	deployer := rest.CopyConfig(cfg)
	deployer.Impersonate = rest.ImpersonationConfig{UserName: fmt.Sprintf("deployer-%d-%s", len(reads), s.namespace)}
	s.grant(t, deployer.Impersonate.UserName, append(reads,
		rule("", "configmaps", "create", "update", "patch", "delete"),
		rule("", "secrets", "create", "patch"),
		rule("", "services", "create", "patch"),
		rule("coordination.k8s.io", "leases", "create", "update"),
		rule("apiextensions.k8s.io", "customresourcedefinitions", "create", "patch"),
	)...)
	versions := s.versions(t)
	deployed := &scenario{namespace: s.namespace, cfg: deployer}
	_, err := deployed.run(t.Context(), s.after(), tortureOptions())
	if exitCode(err) != 4 || strings.TrimPrefix(err.Error(), "plan: ") != want {
		t.Errorf("got %v, want\n%s", err, want)
	}
	if diff := cmp.Diff(versions, s.versions(t)); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
}

func TestTwoAppliesAtOnce(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	other := s.before()
	other.Units[1].Objects = other.Units[1].Objects[:2]
	other.Units[1].Objects[0].Object["data"] = map[string]any{"k": "other"}

	// Both have planned before either writes.
	c := s.connect(t)
	plan, err := c.Plan(t.Context(), other, apply.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, s.after())
	_, err = c.Apply(t.Context(), other, plan, tortureOptions())
	var refused *hint.Refused
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "since the plan was made") {
		t.Errorf("got %v, want a refusal because the plan is out of date", err)
	}
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLockIsHeld(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	held, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		opts := tortureOptions()
		opts.Who = "jane"
		opts.On = func(e apply.Event) {
			if e.Phase == apply.PhaseWiden {
				close(held)
				<-release
			}
		}
		_, err := s.run(t.Context(), s.after(), opts)
		ended <- err
	}()
	<-held
	opts := tortureOptions()
	opts.LockTimeout = 0
	_, err := s.run(t.Context(), s.after(), opts)
	var refused *hint.Refused
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "is locked by jane on ") {
		t.Errorf("got %v, want a refusal that names jane", err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the holder: %v", err)
	}
}

func TestDriftDuringApply(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	c := s.connect(t)
	plan, err := c.Plan(t.Context(), s.after(), apply.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else writes what the plan changes, and what it deletes.
	s.edit(t, "change", `{"data":{"k":"edited"}}`)
	s.edit(t, "old-app", `{"data":{"precious":"yes"}}`)
	s.edit(t, "other", `{"metadata":{"annotations":{"a":"b"}}}`) // moves the version, changes nothing of ours
	_, err = c.Apply(t.Context(), s.after(), plan, tortureOptions())
	if err == nil || !strings.Contains(err.Error(), "ConfigMap/"+s.namespace+"/change: it changed since the plan was made") {
		t.Errorf("got %v, want the object that changed", err)
	}
	members := s.members(t)
	if members["ConfigMap/change"] != "map[k:edited]" {
		t.Errorf("written over: %s", members["ConfigMap/change"])
	}
	if members["ConfigMap/old-app"] == "" {
		t.Error("pruned although a write failed")
	}

	s.apply(t, s.after())
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("after the next run (-want +got):\n%s", diff)
	}
}

func TestEditedObjectIsNotPruned(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	c := s.connect(t)
	plan, err := c.Plan(t.Context(), s.after(), apply.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.edit(t, "old-app", `{"data":{"precious":"yes"}}`)
	_, err = c.Apply(t.Context(), s.after(), plan, tortureOptions())
	if err == nil || !strings.Contains(err.Error(), "old-app") {
		t.Errorf("got %v, want the object that changed", err)
	}
	if s.members(t)["ConfigMap/old-app"] == "" {
		t.Error("deleted an object that was edited after the plan")
	}
}

func TestFinalizerIsNamed(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	s.edit(t, "old-app", `{"metadata":{"finalizers":["example.com/never"]}}`)
	opts := tortureOptions()
	opts.Timeout = time.Second
	_, err := s.run(t.Context(), s.after(), opts)
	if exitCode(err) != 3 || !strings.Contains(err.Error(), "old-app waits for the finalizer example.com/never") {
		t.Errorf("got %v, want the finalizer by name", err)
	}
	s.edit(t, "old-app", `{"metadata":{"finalizers":null}}`)
	s.apply(t, s.after())
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("after the next run (-want +got):\n%s", diff)
	}
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.env(unit("environment", s.object("v1", "Namespace", s.namespace, nil))))
	existing := s.configMap("adopted", "k", "old", "extra", "x")
	s.create(t, existing.Unstructured, "kubectl-client-side-apply")
	env := s.env(unit("environment", s.object("v1", "Namespace", s.namespace, nil)), unit("app", s.configMap("adopted", "k", "new")))
	report := s.apply(t, env)
	if report.Summary[apply.Adopted] != 1 {
		t.Errorf("summary %v", report.Summary)
	}
	if got := s.members(t)["ConfigMap/adopted"]; got != "map[k:new]" {
		t.Errorf("adopted: %s, want what kubectl applied to be gone", got)
	}
	if again := s.apply(t, env); again.Requests.Write != 2 {
		t.Errorf("the next apply wrote %d times", again.Requests.Write)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	c := s.connect(t)
	opts := tortureOptions()
	opts.Yes = false
	env := s.before()
	env.Cluster.Server = s.cfg.Host
	if _, err := c.Delete(t.Context(), env, opts); exitCode(err) != 4 {
		t.Errorf("without a confirmation: %v", err)
	}
	s.create(t, s.configMap("somebody-elses", "k", "1").Unstructured, "someone")
	opts.Yes = true
	if _, err := c.Delete(t.Context(), env, opts); err != nil {
		t.Fatal(err)
	}
	got := s.members(t)
	if diff := cmp.Diff(map[string]string{"ConfigMap/somebody-elses": "map[k:1]", "Namespace/" + s.namespace: ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	client := s.client(t)
	for _, resource := range []string{"secrets", "configmaps"} {
		list, err := client.Resource(kschema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace(s.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range list.Items {
			if strings.HasPrefix(u.GetName(), "evenkeel-") {
				t.Errorf("%s %s is left", resource, u.GetName())
			}
		}
	}
	if err := client.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(s.namespace).Delete(t.Context(), "somebody-elses", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Delete(t.Context(), env, opts); err != nil {
		t.Fatal(err)
	}
	if got := s.members(t); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}
