package rbac

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/canary"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/rights"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Mode says what somebody is to do with an environment; each mode has the
// rights of those before it, too.
type Mode string

// The modes.
const (
	// Diff compares by reading alone (apply.PlanOptions.ListOnly).
	Diff Mode = "diff"
	// Verify plans with dry-runs. RBAC cannot tell these from writes.
	Verify Mode = "verify"
	Apply  Mode = "apply"
	// Reconcile applies again and again, watches, and tells what it did.
	Reconcile Mode = "reconcile"
)

// Options bend New.
type Options struct {
	Mode Mode
	// Subject is who gets the rights.
	Subject rbacv1.Subject
	// Account prints the ServiceAccount that Subject names, too.
	Account bool
	// AnyName leaves the names out of the rights in namespaces, so that what the
	// environment renders later of the same kinds needs no new ones.
	AnyName bool
}

// Roles are the least rights for an environment, as manifests.
type Roles struct {
	Objects []*unstructured.Unstructured
	// Notes are what the reader of the manifests should know.
	Notes []string
}

// New computes the rights that opts.Mode needs: those for what the
// environment renders, and, where there is a plan, for what it has deployed and
// no longer renders. Without a plan, kinds must be built in or have their
// definition in the environment.
func New(env *schema.Environment, plan *apply.Plan, opts Options) (*Roles, error) {
	b := &builder{env: env, plan: plan, opts: opts}
	if err := b.members(); err != nil {
		return nil, fmt.Errorf("environment %s: %w", env.Name, err)
	}
	b.records()
	b.health()
	if opts.Mode != Diff {
		b.granting()
	}
	return b.manifests()
}

type builder struct {
	env  *schema.Environment
	plan *apply.Plan
	opts Options

	own   rights.Needs        // what requests need
	held  rights.Needs        // what the roles of the environment grant
	urls  []rbacv1.PolicyRule // of the same
	notes []string
}

// writes reports whether the mode sends more than a plan.
func (b *builder) writes() bool {
	return b.opts.Mode == Apply || b.opts.Mode == Reconcile
}

// members adds the rights on the objects of the environment, and on those that it
// has deployed and no longer renders.
func (b *builder) members() error {
	var errs []error
	rendered := map[schema.ID]bool{}
	for _, o := range b.env.Objects() {
		ref := schema.RefOf(o.Unstructured)
		rendered[ref.ID()] = true
		resource, err := b.resource(ref.GVK().GroupKind())
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", ref, err))
			continue
		}
		b.list(resource, ref.Namespace)
		b.member(resource, ref, b.verbs(o.Unstructured)...)
		if b.writes() && o.Recreate {
			probe := ref
			probe.Name = apply.ProbeName(ref.Name)
			b.member(resource, probe, "patch", "create")
		}
	}
	for _, o := range canary.Possible(b.env) {
		ref := schema.RefOf(o.Unstructured)
		resource, err := b.resource(ref.GVK().GroupKind())
		if err != nil { // an IngressRoute, which no environment has to define
			plural, _ := meta.UnsafeGuessKindToResource(ref.GVK())
			resource = plural.GroupResource()
		}
		b.member(resource, ref, b.verbs(o.Unstructured)...)
	}
	if b.plan != nil {
		b.former(rendered)
	}
	return errors.Join(errs...)
}

// former adds the rights on what the environment no longer renders.
func (b *builder) former(rendered map[schema.ID]bool) {
	for _, r := range b.plan.Reads() {
		namespaces := r.Namespaces
		if len(namespaces) == 0 {
			namespaces = []string{""}
		}
		for _, ns := range namespaces {
			b.list(r.Mapping.Resource.GroupResource(), ns)
		}
	}
	for _, ref := range b.plan.Members() {
		if resource, err := b.resource(ref.GVK().GroupKind()); err == nil && !rendered[ref.ID()] {
			b.member(resource, ref, "get")
		}
	}
	for _, change := range b.plan.Changes {
		if change.Action != apply.Deleted || !b.writes() {
			continue
		}
		if resource, err := b.resource(change.GVK().GroupKind()); err == nil {
			b.member(resource, change.Ref, apply.Deleted.Verbs()...)
		}
	}
}

