package apply_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/rbac"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
)

// TestRights applies environments with nothing but the rights that rbac.New
// gives: no request may be refused. Then each right is taken away in turn, and has
// to be missed: the guard names it, a plan fails, or a request is refused.
//
// The short form takes some of the rights, of one environment that needs every
// kind of them; with EVENKEEL_TORTURE all are taken, and every worked example
// follows, each in a cluster of its own.
func TestRights(t *testing.T) {
	t.Parallel()
	envs := []*rightsEnv{cornerEnv(t)}
	if os.Getenv("EVENKEEL_TORTURE") != "" {
		envs = append(envs, exampleEnvs(t)...)
	}
	for i, e := range envs {
		t.Run(e.env.Name, func(t *testing.T) {
			e.cfg = applytest.Cluster(t)
			var err error
			if i > 0 {
				e.cfg, err = clientcmd.BuildConfigFromFlags("", applytest.FreshKubeconfig(t, e.env.Name))
				must(t, err)
				e.cfg.QPS, e.cfg.Burst, e.cfg.WarningHandler = -1, -1, rest.NoWarnings{}
			}
			e.admin, err = apply.Connect(e.cfg)
			must(t, err)
			if e.before != nil {
				_, err := applyWith(t.Context(), e.admin, e.before, apply.ApplyOptions{Yes: true})
				must(t, err)
			}
			e.prove(t)
		})
	}
}

// must ends a test with an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (e *rightsEnv) prove(t *testing.T) {
	ctx := t.Context()
	e.others(t)
	created, err := e.admin.Plan(ctx, e.env, apply.PlanOptions{ListOnly: true})
	must(t, err)
	modes := map[rbac.Mode]*trial{}
	for _, mode := range []rbac.Mode{rbac.Diff, rbac.Verify, rbac.Apply, rbac.Reconcile} {
		modes[mode] = e.trial(t, mode, created)
	}
	mayDiff, mayVerify, mayApply := modes[rbac.Diff], modes[rbac.Verify], modes[rbac.Apply]
	mayReconcile := modes[rbac.Reconcile]
	mayReconcile.without(mayApply)

	// While nothing is there, all of it is created.
	created, err = e.admin.Plan(ctx, e.env, apply.PlanOptions{})
	must(t, err)
	mayDiff.takeAway(t, func(who *watched, units []string) string {
		return who.plans(ctx, e.env, apply.PlanOptions{ListOnly: true, Units: units})
	})
	mayVerify.takeAway(t, func(who *watched, units []string) string {
		return who.plans(ctx, e.env, apply.PlanOptions{Units: units})
	})
	mayApply.takeAway(t, func(who *watched, units []string) string {
		return first(who.named(ctx, e.env, created), who.plans(ctx, e.env, apply.PlanOptions{Units: units}))
	})
	opts := apply.ApplyOptions{Yes: true, NoWait: e.noWait, Timeout: time.Minute}
	_, err = applyWith(ctx, mayApply.all.Cluster, e.env, opts)
	must(t, err)
	for who, plan := range map[*trial]apply.PlanOptions{mayDiff: {ListOnly: true}, mayVerify: {Full: true}, mayApply: {}} {
		p, err := who.all.Plan(ctx, e.env, plan)
		must(t, err)
		if p.Differs(false) {
			t.Errorf("after the apply, %+v: %+v", plan, p.Changes)
		}
	}

	// Somebody scales by hand and takes labels off, and deletes what can be.
	for _, tamper := range []func(*testing.T){e.relabel, e.remove} {
		tamper(t)
		mayDiff.takeAway(t, func(who *watched, units []string) string {
			return who.plans(ctx, e.env, apply.PlanOptions{ListOnly: true, Units: units})
		})
		for _, tr := range []*trial{mayVerify, mayApply} {
			tr.takeAway(t, func(who *watched, units []string) string {
				return who.plans(ctx, e.env, apply.PlanOptions{Units: units})
			})
		}
	}

	mayReconcile.takeAway(t, func(who *watched, _ []string) string {
		return first(who.reconciles(ctx, e.env, ""), who.reconciles(ctx, e.env, "evenkeel-reconcile"))
	})

	// What was rendered is broken, or no longer rendered.
	less := e.less()
	broken := e.broken()
	_, err = applyWith(ctx, mayApply.all.Cluster, broken, apply.ApplyOptions{Yes: true, NoWait: true})
	must(t, err)
	deleted, err := e.admin.Plan(ctx, less, apply.PlanOptions{})
	must(t, err)
	recreated, err := e.admin.Plan(ctx, e.env, apply.PlanOptions{})
	must(t, err)
	e.untilBroken(t, broken)
	mayApply.takeAway(t, func(who *watched, _ []string) string {
		return first(who.named(ctx, less, deleted), who.named(ctx, e.env, recreated), who.looks(ctx, broken))
	})
	for mode, trial := range modes {
		for i, r := range trial.rights {
			if trial.tried[i] && trial.missed[r.text()] == "" && !e.holds(t, trial, r) {
				t.Errorf("mode %s: nothing misses the right to %s", mode, r.text())
			}
		}
		t.Logf("counted: rights of %s, mode %s: %d, %d taken away one by one, %d missed", e.env.Name, mode, len(trial.rights), len(trial.tried), len(trial.missed))
	}

	// With the rights alone it is repaired, and what left it is deleted.
	_, err = applyWith(ctx, mayApply.all.Cluster, e.env, apply.ApplyOptions{Yes: true, NoWait: true})
	must(t, err)
	e.deletePods(t)
	_, err = applyWith(ctx, mayApply.all.Cluster, e.env, opts)
	must(t, err)
	e.reconciled(t, mayReconcile.all)
	opts.YesCount = deleted.Summary[apply.Deleted]
	report, err := applyWith(ctx, mayApply.all.Cluster, less, opts)
	must(t, err)
	if report.Summary[apply.Deleted] == 0 {
		t.Errorf("nothing was deleted: %v", report.Summary)
	}
	for mode, trial := range modes {
		if refused := trial.all.refused(); refused != "" {
			t.Errorf("mode %s: with all rights the server refused %s", mode, refused)
		}
	}
}

