package lint

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// verbs are those of requests (k8s.io/apiserver, RequestInfo), and those that Kubernetes
// asks for beside them; others are an operator's own.
const verbs = "* get list watch create update patch delete deletecollection use bind escalate impersonate approve sign attest head options post put"

// subresources are those of Kubernetes' own resources, beside status, scale and
// finalizers, by resource.
//
//nolint:gochecknoglobals // a table
var subresources = map[string]string{
	"certificatesigningrequests": "approval",
	"namespaces":                 "finalize",
	"nodes":                      "proxy metrics stats log spec",
	"pods":                       "attach binding ephemeralcontainers eviction exec log portforward proxy resize",
	"serviceaccounts":            "token",
	"services":                   "proxy",
}

// ownResources are the resources of Kubernetes by their group and name, with the name of
// their kind in small letters; those that have no kind here, or had one in a former version,
// without.
//
//nolint:gochecknoglobals // read once, and only read
var ownResources = sync.OnceValue(func() map[string]map[string]string {
	own := map[string]map[string]string{}
	for _, more := range [][]string{
		{"", "groups", "users"},
		{"apiregistration.k8s.io", "apiservices"},
		{"authentication.k8s.io", "selfsubjectreviews", "tokenreviews", "uids", "userextras"},
		{"authorization.k8s.io", "localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"},
		{"certificates.k8s.io", "signers"},
		{"policy", "podsecuritypolicies"},
		{"resource.k8s.io", "podschedulingcontexts", "resourceclaimparameters", "resourceclasses", "resourceclassparameters"},
	} {
		own[more[0]] = map[string]string{}
		for _, name := range more[1:] {
			own[more[0]][name] = ""
		}
	}
	for _, gvk := range typed.New().All() {
		if own[gvk.Group] == nil {
			own[gvk.Group] = map[string]string{}
		}
		plural, singular := meta.UnsafeGuessKindToResource(gvk)
		own[gvk.Group][plural.Resource] = singular.Resource
	}
	return own
})

// checkRights: a right to something that does not exist is none. Whoever makes a Role is
// told of it where the name is nearly one that exists, or is one of another group.
func checkRights(w *world) {
	for _, o := range slices.Concat(w.byKind["Role"], w.byKind["ClusterRole"]) {
		rules := tree.List(o.Content["rules"])
		tree.Each(rules, func(i int, rule map[string]any) {
			known := strings.Fields(verbs)
			for j, verb := range tree.Texts(rule["verbs"]) {
				if near := typed.Near(verb, known, min(2, max(1, len(verb)/3))); near != "" && !slices.Contains(known, verb) {
					w.reportRight(o, fmt.Sprintf("no request has the verb %q", verb), near, "", "rules", i, "verbs", j)
				}
			}
			w.checkResources(o, rule, rules, "rules", i)
		})
	}
	for _, o := range slices.Concat(w.byKind["ValidatingWebhookConfiguration"], w.byKind["MutatingWebhookConfiguration"]) {
		tree.Each(o.Content["webhooks"], func(i int, hook map[string]any) {
			rules := tree.List(hook["rules"])
			tree.Each(rules, func(j int, rule map[string]any) { w.checkResources(o, rule, rules, "webhooks", i, "rules", j) })
		})
	}
}

func (w *world) reportRight(o located, message, near, hint string, path ...any) {
	f := o.at("rights", path...)
	f.Warning, f.Message, f.DidYouMean, f.Hint = true, message, near, hint
	w.report(f)
}

// checkResources looks at the groups and resources of a rule. One that has a group of
// others among its groups is left alone: nobody knows what is in that.
func (w *world) checkResources(o located, rule map[string]any, rules []any, path ...any) {
	own, groups, wrong := ownResources(), tree.Texts(rule["apiGroups"]), false
	for i, g := range groups {
		if near, hint := meantGroup(g); near != "" || hint != "" {
			w.reportRight(o, fmt.Sprintf("no API group %q", g), near, hint, append(slices.Clip(path), "apiGroups", i)...)
			wrong = true
		}
	}
	if wrong || slices.ContainsFunc(groups, func(g string) bool { return own[g] == nil }) {
		return
	}
	for i, full := range tree.Texts(rule["resources"]) {
		name, sub, _ := strings.Cut(full, "/")
		at := append(slices.Clip(path), "resources", i)
		if name == "" || name == "*" || slices.ContainsFunc(groups, func(g string) bool { _, ok := own[g][name]; return ok }) {
			subs := append(strings.Fields(subresources[name]), "finalizers", "scale", "status")
			if near := typed.Near(sub, subs, 1); near != "" && !slices.Contains(subs, sub) {
				w.reportRight(o, fmt.Sprintf("no resource %q", full), name+"/"+near, "", at...)
			}
			continue
		}
		message := fmt.Sprintf("no resource %q in the API group %q", name, strings.Join(groups, `", "`))
		switch home, near := homeOf(name), nearResource(groups, name); {
		case home != nil && slices.ContainsFunc(rules, func(r any) bool { return grants(tree.Map(r), *home, name) }):
		case home != nil:
			w.reportRight(o, message, "", fmt.Sprintf("it is in apiGroups: [%q]", *home), at...)
		case near != "":
			w.reportRight(o, message, near, "", at...)
		}
	}
}

// meantGroup says what was meant by an API group that there is not; nothing of one that
// may be of custom resources.
func meantGroup(g string) (near, hint string) {
	own := ownResources()
	if g == "*" || typed.OwnGroup(g) {
		return "", ""
	}
	name, _, _ := strings.Cut(g, "/")
	switch {
	case name == "v1" || name == "core":
		return "", `pods, Services and the like are in the group without a name: apiGroups: [""]`
	case name != g && own[name] != nil:
		return name, ""
	case own[g+".k8s.io"] != nil:
		return g + ".k8s.io", ""
	case g == "rbac":
		return "rbac.authorization.k8s.io", ""
	case own[strings.TrimSuffix(g, ".k8s.io")] != nil:
		return strings.TrimSuffix(g, ".k8s.io"), ""
	}
	return typed.Near(g, sortedKeys(own), min(2, len(g)/3)), ""
}

// homeOf is the group that has a resource, nil where none has.
func homeOf(name string) *string {
	own := ownResources()
	for _, g := range sortedKeys(own) {
		if _, ok := own[g][name]; ok {
			return &g
		}
	}
	return nil
}

// nearResource is the resource that was meant: by the name of its kind, or nearly its own.
func nearResource(groups []string, name string) string {
	var names []string
	for _, g := range groups {
		for _, resource := range sortedKeys(ownResources()[g]) {
			if ownResources()[g][resource] == strings.ToLower(name) {
				return resource
			}
			names = append(names, resource)
		}
	}
	return typed.Near(name, names, min(2, len(name)/3))
}

// grants says whether a rule is about a resource of a group.
func grants(rule map[string]any, g, resource string) bool {
	has := func(field, value string) bool {
		return slices.ContainsFunc(tree.Texts(rule[field]), func(v string) bool { return v == value || v == "*" })
	}
	return has("apiGroups", g) && has("resources", resource)
}
