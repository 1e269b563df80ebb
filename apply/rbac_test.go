package apply_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestRights applies environments with nothing but the rights that NewRights
// gives: no request may be refused. Then each right is taken away in turn, and has
// to be missed: the guard names it, a plan fails, or a request is refused.
//
// The short form takes some of the rights, of one environment that needs every
// kind of them; with EVENKEEL_TORTURE all are taken, and every worked example
// follows, each in a cluster of its own.
func TestRights(t *testing.T) {
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

// sample is how many rights of each mode the short form takes away.
const sample = 4

// rightsEnv is an environment that is applied with the least rights.
type rightsEnv struct {
	env    *schema.Environment
	before *schema.Environment // what the admin applied once
	noWait bool
	cfg    *rest.Config
	admin  *apply.Cluster
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
	modes := map[apply.RightsMode]*trial{}
	for _, mode := range []apply.RightsMode{apply.RightsDiff, apply.RightsVerify, apply.RightsApply, apply.RightsReconcile} {
		modes[mode] = e.trial(t, mode, created)
	}
	mayDiff, mayVerify, mayApply := modes[apply.RightsDiff], modes[apply.RightsVerify], modes[apply.RightsApply]
	mayReconcile := modes[apply.RightsReconcile]
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

// others makes what the environment needs and does not make.
func (e *rightsEnv) others(t *testing.T) {
	t.Helper()
	client, err := kubernetes.NewForConfig(e.cfg)
	must(t, err)
	for _, ext := range e.env.External {
		if ext.Kind != "Secret" {
			continue
		}
		_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ext.Namespace}}, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			must(t, err)
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: ext.Name}, StringData: map[string]string{}}
		for _, key := range ext.Keys {
			secret.StringData[key] = "x"
		}
		_, err = client.CoreV1().Secrets(ext.Namespace).Create(t.Context(), secret, metav1.CreateOptions{})
		must(t, err)
	}
}

// relabel takes the label of the set from every object, so that a plan has to ask
// for each by name, and scales workloads.
func (e *rightsEnv) relabel(t *testing.T) {
	t.Helper()
	e.admin.Mapper.Reset()
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			client := e.client(t, o.Unstructured)
			_, err := client.Patch(t.Context(), o.GetName(), types.MergePatchType,
				[]byte(`{"metadata":{"labels":{"`+schema.LabelPartOf+`":null}}}`), metav1.PatchOptions{FieldManager: "kubectl-label"})
			must(t, err)
			if o.GetKind() == "Deployment" {
				_, err := client.Patch(t.Context(), o.GetName(), types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
				must(t, err)
			}
		}
	}
}

// remove deletes what could not be tried before what it stands on was there:
// custom resources and bindings.
func (e *rightsEnv) remove(t *testing.T) {
	t.Helper()
	removed := map[string]bool{"RoleBinding": true, "ClusterRoleBinding": true}
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			if o.GetKind() == "CustomResourceDefinition" {
				kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
				removed[kind] = true
			}
		}
	}
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			if removed[o.GetKind()] {
				must(t, e.client(t, o.Unstructured).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}))
			}
		}
	}
}

