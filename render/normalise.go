package render

import (
	"fmt"
	"slices"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/render/internal/defaults"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// normalise rewrites an object to what the API server stores for the fields that
// it sets, and reports what the type of its kind does not accept.
func (fin *finisher) normalise(u *unit, o *object) Findings {
	gvk := o.GroupVersionKind()
	t, ok := fin.repo.kinds.Type(gvk)
	if !ok {
		dropServerMeta(o.Object)
		return fin.unknownKind(u, o)
	}
	defaults.PlainSecret(o.Object, gvk)
	var findings Findings
	minor := lint.Minor(fin.header.KubernetesVersion)
	if came := typed.Since(t); minor > 0 && came > minor {
		f := fin.atObject(u, o, typed.Path{"apiVersion"})
		f.Rule, f.Message = "strict", fmt.Sprintf("Kubernetes 1.%d does not have %s %s: it came with 1.%d", minor, gvk.GroupVersion(), gvk.Kind, came)
		return Findings{f}
	}
	problems, gated := fin.repo.kinds.Normalise(o.Object, t, minor)
	o.gated = gated
	for _, p := range problems {
		f := fin.atObject(u, o, p.Path)
		f.Message, f.Expected, f.Found, f.DidYouMean = p.Message, p.Expected, p.Found, p.Hint
		f.Rule = "strict"
		if f.Hint = ofSelector(o, p.Path, p.Message); f.Hint != "" && len(findings) > 0 && findings[len(findings)-1].Hint == f.Hint {
			continue // the next label
		}
		findings = append(findings, f)
	}
	if len(findings) == 0 {
		dropServerFields(o.Object)
		defaults.SpellOut(gvk, o.Object)
	}
	return findings
}

// ofSelector says how the labels of a selector are written, where they are as another kind
// has them.
func ofSelector(o *object, path typed.Path, message string) string {
	n := len(path)
	if n < 2 {
		return ""
	}
	name := fmt.Sprint(path[n-2])
	switch {
	case message == "unknown field" && slices.Contains([]string{"podSelector", "namespaceSelector", "labelSelector", "selector"}, name):
		return "labels stand below matchLabels: " + name + ": matchLabels: ..."
	case name == "selector" && fmt.Sprint(path[n-1]) == "matchLabels" && o.GetKind() == "Service":
		return "the selector of a Service has the labels themselves, without matchLabels"
	}
	return ""
}

// unknownKind lets custom resources pass and stops at a misspelt built-in kind.
func (fin *finisher) unknownKind(u *unit, o *object) Findings {
	gvk := o.GroupVersionKind()
	if !fin.repo.kinds.Groups()[gvk.Group] || gvk.Kind == "" {
		return nil
	}
	if lint.Removed(gvk.Group, gvk.Version, gvk.Kind) {
		return nil // the version check says what to use instead
	}
	f := fin.atObject(u, o, typed.Path{"kind"})
	f.Rule = "strict"
	if versions := fin.repo.kinds.Versions(gvk.GroupKind()); len(versions) > 0 {
		f = fin.atObject(u, o, typed.Path{"apiVersion"})
		f.Rule = "strict"
		f.Message = fmt.Sprintf("kind %s is not in %s", gvk.Kind, gvk.GroupVersion())
		f.Hint = "use " + kschema.GroupVersion{Group: gvk.Group, Version: versions[0]}.String()
		return Findings{f}
	}
	f.Message = fmt.Sprintf("%s has no kind %s", gvk.GroupVersion(), gvk.Kind)
	if meant := fin.repo.kinds.Meant(gvk); meant != "" {
		f.Hint = "use " + meant
		return Findings{f}
	}
	f.DidYouMean = typed.Closest(gvk.Kind, fin.repo.kinds.KindsOf(gvk.GroupVersion()))
	return Findings{f}
}

// dropServerFields takes out what only the server writes, and structs whose empty
// form the server fills: owning an empty one would be a difference for ever.
func dropServerFields(obj map[string]any) {
	delete(obj, "status")
	dropServerMeta(obj)
	spec := tree.Map(obj["spec"])
	if obj["kind"] == "Namespace" && len(spec) == 0 {
		delete(obj, "spec")
	}
	for _, name := range []string{"strategy", "updateStrategy"} {
		if m, ok := spec[name].(map[string]any); ok && len(m) == 0 {
			delete(spec, name)
		}
	}
	template, _ := tree.PodTemplate(obj)
	dropEmpty(template, "metadata")
}

// dropServerMeta takes out what the server and controllers write about any object, and
// the status of a custom one that was read from a cluster: what is written by hand has
// no uid.
func dropServerMeta(obj map[string]any) {
	meta := tree.Map(obj["metadata"])
	if meta["uid"] != nil {
		delete(obj, "status")
	}
	for _, name := range []string{"creationTimestamp", "resourceVersion", "uid", "generation", "managedFields", "selfLink"} {
		delete(meta, name)
	}
	annotations := tree.Map(meta["annotations"])
	for _, name := range []string{"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"} {
		delete(annotations, name)
	}
	if len(annotations) == 0 {
		delete(meta, "annotations")
	}
}

func dropEmpty(m map[string]any, name string) {
	if inner, ok := m[name].(map[string]any); ok {
		delete(inner, "creationTimestamp")
		if len(inner) == 0 {
			delete(m, name)
		}
	}
}

func dropNulls(v any) {
	switch n := v.(type) {
	case map[string]any:
		for key, item := range n {
			if item == nil {
				delete(n, key)
				continue
			}
			dropNulls(item)
		}
	case []any:
		for _, item := range n {
			dropNulls(item)
		}
	}
}
