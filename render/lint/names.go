package lint

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// checkNames holds names and labels to the rules of the API, which differ by kind
// (apimachinery/pkg/api/validation and the registry of each kind).
func checkNames(w *world) {
	for _, o := range w.objects {
		for _, msg := range nameErrors(o.Kind, o.Name) {
			f := o.at("name", "metadata", "name")
			f.Message, f.Found = plain("not a name for a "+o.Kind+": "+msg), quote(o.Name)
			w.report(f)
		}
		checkLabels(w, o, tree.Map(tree.At(o.Content, "metadata", "labels")), "metadata", "labels")
	}
	for _, p := range w.pods {
		checkLabels(w, p.located, p.labels(), p.at("metadata", "labels")...)
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

func checkLabels(w *world, o located, labels map[string]any, path ...any) {
	for _, key := range sortedKeys(labels) {
		at := append(slices.Clip(path), key)
		for _, msg := range validation.IsQualifiedName(key) {
			f := o.at("name", at...)
			f.Message, f.Found = plain("not a label: "+msg), quote(key)
			w.report(f)
		}
		for _, msg := range validation.IsValidLabelValue(tree.Text(labels[key])) {
			f := o.at("name", at...)
			f.Message, f.Found = plain("not a label value: "+msg), quote(tree.Text(labels[key]))
			w.report(f)
		}
	}
}