func (e *rightsEnv) client(t *testing.T, o *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	m, err := e.admin.Mapper.RESTMappingWithContext(t.Context(), o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
	must(t, err)
	return e.admin.Dynamic.Resource(m.Resource).Namespace(o.GetNamespace())
}

// less is what is left of the environment when everything that these rights may
// delete has gone from it.
func (e *rightsEnv) less() *schema.Environment {
	env := *e.env
	env.Units = slices.Clone(env.Units)
	for i := range env.Units {
		env.Units[i].Objects = slices.DeleteFunc(slices.Clone(env.Units[i].Objects), func(o schema.Object) bool {
			return o.GetKind() != "Namespace"
		})
	}
	return &env
}

// broken is the environment with workloads that crash, and nothing declared
// healthy.
func (e *rightsEnv) broken() *schema.Environment {
	env := *e.env
	env.Units = slices.Clone(env.Units)
	for i := range env.Units {
		objects := slices.Clone(env.Units[i].Objects)
		for j := range objects {
			o := objects[j].DeepCopy()
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			for _, c := range containers {
				if container, ok := c.(map[string]any); ok {
					container["image"] = "example.com/app:broken-crash"
				}
			}
			if len(containers) > 0 {
				_ = unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers")
			}
			if objects[j].Recreate {
				_ = unstructured.SetNestedField(o.Object, "two", "data", "a")
			}
			objects[j].Unstructured, objects[j].Ready = o, nil
		}
		env.Units[i].Objects = objects
	}
	return &env
}

// untilBroken waits until every workload says why it fails.
func (e *rightsEnv) untilBroken(t *testing.T, broken *schema.Environment) {
	t.Helper()
	workloads := 0
	for i := range broken.Units {
		for _, o := range broken.Units[i].Objects {
			if slices.Contains([]string{"Deployment", "DaemonSet", "StatefulSet"}, o.GetKind()) {
				workloads++
			}
		}
	}
	failing := 0
	for range 60 {
		status, err := e.admin.Status(t.Context(), broken, apply.StatusOptions{})
		must(t, err)
		failing = 0
		for _, u := range status.Units {
			for _, o := range u.Objects {
				if strings.Contains(o.Message, "exit code 1") || strings.Contains(o.Message, "CrashLoopBackOff") {
					failing++
				}
			}
		}
		if failing == workloads {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("%d of %d workloads crash", failing, workloads)
}

// deletePods deletes those that a StatefulSet does not replace by itself while
// they crash.
func (e *rightsEnv) deletePods(t *testing.T) {
	t.Helper()
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			if o.GetKind() == "StatefulSet" {
				pods := e.admin.Dynamic.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(o.GetNamespace())
				must(t, pods.Delete(t.Context(), o.GetName()+"-0", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
			}
		}
	}
}

// oneRight is a verb on a resource in a namespace, of all objects or of some.
type oneRight struct {
	verb, group, resource, url, namespace string
	names                                 []string
}

func (r oneRight) text() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s/%s%s in %q %s", r.verb, r.group, r.resource, r.url, r.namespace, strings.Join(r.names, ",")))
}

// units are those with objects that the right is about.
func (r oneRight) units(env *schema.Environment) []string {
	var units []string
	for i := range env.Units {
		if slices.ContainsFunc(env.Units[i].Objects, func(o schema.Object) bool {
			plural, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
			return plural.Group == r.group && plural.Resource == r.resource && o.GetNamespace() == r.namespace &&
				(len(r.names) == 0 || slices.Contains(r.names, o.GetName()))
		}) {
			units = append(units, env.Units[i].Name)
		}
	}
	return units
}

// trial is what a mode's rights are tried with.
type trial struct {
	env    *schema.Environment
	cfg    *rest.Config
	all    *watched // who has exactly the rights that were printed
	prefix string   // of the groups that have one right each
	rights []oneRight
	tried  map[int]bool // which of them are taken away
	mu     sync.Mutex
	missed map[string]string // the right, and how it was missed
}

// trial puts the manifests of a mode onto the cluster, as they are for one
// ServiceAccount, and one right at a time for a group each.
func (e *rightsEnv) trial(t *testing.T, mode apply.RightsMode, plan *apply.Plan) *trial {
	t.Helper()
	account := rbacv1.Subject{Kind: "ServiceAccount", Namespace: e.env.Namespace, Name: "evenkeel-" + string(mode)}
	rights, err := apply.NewRights(e.env, plan, apply.RightsOptions{Mode: mode, Subject: account, Account: true})
	must(t, err)
	for _, o := range rights.Objects {
		_, err := e.client(t, o).Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "admin", Force: true})
		must(t, err)
		if strings.HasPrefix(o.GetKind(), "Cluster") {
			t.Cleanup(func() {
				_ = e.client(t, o).Delete(context.WithoutCancel(t.Context()), o.GetName(), metav1.DeleteOptions{})
			})
		}
	}
	client, err := kubernetes.NewForConfig(e.cfg)
	must(t, err)
	token, err := client.CoreV1().ServiceAccounts(account.Namespace).CreateToken(t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	cfg := rest.AnonymousClientConfig(e.cfg)
	cfg.BearerToken = token.Status.Token
	tr := &trial{
		env: e.env, cfg: e.cfg, all: watch(t, cfg), prefix: "right-" + e.env.Name + "-" + string(mode) + "-",
		rights: singleRights(t, rights.Objects), tried: map[int]bool{}, missed: map[string]string{},
	}
	for i, n := range rand.Perm(len(tr.rights)) {
		if i < sample || os.Getenv("EVENKEEL_TORTURE") != "" {
			tr.tried[n] = true
		}
	}
	group := errgroup.Group{}
	group.SetLimit(16)
	for i, r := range tr.rights {
		group.Go(func() error { return tr.give(t, client, fmt.Sprint(tr.prefix, i), r) })
	}
	must(t, group.Wait())
	return tr
}

// give binds one right to a group of the same name.
func (tr *trial) give(t *testing.T, client kubernetes.Interface, name string, r oneRight) error {
	meta := metav1.ObjectMeta{Name: name, Namespace: r.namespace}
	rule := rbacv1.PolicyRule{Verbs: []string{r.verb}, APIGroups: []string{r.group}, Resources: []string{r.resource}, ResourceNames: r.names}
	if r.url != "" {
		rule = rbacv1.PolicyRule{Verbs: []string{r.verb}, NonResourceURLs: []string{r.url}}
	}
	subjects := []rbacv1.Subject{{Kind: "Group", APIGroup: rbacv1.GroupName, Name: name}}
	ctx := t.Context()
	if r.namespace != "" {
		_, err := client.RbacV1().Roles(r.namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{})
		_, errBinding := client.RbacV1().RoleBindings(r.namespace).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		}, metav1.CreateOptions{})
		return errors.Join(err, errBinding)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		_ = client.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{})
		_ = client.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{})
	})
	_, err := client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{})
	_, errBinding := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
	}, metav1.CreateOptions{})
	return errors.Join(err, errBinding)
}