// list adds the LIST of a kind, and where the cluster is watched for drift, its
// watch.
func (b *builder) list(resource kschema.GroupResource, namespace string) {
	b.own.Add(resource.Group, resource.Resource, namespace, "", "list")
	if b.opts.Mode == Reconcile {
		b.own.Add(resource.Group, resource.Resource, namespace, "", "watch")
	}
}

func (b *builder) member(resource kschema.GroupResource, ref schema.Ref, verbs ...string) {
	if b.opts.AnyName && ref.Namespace != "" {
		ref.Name = ""
	}
	b.own.Add(resource.Group, resource.Resource, ref.Namespace, ref.Name, verbs...)
}

// verbs are what the mode sends about a rendered object. What takes data or other
// objects with it is never deleted by these rights, and a Namespace that they
// hold in must be there before them.
func (b *builder) verbs(o *unstructured.Unstructured) []string {
	if b.opts.Mode == Diff {
		return []string{"get"} // of what lost its label
	}
	out := apply.Created.Verbs()
	if b.writes() && !kinds.Irreplaceable(o) {
		out = append(out, "delete")
	}
	if kinds.IsNamespace(o) && b.inhabits(o.GetName()) {
		out = slices.DeleteFunc(out, func(verb string) bool { return verb == "create" })
	}
	return out
}

// inhabits reports whether the rights name a namespace.
func (b *builder) inhabits(namespace string) bool {
	if namespace == b.env.Namespace {
		return true
	}
	for _, o := range b.env.Objects() {
		if o.GetNamespace() == namespace {
			return true
		}
	}
	return false
}

// resource is the resource of a kind: as the plan found it, as the environment
// defines it, or as built-in kinds are named.
func (b *builder) resource(gk kschema.GroupKind) (kschema.GroupResource, error) {
	if b.plan != nil {
		for _, r := range b.plan.Reads() {
			if r.Mapping.GroupVersionKind.GroupKind() == gk {
				return r.Mapping.Resource.GroupResource(), nil
			}
		}
	}
	if resource, ok := kinds.DefinedBy(b.env, gk); ok {
		return resource, nil
	}
	if managed.IsBuiltin(gk.Group) {
		plural, _ := meta.UnsafeGuessKindToResource(gk.WithVersion(""))
		return plural.GroupResource(), nil
	}
	return kschema.GroupResource{}, fmt.Errorf("the environment does not define %s: only the cluster knows its resource", gk)
}

// records adds the rights on what evenkeel keeps beside the members.
func (b *builder) records() {
	b.own = append(b.own, apply.PlanningRights(b.env)...)
	if b.writes() {
		b.own = slices.Concat(b.own, apply.LockingRights(b.env), apply.RecordingRights(b.env))
	}
	if b.opts.Mode == Reconcile {
		b.leading(cmp.Or(b.opts.Subject.Namespace, b.env.Namespace))
	}
}

// health adds what the gate reads, and which autoscalers a plan looks for where
// somebody scaled by hand.
func (b *builder) health() {
	for _, o := range b.env.Objects() {
		ns := o.GetNamespace()
		switch gk := o.GroupVersionKind().GroupKind().String(); gk {
		case "Deployment.apps", "StatefulSet.apps", "ReplicaSet.apps":
			if b.opts.Mode != Diff {
				b.own.Add("autoscaling", "horizontalpodautoscalers", ns, "", "list")
			}
		}
		if !b.writes() {
			continue
		}
		reads := health.ReadsOf(o.Unstructured, o.Ready != nil)
		resource, err := b.resource(o.GroupVersionKind().GroupKind())
		if err != nil || !reads.Watched {
			continue
		}
		b.own.Add(resource.Group, resource.Resource, ns, "", "watch")
		if reads.Status {
			b.own.Add(resource.Group, resource.Resource+"/status", ns, o.GetName(), "get")
			b.own.Add("apiextensions.k8s.io", "customresourcedefinitions", "", resource.Resource+"."+resource.Group, "get")
		}
		for _, r := range reads.Explained {
			b.own.Add(r.Group, r.Resource, ns, "", "list", "watch")
		}
		for _, r := range reads.Cluster {
			b.own.Add(r.Group, r.Resource, "", "", "list", "watch")
		}
		if reads.Logs {
			b.own.Add("", "pods/log", ns, "", "get")
		}
	}
}

