package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

func quote(s string) string { return strconv.Quote(s) }

// checkSelectors: a workload selects the pods of its own template, or the server
// refuses it; a PodDisruptionBudget that selects nothing protects nothing.
func checkSelectors(w *world) {
	for _, p := range w.pods {
		raw := tree.Map(tree.At(p.Content, "spec", "selector"))
		switch p.Kind {
		case "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet":
		default:
			continue
		}
		if raw == nil {
			f := p.located.at("selector", "spec", "selector")
			f.Message = "missing: it is required, and cannot be changed later"
			w.report(f)
			continue
		}
		selector, err := selectorOf(raw)
		if err != nil || !selector.Matches(labelSet(p.labels())) {
			f := p.located.at("selector", "spec", "selector")
			f.Message = "does not match the labels of the pod template"
			f.Expected, f.Found = labels.Set(labelSet(p.labels())).String(), describe(selector, err)
			w.report(f)
		}
	}
	for _, o := range w.byKind["PodDisruptionBudget"] {
		raw := tree.Map(tree.At(o.Content, "spec", "selector"))
		selector, err := selectorOf(raw)
		if err == nil && (w.mislabelled(o.Namespace, selector) || w.selectsAny(o.Namespace, selector, tree.Map(raw["matchLabels"])) || w.madeByOperator(o, selector)) {
			continue
		}
		f := o.at("selector", "spec", "selector")
		f.Warning = true
		f.Message, f.Found = "selects no pod of this environment", describe(selector, err)
		w.meantLabel(&f, o, tree.Map(raw["matchLabels"]), "matchLabels")
		w.report(f)
	}
}

// mislabelled says whether a selector is that of a workload whose pods have other labels:
// that is said of the workload.
func (w *world) mislabelled(namespace string, selector labels.Selector) bool {
	return slices.ContainsFunc(w.pods, func(p podSource) bool {
		raw := tree.Map(tree.At(p.Content, "spec", "selector"))
		own, err := selectorOf(raw)
		return raw != nil && err == nil && p.Namespace == namespace && !own.Matches(labelSet(p.labels())) &&
			selector.Matches(labelSet(tree.Map(raw["matchLabels"])))
	})
}

func describe(selector labels.Selector, err error) string {
	if err != nil {
		return err.Error()
	}
	return selector.String()
}

func selectorOf(raw map[string]any) (labels.Selector, error) {
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &s); err != nil {
		return nil, err
	}
	return metav1.LabelSelectorAsSelector(&s)
}

func labelSet(m map[string]any) labels.Set {
	set := labels.Set{}
	for key, value := range m {
		set[key] = tree.Text(value)
	}
	return set
}

// selectsAny says whether a selector finds pods. Its plain labels narrow the
// search, where it has any.
func (w *world) selectsAny(namespace string, selector labels.Selector, plain map[string]any) bool {
	candidates := w.pods
	if len(plain) > 0 {
		candidates = w.podsBySelector(namespace, plain)
	}
	return slices.ContainsFunc(candidates, func(p podSource) bool {
		return p.Namespace == namespace && selector.Matches(labelSet(p.labels()))
	})
}

// meantLabel leads the finding about a selector to the one label that keeps it from pods,
// where their own is spelt nearly the same.
func (w *world) meantLabel(f *Finding, o located, selector map[string]any, below ...any) {
	values, keys := map[string][]string{}, map[string][]string{} // those of pods that have all other labels
	for _, p := range w.pods {
		if p.Namespace != o.Namespace {
			continue
		}
		labels := p.labels()
		var wrong []string
		for key, value := range selector {
			if labels[key] != value {
				wrong = append(wrong, key)
			}
		}
		if len(wrong) != 1 {
			continue
		}
		key := wrong[0]
		if value := tree.Text(labels[key]); value != "" {
			values[key] = append(values[key], value)
		}
		for other, value := range labels {
			if _, selected := selector[other]; !selected && value == selector[key] {
				keys[key] = append(keys[key], other)
			}
		}
	}
	for _, key := range sortedKeys(selector) {
		value := tree.Text(selector[key])
		slices.Sort(values[key])
		slices.Sort(keys[key])
		if near := typed.Closest(value, values[key]); near != "" {
			f.DidYouMean = key + "=" + near
		} else if near := typed.Closest(key, keys[key]); near != "" {
			f.DidYouMean = near + "=" + value
		} else {
			continue
		}
		f.Path = append(append(slices.Clip(f.Path), below...), key)
		return
	}
}