// holds reports whether a right is the one to bind a role that grants nothing but
// what is held anyway: the API server asks for either. Only the cluster knows what
// the roles of others grant.
func (e *rightsEnv) holds(t *testing.T, tr *trial, r oneRight) bool {
	t.Helper()
	if r.verb != "bind" || r.resource != "roles" {
		return false
	}
	client, err := kubernetes.NewForConfig(e.cfg)
	must(t, err)
	role, err := client.RbacV1().Roles(r.namespace).Get(t.Context(), r.names[0], metav1.GetOptions{})
	must(t, err)
	held := func(verb, group, resource, name string) bool {
		return slices.ContainsFunc(tr.rights, func(h oneRight) bool {
			return h.verb == verb && h.group == group && h.resource == resource && (h.namespace == "" || h.namespace == r.namespace) &&
				(len(h.names) == 0 || slices.Contains(h.names, name))
		})
	}
	for _, rule := range role.Rules {
		for _, verb := range rule.Verbs {
			for _, name := range rule.ResourceNames {
				if !held(verb, rule.APIGroups[0], rule.Resources[0], name) {
					return false
				}
			}
		}
	}
	return true
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// reconciled has the reconciler write back what somebody scaled by hand.
func (e *rightsEnv) reconciled(t *testing.T, who *watched) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var deployment *unstructured.Unstructured
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			if _, counted, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); counted && o.GetKind() == "Deployment" {
				deployment = o.Unstructured
			}
		}
	}
	client := e.client(t, deployment)
	before, err := client.Get(ctx, deployment.GetName(), metav1.GetOptions{})
	must(t, err)
	want, _, _ := unstructured.NestedInt64(before.Object, "spec", "replicas")
	done := make(chan error)
	go func() { done <- reconcile.Run(ctx, who.daemon(e.env, reconcile.ModeCorrect, "evenkeel-reconcile")) }()
	_, err = client.Patch(ctx, deployment.GetName(), types.MergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
	must(t, err)
	got := int64(4)
	for got != want && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
		live, err := client.Get(t.Context(), deployment.GetName(), metav1.GetOptions{})
		must(t, err)
		got, _, _ = unstructured.NestedInt64(live.Object, "spec", "replicas")
	}
	time.Sleep(time.Second) // for the Event
	cancel()
	must(t, <-done)
	if got != want {
		t.Errorf("%d replicas, want %d: not written back", got, want)
	}
}
