package lint

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkNames holds names and labels to the rules of the API, which differ by kind
// (apimachinery/pkg/api/validation and the registry of each kind).
func checkNames(w *world) {
	right := map[label]bool{}
	for _, o := range w.objects {
		for _, msg := range nameErrors(o.Kind, o.Name) {
			f := o.at("name", "metadata", "name")
			f.Message, f.Found = plain("not a name for a "+o.Kind+": "+msg), quote(o.Name)
			w.report(f)
		}
		checkLength(w, o)
		checkLabels(w, right, o, tree.Map(tree.At(o.Content, "metadata", "labels")), "metadata", "labels")
		for _, key := range sortedKeys(tree.Map(tree.At(o.Content, "metadata", "annotations"))) {
			w.named(o, "an annotation", strings.ToLower(key), validation.IsQualifiedName, "metadata", "annotations", key)
		}
		switch o.Kind {
		case "Secret":
			for _, key := range sortedKeys(tree.Map(o.Content["data"])) {
				// A line that was to be NAME=value may have become a key: it is not repeated.
				for _, msg := range validation.IsConfigMapKey(key) {
					f := o.at("name", "data")
					f.Message = plain("not a key: " + msg)
					w.report(f)
				}
			}
		case "ConfigMap":
			for _, field := range []string{"data", "binaryData"} {
				for _, key := range sortedKeys(tree.Map(o.Content[field])) {
					w.named(o, "a key", key, validation.IsConfigMapKey, field, key)
				}
			}
		case "Service":
			tree.Each(tree.At(o.Content, "spec", "ports"), func(i int, port map[string]any) {
				w.named(o, "a port name", port["name"], validation.IsDNS1123Label, "spec", "ports", i, "name")
			})
		}
	}
	for _, p := range w.pods {
		checkLabels(w, right, p.located, p.labels(), p.at("metadata", "labels")...)
		p.containers(func(c map[string]any, path typed.Path) {
			w.named(p.located, "a container name", c["name"], validation.IsDNS1123Label, append(path, "name")...)
			tree.Each(c["ports"], func(i int, port map[string]any) {
				w.named(p.located, "a port name", port["name"], validation.IsValidPortName, append(slices.Clip(path), "ports", i, "name")...)
			})
		})
		tree.Each(p.spec()["volumes"], func(i int, v map[string]any) {
			w.named(p.located, "a volume name", v["name"], validation.IsDNS1123Label, p.at("spec", "volumes", i, "name")...)
		})
	}
}

// checkLength: controllers put more behind a name, into names and labels that hold
// 63 characters: a StatefulSet a hash in the label of the revision, without which it
// makes no pods; pods of a Deployment get a name that is cut.
func checkLength(w *world, o located) {
	f := o.at("name", "metadata", "name")
	switch n := len(o.Name); {
	case o.Kind == "StatefulSet" && n > 52:
		f.Message, f.Expected = "too long: it would make no pods", "52 characters at most"
	case (o.Kind == "Deployment" || o.Kind == "DaemonSet") && n > 57:
		f.Warning = true
		f.Message, f.Expected = "long: the names of its pods are cut", "57 characters at most"
	default:
		return
	}
	f.Found = fmt.Sprintf("%d characters", len(o.Name))
	w.report(f)
}

// named reports a name that is none; what is left out is for the server to miss.
func (w *world) named(o located, what string, name any, rule func(string) []string, path ...any) {
	text := tree.Text(name)
	if text == "" {
		return
	}
	for _, msg := range rule(text) {
		f := o.at("name", path...)
		f.Message, f.Found = plain("not "+what+": "+msg), quote(text)
		w.report(f)
	}
}

// plain drops the examples and the regular expression from a message of the API.
func plain(msg string) string {
	msg, _, _ = strings.Cut(msg, " (e.g.")
	return msg
}

func nameErrors(kind, name string) []string {
	switch kind {
	case "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "APIService":
		if strings.ContainsAny(name, "/%") || name == "." || name == ".." {
			return []string{"it may not contain / or %"}
		}
		return nil
	case "Service":
		return validation.IsDNS1035Label(name)
	case "Namespace":
		return validation.IsDNS1123Label(name)
	}
	return validation.IsDNS1123Subdomain(name)
}

// checkLabels passes over labels that are known to be right, and adds to them: most
// objects of an app have the same ones.
func checkLabels(w *world, right map[label]bool, o located, labels map[string]any, path ...any) {
	for _, key := range sortedKeys(labels) {
		l := label{key, tree.Text(labels[key])}
		if right[l] {
			continue
		}
		at := append(slices.Clip(path), key)
		wrongKey, wrongValue := validation.IsQualifiedName(l.key), validation.IsValidLabelValue(l.value)
		for _, msg := range wrongKey {
			f := o.at("name", at...)
			f.Message, f.Found = plain("not a label: "+msg), quote(l.key)
			w.report(f)
		}
		for _, msg := range wrongValue {
			f := o.at("name", at...)
			f.Message, f.Found = plain("not a label value: "+msg), quote(l.value)
			w.report(f)
		}
		right[l] = len(wrongKey)+len(wrongValue) == 0
	}
}

type label struct{ key, value string }