// madeByOperator says whether a custom resource of the unit bears the labels that are
// selected: its operator gives them to the pods that it makes.
func (w *world) madeByOperator(o located, selector labels.Selector) bool {
	return slices.ContainsFunc(w.objects, func(cr located) bool {
		group, _, _ := strings.Cut(tree.Text(cr.Content["apiVersion"]), "/")
		return cr.Kind != o.Kind && cr.unit == o.unit && cr.Namespace == o.Namespace && strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") &&
			selector.Matches(labelSet(tree.Map(tree.At(cr.Content, "metadata", "labels"))))
	})
}

// servicePods are the sources of the pods behind a Service, nil where it has no
// selector.
func (w *world) servicePods(o located) []podSource {
	selector := tree.Map(tree.At(o.Content, "spec", "selector"))
	if len(selector) == 0 {
		return nil
	}
	var found []podSource
	for _, p := range w.podsBySelector(o.Namespace, selector) {
		if matches(selector, p.labels()) {
			found = append(found, p)
		}
	}
	return found
}

// podsBySelector narrows the candidates by one label, so that a thousand Services
// do not each look at a thousand pods.
func (w *world) podsBySelector(namespace string, selector map[string]any) []podSource {
	if w.podIndex == nil {
		w.podIndex = map[podLabel][]podSource{}
		for _, p := range w.pods {
			for key, value := range p.labels() {
				at := podLabel{p.Namespace, key, tree.Text(value)}
				w.podIndex[at] = append(w.podIndex[at], p)
			}
		}
	}
	var best []podSource
	for i, key := range sortedKeys(selector) {
		found := w.podIndex[podLabel{namespace, key, tree.Text(selector[key])}]
		if i == 0 || len(found) < len(best) {
			best = found
		}
	}
	return best
}

type podLabel struct{ namespace, key, value string }

// checkServices: the selector finds pods, and targetPort a port of theirs.
func checkServices(w *world) {
	for _, o := range w.byKind["Service"] {
		selector := tree.Map(tree.At(o.Content, "spec", "selector"))
		if len(selector) == 0 || tree.Text(tree.At(o.Content, "spec", "type")) == "ExternalName" {
			continue
		}
		pods := w.servicePods(o)
		if set := labels.SelectorFromSet(labelSet(selector)); len(pods) == 0 && (w.madeByOperator(o, set) || w.mislabelled(o.Namespace, set)) {
			continue
		}
		if len(pods) == 0 {
			f := o.at("service-port", "spec", "selector")
			f.Message = "selects no pod of this environment"
			f.Found = labelSet(selector).String()
			w.meantLabel(&f, o, selector)
			w.report(f)
			continue
		}
		tree.Each(tree.At(o.Content, "spec", "ports"), func(i int, port map[string]any) {
			w.checkTargetPort(o, i, port, pods)
		})
	}
}

func (w *world) checkTargetPort(o located, i int, port map[string]any, pods []podSource) {
	target := port["targetPort"]
	if target == nil {
		target = port["port"]
	}
	name, ok := target.(string)
	if !ok {
		return // what a container listens on it need not declare
	}
	var names []string
	for _, p := range pods {
		p.containers(func(c map[string]any, _ typed.Path) {
			tree.Each(c["ports"], func(_ int, cp map[string]any) {
				if name := tree.Text(cp["name"]); name != "" {
					names = append(names, name)
				}
			})
		})
	}
	if slices.Contains(names, name) {
		return
	}
	f := o.at("service-port", "spec", "ports", i, "targetPort")
	f.Message = fmt.Sprintf("no container port named %q in %s", name, pods[0].ref())
	f.DidYouMean = typed.Closest(name, names)
	w.report(f)
}

// checkAutoscalers: the target exists, and does not set its own replicas: each
// apply would undo what the autoscaler did.
func checkAutoscalers(w *world) {
	for _, o := range w.byKind["HorizontalPodAutoscaler"] {
		ref := tree.Map(tree.At(o.Content, "spec", "scaleTargetRef"))
		target, ok := w.byID[id{tree.Text(ref["kind"]), o.Namespace, tree.Text(ref["name"])}]
		if !ok {
			f := o.at("autoscaler", "spec", "scaleTargetRef", "name")
			f.Message = fmt.Sprintf("no %s %q in namespace %s", tree.Text(ref["kind"]), tree.Text(ref["name"]), o.Namespace)
			w.report(f)
			continue
		}
		if tree.At(target.Content, "spec", "replicas") != nil {
			f := target.at("autoscaler", "spec", "replicas")
			f.Message = o.ref() + " sets the replicas too"
			f.Hint = "leave replicas out where an autoscaler counts"
			w.report(f)
		}
	}
}
