package managed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// IsPodTemplate holds for fields whose change replaces pods.
func IsPodTemplate(ref schema.Ref, at Path) bool {
	switch ref.Kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet":
		return len(at) > 1 && at[0].name == "spec" && at[1].name == "template"
	}
	return false
}

// Path is the way to a field, for printing and for matching.
type Path []step

type step struct {
	name  string   // of a field; empty for an item
	item  string   // of a list, as printed between brackets
	names []string // the fields of the item's key, in a keyed list
}

func (p Path) field(name string) Path { return append(slices.Clip(p), step{name: name}) }

func (p Path) order() Path { return append(slices.Clip(p), step{item: "order"}) }

func (p Path) item(item map[string]any, names []string) Path {
	return append(slices.Clip(p), step{item: keyText(item, names), names: names})
}

func (p Path) member(v any) Path {
	return append(slices.Clip(p), step{item: "=" + scalarText(v)})
}

// String is spec.containers[name=web].ports[containerPort=80,protocol=TCP]. Names
// that are no identifiers stand in brackets: metadata.labels[app/name].
func (p Path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.item != "":
			b.WriteString("[" + s.item + "]")
		case strings.ContainsAny(s.name, "./[]") || s.name == "":
			b.WriteString("[" + s.name + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// isWithin reports whether a path leads to another one, or to a place below it.
func (p Path) isWithin(above Path) bool {
	return len(p) >= len(above) && p[:len(above)].String() == above.String()
}

// Fields are the names of the path alone, without the items of lists:
// spec.containers.image.
func (p Path) Fields() string {
	names := make([]string, 0, len(p))
	for _, s := range p {
		if s.item == "" {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, ".")
}

// in reports whether an object has a field, or an item, at the path.
func (p Path) in(v any) bool {
	for _, s := range p {
		switch {
		case s.name != "":
			m, ok := v.(map[string]any)
			if !ok {
				return false
			}
			if v, ok = m[s.name]; !ok {
				return false
			}
		default:
			list, _ := v.([]any)
			i := s.index(list)
			if i < 0 {
				return false
			}
			v = list[i]
		}
	}
	return true
}

// index is where the item that the step leads to stands in a list, or -1.
func (s step) index(list []any) int {
	return slices.IndexFunc(list, func(item any) bool {
		m, isMap := item.(map[string]any)
		return isMap && s.names != nil && keyText(m, s.names) == s.item || "="+scalarText(item) == s.item
	})
}

func keyText(item map[string]any, names []string) string {
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, name+"="+scalarText(item[name]))
	}
	return strings.Join(parts, ",")
}

func scalarText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if b, err := json.Marshal(v); err == nil {
		return string(b)
	}
	return fmt.Sprint(v)
}

func (p Path) isAnnotation(name string) bool {
	return len(p) == 3 && p[0].name == "metadata" && p[1].name == "annotations" && p[2].name == name
}
