package rbac

import (
	"cmp"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/rights"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// annotationWhy says on a role what it is for.
const annotationWhy = "evenkeel.dev/why"

// manifests writes the rights as roles and bindings: a ClusterRole for what
// belongs to no namespace, a Role in each namespace, and roles of their own for
// what is held only to be granted.
func (b *builder) manifests() (*Roles, error) {
	own, held := b.split()
	m := &writer{name: schema.ParentName(b.env.Name) + "-" + string(b.opts.Mode), subject: b.opts.Subject}
	for _, ns := range b.missing() {
		m.add("v1", "Namespace", "", ns, nil)
	}
	if b.opts.Account {
		m.add("v1", "ServiceAccount", b.opts.Subject.Namespace, b.opts.Subject.Name, nil)
	}
	what := "environment " + b.env.Name + ", mode " + string(b.opts.Mode)
	for _, ns := range namespacesOf(own) {
		m.role(m.name, ns, what, rulesOf(own, ns))
	}
	grants := what + ": what the roles of the environment grant, held because the API server lets nobody grant what he does not hold"
	for _, ns := range namespacesOf(held, b.urls...) {
		rules := rulesOf(held, ns)
		if ns == "" {
			rules = append(rules, b.urls...)
		}
		m.role(m.name+"-grants", ns, grants, rules)
	}
	return &Roles{Objects: m.objects, Notes: b.notes}, m.err
}

// missing are the namespaces of the environment that are not there yet: rights in
// them have nowhere to stand.
func (b *builder) missing() []string {
	var missing []string
	for _, o := range b.env.Objects() {
		if !kinds.IsNamespace(o.Unstructured) || !b.inhabits(o.GetName()) {
			continue
		}
		if b.plan == nil || slices.ContainsFunc(b.plan.Changes, func(c apply.Change) bool {
			return c.ID() == schema.IDOf(o.Unstructured) && (c.Action == apply.Created || c.Action == apply.UnverifiedCreated)
		}) {
			missing = append(missing, o.GetName())
		}
	}
	return missing
}

// namespacesOf are the namespaces of rights, "" for the cluster.
func namespacesOf(rights []rights.Right, urls ...rbacv1.PolicyRule) []string {
	var out []string
	if len(urls) > 0 {
		out = append(out, "")
	}
	for _, r := range rights {
		out = append(out, r.Namespace)
	}
	return slices.Compact(slices.Sorted(slices.Values(out)))
}

// rulesOf writes the rights of one namespace as rules: what has the same verbs
// shares one.
func rulesOf(rights []rights.Right, namespace string) []rbacv1.PolicyRule {
	type object struct{ group, resource, name string }
	type key struct{ group, verbs, resource string } // resource only where objects are named
	var objects []object
	verbs := map[object][]string{}
	for _, r := range rights {
		if r.Namespace != namespace {
			continue
		}
		o := object{r.Group, r.Resource, r.Name}
		if verbs[o] == nil {
			objects = append(objects, o)
		}
		verbs[o] = append(verbs[o], r.Verb)
	}
	var keys []key
	rules := map[key]*rbacv1.PolicyRule{}
	for _, o := range objects {
		slices.SortFunc(verbs[o], func(a, b string) int {
			return cmp.Or(cmp.Compare(verbRank(a), verbRank(b)), cmp.Compare(a, b))
		})
		k := key{group: o.group, verbs: strings.Join(verbs[o], ",")}
		if o.name != "" {
			k.resource = o.resource
		}
		rule := rules[k]
		if rule == nil {
			rule = &rbacv1.PolicyRule{APIGroups: []string{o.group}, Verbs: verbs[o]}
			rules[k] = rule
			keys = append(keys, k)
		}
		if !slices.Contains(rule.Resources, o.resource) {
			rule.Resources = append(rule.Resources, o.resource)
		}
		if o.name != "" {
			rule.ResourceNames = append(rule.ResourceNames, o.name)
		}
	}
	out := make([]rbacv1.PolicyRule, len(keys))
	for i, k := range keys {
		out[i] = *rules[k]
	}
	return out
}

// verbRank is the order in which people write verbs.
func verbRank(verb string) int {
	order := []string{"get", "list", "watch", "create", "update", "patch", "delete", "bind", "escalate"}
	if i := slices.Index(order, verb); i >= 0 {
		return i
	}
	return len(order)
}

// writer gathers objects; its first error ends it.
type writer struct {
	name    string
	subject rbacv1.Subject
	objects []*unstructured.Unstructured
	err     error
}

func (m *writer) add(apiVersion, kind, namespace, name string, content map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: content}
	if content == nil {
		u.Object = map[string]any{}
	}
	delete(u.Object, "metadata")
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetName(name)
	if namespace != "" {
		u.SetNamespace(namespace)
	}
	m.objects = append(m.objects, u)
	return u
}

// role adds a role and its binding.
func (m *writer) role(name, namespace, why string, rules []rbacv1.PolicyRule) {
	prefix := ""
	if namespace == "" {
		prefix = "Cluster"
	}
	const version = rbacv1.GroupName + "/v1"
	m.add(version, prefix+"Role", namespace, name, m.content(&rbacv1.Role{Rules: rules})).
		SetAnnotations(map[string]string{annotationWhy: why})
	m.add(version, prefix+"RoleBinding", namespace, name, m.content(&rbacv1.RoleBinding{
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: prefix + "Role", Name: name},
		Subjects: []rbacv1.Subject{m.subject},
	}))
}

func (m *writer) content(typed any) map[string]any {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	m.err = cmp.Or(m.err, err)
	return content
}