// granting adds what the API server wants of whoever writes roles and bindings:
// nobody may grant what he does not hold. So what the environment's roles grant is
// held, which gives no more than they do; the other way, the verb escalate, lets
// its holder write anything into the role. That, and bind, is left for what cannot
// be held: wildcards, aggregated roles, and roles that others make.
func (b *builder) granting() {
	heldRoles := map[string]bool{} // as kind/namespace/name
	for _, o := range b.env.Objects() {
		ref := schema.RefOf(o.Unstructured)
		if ref.GVK().Group != rbacv1.GroupName || ref.Kind != "Role" && ref.Kind != "ClusterRole" {
			continue
		}
		role := &rbacv1.ClusterRole{} // a Role has the same rules
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role)
		if err == nil && role.AggregationRule == nil && !slices.ContainsFunc(role.Rules, isWild) {
			b.hold(ref.Namespace, role.Rules)
			heldRoles[ref.String()] = true
			continue
		}
		b.own.Add(rbacv1.GroupName, rolesOf(ref.Kind), ref.Namespace, ref.Name, "escalate")
		b.notes = append(b.notes, fmt.Sprintf("%s has wildcards or is aggregated: who holds escalate on it can grant himself anything", ref))
	}
	for _, o := range b.env.Objects() {
		ref := schema.RefOf(o.Unstructured)
		if ref.GVK().Group != rbacv1.GroupName || ref.Kind != "RoleBinding" && ref.Kind != "ClusterRoleBinding" {
			continue
		}
		kind, _, _ := unstructured.NestedString(o.Object, "roleRef", "kind")
		name, _, _ := unstructured.NestedString(o.Object, "roleRef", "name")
		role := schema.Ref{Kind: kind, Name: name}
		if kind == "Role" {
			role.Namespace = ref.Namespace
		}
		if !heldRoles[role.String()] {
			b.own.Add(rbacv1.GroupName, rolesOf(kind), ref.Namespace, name, "bind")
		}
	}
}

func rolesOf(kind string) string { return strings.ToLower(kind) + "s" }

// isWild reports whether a rule grants more than it names.
func isWild(rule rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(slices.Concat(rule.Verbs, rule.APIGroups, rule.Resources, rule.NonResourceURLs), func(s string) bool {
		return strings.Contains(s, "*")
	})
}

// hold adds what rules grant.
func (b *builder) hold(namespace string, rules []rbacv1.PolicyRule) {
	for _, rule := range rules {
		if len(rule.NonResourceURLs) > 0 {
			b.urls = append(b.urls, rbacv1.PolicyRule{NonResourceURLs: rule.NonResourceURLs, Verbs: rule.Verbs})
		}
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					b.held.Add(group, resource, namespace, name, rule.Verbs...)
				}
			}
		}
	}
}

// split reduces the rights to those that none of the others covers.
func (b *builder) split() (own, held []rights.Right) {
	own, held = rights.Sorted(b.own), rights.Sorted(b.held)
	held = slices.DeleteFunc(held, func(r rights.Right) bool { return coveredBy(own, r) })
	own = slices.DeleteFunc(own, func(r rights.Right) bool { return coveredBy(held, r) })
	return own, held
}

func coveredBy(have []rights.Right, r rights.Right) bool {
	return slices.ContainsFunc(have, func(other rights.Right) bool { return other.Covers(r) })
}

// leading is what the election of a reconciler needs, in the namespace of its pods,
// and what it tells on the parent.
func (b *builder) leading(namespace string) {
	b.own.Add(coordinationv1.GroupName, "leases", namespace, leaderLease, "get", "update")
	b.own.Add(coordinationv1.GroupName, "leases", namespace, "", "create")
	b.own.Add("", "events", b.env.Namespace, "", "create")
}

// leaderLease is the Lease by which replicas elect the one that reconciles.
const leaderLease = schema.Manager + "-reconcile"
