package managed

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// OwnBody is a live object as far as a desired one speaks of it, or as evenkeel
// applied it: what is left out are the server's defaults, which would read like
// something that goes, and what others added. It stands beside a desired object
// that the server has not completed.
func OwnBody(live, desired *unstructured.Unstructured) *unstructured.Unstructured {
	body, _ := ownPart(nil, live.Object, desired.Object, ourApply(entriesOf(live))).(map[string]any)
	return &unstructured.Unstructured{Object: body}
}

func ownPart(at Path, live, desired any, ours node) any {
	switch live := live.(type) {
	case map[string]any:
		if desired, ok := desired.(map[string]any); ok {
			return ownFields(at, live, desired, ours)
		}
	case []any:
		desired, ok := desired.([]any)
		if names := guessShape(at, live, desired); ok && names != nil {
			return ownItems(at, live, desired, names, ours)
		}
	}
	return live
}

func ownFields(at Path, live, desired map[string]any, ours node) map[string]any {
	part := map[string]any{}
	for k, v := range live {
		below, applied := child(ours, "f:"+k)
		if want, wanted := desired[k]; wanted {
			part[k] = ownPart(at.field(k), v, want, below)
		} else if applied {
			part[k] = v
		}
	}
	return part
}

func ownItems(at Path, live, desired []any, names []string, ours node) []any {
	wanted := map[string]any{}
	for _, item := range desired {
		m, _ := item.(map[string]any)
		id, _ := keyID(m, names)
		wanted[id] = m
	}
	part := []any{}
	for _, item := range live {
		m, _ := item.(map[string]any)
		id, _ := keyID(m, names)
		name := keyedChild(ours, m)
		if want, ok := wanted[id]; ok {
			below, _ := child(ours, name)
			part = append(part, ownPart(at, m, want, below))
		} else if name != "" {
			part = append(part, m)
		}
	}
	return part
}
