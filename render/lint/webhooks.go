package lint

import (
	"fmt"
	"maps"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// checkWebhooks: the server of a webhook is there before the webhook is: until then the
// API server refuses what it asks about, the pods of that server among it. Inside of one
// unit apply sees to that; another unit has to be named in after.
func checkWebhooks(w *world) {
	for _, o := range w.objects {
		if o.Kind != "ValidatingWebhookConfiguration" && o.Kind != "MutatingWebhookConfiguration" {
			continue
		}
		tree.Each(o.Content["webhooks"], func(i int, hook map[string]any) {
			to := tree.Map(tree.At(hook, "clientConfig", "service"))
			service, made := w.byID[id{"Service", tree.Text(to["namespace"]), tree.Text(to["name"])}]
			if !made || hook["failurePolicy"] == "Ignore" {
				return
			}
			for _, p := range w.servicePods(service) {
				if p.unit == o.unit || w.waitsFor(o.unit, p.unit.Name, nil) || !w.asksAbout(hook, p) {
					continue
				}
				f := o.at("order", "webhooks", i)
				f.Warning = true
				f.Message = fmt.Sprintf("the webhook %s may come before %s, which answers it: no pod of that is made then", tree.Text(hook["name"]), p.ref())
				f.Hint = fmt.Sprintf("let this unit wait: after: [%q]", p.unit.Name)
				w.report(f)
				return
			}
		})
	}
}

// waitsFor says whether a unit is applied after another one, by what it or those that it
// waits for name.
func (w *world) waitsFor(u *Unit, name string, seen []string) bool {
	if slices.Contains(seen, u.Name) {
		return false
	}
	return slices.ContainsFunc(u.After, func(before string) bool {
		at := slices.IndexFunc(w.env.Units, func(other Unit) bool { return other.Name == before })
		return before == name || at >= 0 && w.waitsFor(&w.env.Units[at], name, append(slices.Clip(seen), u.Name))
	})
}

// asksAbout says whether a webhook is asked before pods of a workload are made, as far as
// plain objects tell: conditions in CEL are taken for ones that do not hold.
func (w *world) asksAbout(hook map[string]any, p podSource) bool {
	pods := false
	tree.Each(hook["rules"], func(_ int, rule map[string]any) {
		has := func(field string, values ...string) bool {
			return slices.ContainsFunc(tree.Texts(rule[field]), func(v string) bool { return slices.Contains(values, v) })
		}
		pods = pods || has("apiGroups", "", "*") && has("resources", "pods", "*", "*/*") && has("operations", "CREATE", "*")
	})
	namespace := map[string]any{}
	if made, ok := w.byID[id{"Namespace", "", p.Namespace}]; ok {
		maps.Copy(namespace, tree.Map(tree.At(made.Content, "metadata", "labels")))
	}
	namespace["kubernetes.io/metadata.name"] = p.Namespace
	return pods && len(tree.List(hook["matchConditions"])) == 0 &&
		selected(hook["namespaceSelector"], namespace) && selected(hook["objectSelector"], p.labels())
}

// selected says whether a selector that may be absent takes labels.
func selected(raw any, of map[string]any) bool {
	if len(tree.Map(raw)) == 0 {
		return true
	}
	selector, err := selectorOf(tree.Map(raw))
	return err == nil && selector.Matches(labelSet(of))
}
