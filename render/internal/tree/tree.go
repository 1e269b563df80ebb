// Package tree reads JSON values without caring about what is not there: each
// function returns the zero value for a value of another type.
package tree

// Map is v as a map.
func Map(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// List is v as a list.
func List(v any) []any {
	items, _ := v.([]any)
	return items
}

// Text is v as a string.
func Text(v any) string {
	s, _ := v.(string)
	return s
}

// Texts are the strings of a list.
func Texts(v any) []string {
	var out []string
	for _, item := range List(v) {
		out = append(out, Text(item))
	}
	return out
}

// At follows map keys.
func At(v any, path ...string) any {
	for _, step := range path {
		v = Map(v)[step]
	}
	return v
}

// Each calls fn for the maps of a list, with their index.
func Each(v any, fn func(i int, m map[string]any)) {
	for i, item := range List(v) {
		if m, ok := item.(map[string]any); ok {
			fn(i, m)
		}
	}
}

// PodTemplate is the pod template of an object and the path to it, nil where the
// kind has none; a Pod is one itself.
func PodTemplate(obj map[string]any) (template map[string]any, path []string) {
	switch Text(obj["kind"]) {
	case "Pod":
		return obj, nil
	case "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Job":
		path = []string{"spec", "template"}
	case "CronJob":
		path = []string{"spec", "jobTemplate", "spec", "template"}
	case "PodTemplate":
		path = []string{"template"}
	default:
		return nil, nil
	}
	return Map(At(obj, path...)), path
}
