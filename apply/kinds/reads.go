package kinds

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Reads are the ConfigMaps and Secrets that the pods of a Job read, as Kind/name,
// sorted.
func Reads(job *unstructured.Unstructured) []string {
	spec, _, _ := unstructured.NestedMap(job.Object, "spec", "template", "spec")
	names := map[string]bool{}
	readsBelow(spec, names)
	return slices.Sorted(maps.Keys(names))
}

// readsBelow finds references wherever they stand: in env, envFrom, volumes and
// projected volumes of all kinds of containers.
func readsBelow(v any, names map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			readsBelow(item, names)
		}
	case map[string]any:
		for key, below := range v {
			ref, _ := below.(map[string]any)
			name, _ := ref["name"].(string)
			if secret, ok := ref["secretName"].(string); ok {
				name = secret
			}
			switch {
			case name == "":
			case key == "configMap" || key == "configMapRef" || key == "configMapKeyRef":
				names["ConfigMap/"+name] = true
			case key == "secret" || key == "secretRef" || key == "secretKeyRef":
				names["Secret/"+name] = true
			}
			readsBelow(below, names)
		}
	}
}
