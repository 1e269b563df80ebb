package apply_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/rbac"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// sample is how many rights of each mode the short form takes away.
const sample = 4

// oneRight is a verb on a resource in a namespace, of all objects or of some.
type oneRight struct {
	verb, group, resource, url, namespace string
	names                                 []string
}

func (r oneRight) text() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s/%s%s in %q %s", r.verb, r.group, r.resource, r.url, r.namespace, strings.Join(r.names, ",")))
}

// units are those with objects that the right is about, and those that bring CRDs.
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
	if len(units) == 0 {
		return nil // all of them
	}
	for i := range env.Units {
		if slices.ContainsFunc(env.Units[i].Objects, func(o schema.Object) bool { return o.GetKind() == "CustomResourceDefinition" }) {
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
func (e *rightsEnv) trial(t *testing.T, mode rbac.Mode, plan *apply.Plan) *trial {
	t.Helper()
	account := rbacv1.Subject{Kind: "ServiceAccount", Namespace: e.env.Namespace, Name: "evenkeel-" + string(mode)}
	rights, err := rbac.New(e.env, plan, rbac.Options{Mode: mode, Subject: account, Account: true})
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
	group := contain.NewGroup()
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
	group := contain.NewGroup()
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