// takeAway tries with all rights but one, for each that was not missed yet. try is
// told which units it may be about, none for all, and returns how it was missed.
func (tr *trial) takeAway(t *testing.T, try func(who *watched, units []string) string) {
	t.Helper()
	group := errgroup.Group{}
	group.SetLimit(8)
	for i, r := range tr.rights {
		if !tr.tried[i] || tr.missed[r.text()] != "" {
			continue
		}
		cfg := rest.CopyConfig(tr.cfg)
		cfg.Impersonate = rest.ImpersonationConfig{UserName: fmt.Sprint(tr.prefix, "without-", i), Groups: []string{"system:authenticated"}}
		for j := range tr.rights {
			if j != i {
				cfg.Impersonate.Groups = append(cfg.Impersonate.Groups, fmt.Sprint(tr.prefix, j))
			}
		}
		group.Go(func() error {
			how := try(watch(t, cfg), r.units(tr.env))
			tr.mu.Lock()
			defer tr.mu.Unlock()
			if how != "" {
				tr.missed[r.text()] = how
			}
			return nil
		})
	}
	must(t, group.Wait())
}

// without tries only the rights that another mode has not.
func (tr *trial) without(other *trial) {
	clear(tr.tried)
	for _, i := range rand.Perm(len(tr.rights)) {
		same := func(r oneRight) bool { return r.text() == tr.rights[i].text() }
		if !slices.ContainsFunc(other.rights, same) && (len(tr.tried) < sample || os.Getenv("EVENKEEL_TORTURE") != "") {
			tr.tried[i] = true
		}
	}
}

