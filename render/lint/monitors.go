package lint

import (
	"fmt"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkMonitors: a ServiceMonitor names a port of the Services that it selects.
func checkMonitors(w *world) {
	for _, o := range w.byKind["ServiceMonitor"] {
		selector, err := selectorOf(tree.Map(tree.At(o.Content, "spec", "selector")))
		if err != nil {
			continue
		}
		var names []string
		for _, s := range w.byKind["Service"] {
			if s.Namespace != o.Namespace || !selector.Matches(labelSet(tree.Map(tree.At(s.Content, "metadata", "labels")))) {
				continue
			}
			tree.Each(tree.At(s.Content, "spec", "ports"), func(_ int, port map[string]any) { names = append(names, tree.Text(port["name"])) })
		}
		if len(names) == 0 {
			if tree.At(o.Content, "spec", "namespaceSelector") == nil && !w.madeByOperator(o, selector) {
				f := o.at("selector", "spec", "selector")
				f.Warning = true
				f.Message, f.Found = "selects no Service of this environment", selector.String()
				w.report(f)
			}
			continue
		}
		tree.Each(tree.At(o.Content, "spec", "endpoints"), func(i int, e map[string]any) {
			name := tree.Text(e["port"])
			if name == "" || slices.Contains(names, name) {
				return
			}
			f := o.at("service-port", "spec", "endpoints", i, "port")
			f.Message, f.DidYouMean = fmt.Sprintf("no port named %q in the Services that this selects", name), typed.Closest(name, names)
			w.report(f)
		})
	}
	for _, o := range w.byKind["PodMonitor"] {
		w.checkPodMonitor(o)
	}
}

// checkPodMonitor: a PodMonitor names a port of the pods that it selects.
func (w *world) checkPodMonitor(o located) {
	selector, err := selectorOf(tree.Map(tree.At(o.Content, "spec", "selector")))
	if err != nil {
		return
	}
	var names []string
	found := false
	for _, p := range w.pods {
		if p.Namespace != o.Namespace || !selector.Matches(labelSet(p.labels())) {
			continue
		}
		found = true
		p.containers(func(c map[string]any, _ typed.Path) {
			tree.Each(c["ports"], func(_ int, port map[string]any) { names = append(names, tree.Text(port["name"])) })
		})
	}
	tree.Each(tree.At(o.Content, "spec", "podMetricsEndpoints"), func(i int, e map[string]any) {
		name := tree.Text(e["port"])
		if !found || name == "" || slices.Contains(names, name) {
			return
		}
		f := o.at("service-port", "spec", "podMetricsEndpoints", i, "port")
		f.Message, f.DidYouMean = fmt.Sprintf("no port named %q in the pods that this selects", name), typed.Closest(name, names)
		if o.unit.App && o.unit.at("metrics") != nil && f.DidYouMean == "" && len(names) > 0 {
			f.Hint = fmt.Sprintf("metrics: port: %q", names[0])
		}
		w.report(f)
	})
}