// singleRights takes roles apart.
func singleRights(t *testing.T, objects []*unstructured.Unstructured) []oneRight {
	t.Helper()
	var out []oneRight
	for _, o := range objects {
		if !strings.HasSuffix(o.GetKind(), "Role") {
			continue
		}
		role := &rbacv1.ClusterRole{}
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role))
		for _, rule := range role.Rules {
			for _, verb := range rule.Verbs {
				for _, url := range rule.NonResourceURLs {
					out = append(out, oneRight{verb: verb, url: url})
				}
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						if slices.Contains([]string{verb, group, resource}, "*") {
							t.Errorf("%s has a wildcard: %v", o.GetName(), rule)
						}
						out = append(out, oneRight{verb: verb, group: group, resource: resource, namespace: o.GetNamespace(), names: rule.ResourceNames})
					}
				}
			}
		}
	}
	return out
}

// watched is a connection that notes what the server forbids.
type watched struct {
	*apply.Cluster
	t    *testing.T
	next http.RoundTripper

	mu        sync.Mutex
	forbidden []string
	enough    context.CancelFunc // ends what one refusal is enough for
}

func watch(t *testing.T, cfg *rest.Config) *watched {
	t.Helper()
	w := &watched{t: t, enough: func() {}}
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		w.next = next
		return w
	})
	c, err := apply.Connect(cfg)
	must(t, err)
	w.Cluster = c
	return w
}

// upTo has the next refusal end what is about to begin.
func (w *watched) upTo(enough context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enough = enough
}

// RoundTrip implements http.RoundTripper.
func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusForbidden {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.forbidden = append(w.forbidden, req.Method+" "+req.URL.Path)
		w.enough()
	}
	return resp, err
}

func (w *watched) refused() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.forbidden, "; ")
}

// named is what the guard of an apply says is missing, or what it is refused.
func (w *watched) named(ctx context.Context, env *schema.Environment, plan *apply.Plan) string {
	missing, err := w.MissingRights(ctx, env, plan, apply.ApplyOptions{})
	return first(strings.Join(missing, "; "), w.only(err))
}

// plans is what is first refused to a plan.
func (w *watched) plans(ctx context.Context, env *schema.Environment, opts apply.PlanOptions) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.upTo(cancel)
	_, err := w.Plan(ctx, env, opts)
	return w.only(err)
}

// only is what was refused. An error that comes of nothing that was refused is no
// right that is missed.
func (w *watched) only(err error) string {
	text := w.refused()
	if text == "" && err != nil {
		w.t.Error(err)
	}
	return text
}

// looks is what is first refused to who looks at health, once and for a while.
func (w *watched) looks(ctx context.Context, env *schema.Environment) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.upTo(cancel)
	for _, timeout := range []time.Duration{0, patience} {
		_, err := w.Status(ctx, env, apply.StatusOptions{Timeout: timeout})
		if text := w.only(err); text != "" {
			return text
		}
	}
	return ""
}

// patience is how long a refusal is waited for; the first ends the wait.
const patience = 30 * time.Second

// reconciles runs the reconciler until something is refused to it, or for a while;
// without a lease it is the only one.
func (w *watched) reconciles(ctx context.Context, env *schema.Environment, lease string) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w.upTo(cancel)
	return w.only(reconcile.Run(ctx, w.daemon(env, reconcile.ModeReport, lease)))
}

func (w *watched) daemon(env *schema.Environment, mode reconcile.Mode, lease string) reconcile.DaemonOptions {
	opts := reconcile.DaemonOptions{
		Mode: mode, Who: "test", Replica: "test", Log: slog.New(slog.DiscardHandler),
		Render: func(_ context.Context, last string) (*reconcile.Rendering, error) {
			if last == "1" {
				return nil, nil
			}
			return &reconcile.Rendering{Version: "1", Environments: []*schema.Environment{env}}, nil
		},
		Connect: func(*schema.Environment) (*apply.Cluster, error) { return w.Cluster, nil },
	}
	if lease != "" {
		opts.Lease = &reconcile.Lease{Config: w.Config, Namespace: env.Namespace, Name: lease, Duration: 2 * time.Second}
	}
	return opts
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

// exampleEnvs are the worked examples as the command renders them.
func exampleEnvs(t *testing.T) []*rightsEnv {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", "../cmd/evenkeel", "render-child")
	cmd.Stdin = strings.NewReader(`{"dir": "..", "all": true}`)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	var rendered struct {
		Environments []*schema.Environment `json:"environments"`
		Wrong        map[string]string     `json:"wrong"`
	}
	must(t, json.Unmarshal(out, &rendered))
	if len(rendered.Environments) != 10 || len(rendered.Wrong) > 0 {
		t.Fatalf("%d environments, want 10; wrong: %v", len(rendered.Environments), rendered.Wrong)
	}
	var envs []*rightsEnv
	for _, env := range rendered.Environments {
		env.Protected = false // which is about the person, not his rights
		// In a sandbox no aggregated API server answers, nobody serves metrics to an
		// autoscaler, and no Service gets an address: those are not waited for.
		envs = append(envs, &rightsEnv{env: env, noWait: env.Name == "cloud-infra" || env.Name == "cloud-prod"})
	}
	return envs
}

// parseEnv reads an environment from manifests that bear the labels of render.
func parseEnv(t *testing.T, name, namespace, text string) *schema.Environment {
	t.Helper()
	env := &schema.Environment{Name: name, Namespace: namespace}
	for doc := range strings.SplitSeq(text, "\n---\n") {
		if strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(doc), "---")) == "" {
			continue
		}
		raw, err := yaml.YAMLToJSON([]byte(doc))
		must(t, err)
		o := &unstructured.Unstructured{}
		must(t, o.UnmarshalJSON(raw))
		labels := o.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		if labels[schema.LabelUnit] == "" {
			labels[schema.LabelUnit] = "app"
		}
		labels[schema.LabelPartOf], labels[schema.LabelManagedBy] = schema.ApplySetID(name, namespace), schema.Manager
		o.SetLabels(labels)
		if env.Unit(labels[schema.LabelUnit]) == nil {
			env.Units = append(env.Units, schema.Unit{Name: labels[schema.LabelUnit]})
		}
		unit := env.Unit(labels[schema.LabelUnit])
		unit.Objects = append(unit.Objects, schema.Object{Unstructured: o, Key: o.GetName()})
	}
	return env
}

// cornerEnv has what the worked examples have not: claims, a custom resource that
// nobody reports on, roles that cannot be held, and an object that left it.
func cornerEnv(t *testing.T) *rightsEnv {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "corner.yaml"))
	must(t, err)
	env := parseEnv(t, "rights-corner", "rights-corner", string(raw))
	before := *env
	before.Units = slices.Clone(env.Units[:1])
	before.Units[0].Objects = slices.Clone(before.Units[0].Objects)
	env.Units[0].Objects = slices.DeleteFunc(env.Units[0].Objects, func(o schema.Object) bool { return o.GetName() == "left" })
	env.External = []schema.External{{Kind: "ConfigMap", Namespace: "default", Name: "kube-root-ca.crt", Keys: []string{"ca.crt"}}}
	app := env.Unit("app").Objects
	for i, o := range app {
		switch o.GetKind() + "/" + o.GetName() {
		case "ConfigMap/frozen":
			app[i].Recreate = true
		case "PersistentVolumeClaim/data": // its class does not exist
			app[i].Ready = &schema.ReadyRule{CEL: "true"}
		}
	}
	return &rightsEnv{env: env, before: &before}
}
