package typed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Problem is one field that the type does not accept.
type Problem struct {
	Path     Path
	Message  string
	Expected string
	Found    string
	Hint     string // the field that was probably meant
}

// Path leads to a field: map keys are strings, list indexes ints.
type Path []any

func (p Path) with(step any) Path { return append(slices.Clip(p), step) }

// In is the value at the path in v, nil where there is none.
func (p Path) In(v any) any {
	for _, step := range p {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			items, _ := v.([]any)
			if s < 0 || s >= len(items) {
				return nil
			}
			v = items[s]
		}
	}
	return v
}

// String writes the path as people do: spec.containers[0].image.
func (p Path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch s := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", s)
		case string:
			switch {
			case strings.ContainsAny(s, "./[]\""):
				fmt.Fprintf(&b, "[%q]", s)
			case b.Len() > 0:
				b.WriteString("." + s)
			default:
				b.WriteString(s)
			}
		}
	}
	return b.String()
}

// Normalise checks obj, an object of the Go type t, and rewrites it in place to
// what the API server stores for the fields that obj sets: quantities and base64
// in canonical form, and without the zero values, nulls and empty lists that
// storage drops. It never adds a field. The problems are in lexical order of
// their paths as far as maps go, in list order within lists. Fields that came
// after the minor version of Kubernetes are unknown; 0 knows all. Gated are the fields that
// a feature gate guards, whether or not it is on.
func (k *Kinds) Normalise(obj map[string]any, t reflect.Type, minor int) ([]Problem, []Gated) {
	w := walk{kinds: k, minor: minor}
	w.structMap(t, obj, nil)
	return w.problems, w.gated
}

type walk struct {
	kinds    *Kinds
	minor    int
	problems []Problem
	gated    []Gated
}

func (w *walk) wrong(p Path, expected string, found any) {
	w.problems = append(w.problems, Problem{
		Path: p, Message: "wrong type", Expected: expected, Found: Describe(found),
	})
}

// value returns what of v survives storage; keep is false where nothing does.
// An empty value of a pointer field survives: it says something.
func (w *walk) value(t reflect.Type, v any, p Path) (out any, keep bool) {
	if v == nil {
		return nil, false
	}
	if t.Kind() == reflect.Pointer {
		out, _ = w.value(t.Elem(), v, p)
		return out, true
	}
	if out, keep, done := w.special(t, v, p); done {
		return out, keep
	}
	switch t.Kind() {
	case reflect.Struct:
		m, ok := v.(map[string]any)
		if !ok {
			w.wrong(p, "a map", v)
			return v, true
		}
		w.structMap(t, m, p)
		return m, true
	case reflect.Map:
		return w.mapValue(t, v, p)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return w.base64(v, p)
		}
		return w.list(t, v, p)
	case reflect.String:
		s, ok := v.(string)
		if !ok {
			w.wrong(p, "a string", v)
		}
		return v, s != ""
	case reflect.Bool:
		b, ok := v.(bool)
		if !ok {
			w.wrong(p, "true or false", v)
		}
		return v, b
	case reflect.Int, reflect.Int32, reflect.Int64:
		return w.integer(t, v, p)
	case reflect.Float32, reflect.Float64:
		switch n := v.(type) {
		case int64:
			return v, n != 0
		case float64:
			return v, n != 0
		}
		w.wrong(p, "a number", v)
		return v, true
	default: // interface: anything goes
		return v, true
	}
}

func (w *walk) structMap(t reflect.Type, m map[string]any, p Path) {
	info := w.kinds.structOf(t)
	for _, name := range sortedKeys(m) {
		f, ok := info.fields[name]
		if !ok {
			w.problems = append(w.problems, Problem{
				Path: p.with(name), Message: "unknown field", Hint: Closest(name, info.names),
			})
			continue
		}
		if w.minor > 0 && f.since > w.minor {
			w.problems = append(w.problems, Problem{
				Path: p.with(name), Message: fmt.Sprintf("Kubernetes 1.%d does not have this field: it came with 1.%d", w.minor, f.since),
			})
			continue
		}
		v, keep := w.value(f.typ, m[name], p.with(name))
		for _, g := range f.gates {
			w.gated = append(w.gated, Gated{Path: p.with(name), Gate: g.Gate, On: g.On})
		}
		switch {
		case v == nil, !keep && (f.omitEmpty || f.typ.Kind() == reflect.Slice):
			delete(m, name) // an empty list is null in storage where it is not left out
		default:
			m[name] = v
		}
	}
}

func (w *walk) mapValue(t reflect.Type, v any, p Path) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		w.wrong(p, "a map", v)
		return v, true
	}
	for _, key := range sortedKeys(m) {
		if m[key] == nil {
			delete(m, key)
			continue
		}
		m[key], _ = w.value(t.Elem(), m[key], p.with(key))
	}
	return m, len(m) > 0
}

func (w *walk) list(t reflect.Type, v any, p Path) (any, bool) {
	items, ok := v.([]any)
	if !ok {
		w.wrong(p, "a list", v)
		return v, true
	}
	for i, item := range items {
		if item == nil {
			if t.Elem() != reflect.TypeFor[apiextensionsv1.JSON]() { // enum: [a, null]
				w.wrong(p.with(i), "a value", nil)
			}
			continue
		}
		items[i], _ = w.value(t.Elem(), item, p.with(i))
	}
	return items, len(items) > 0
}

func (w *walk) integer(t reflect.Type, v any, p Path) (any, bool) {
	n, ok := v.(int64)
	if !ok {
		f, isFloat := v.(float64)
		if !isFloat || f != math.Trunc(f) {
			w.wrong(p, "a whole number", v)
			return v, true
		}
		n = int64(f)
	}
	if t.Kind() == reflect.Int32 && (n > math.MaxInt32 || n < math.MinInt32) {
		w.wrong(p, "a whole number of 32 bits", v)
	}
	return n, n != 0
}

func (w *walk) base64(v any, p Path) (any, bool) {
	s, ok := v.(string)
	if !ok {
		w.wrong(p, "base64", v)
		return v, true
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		// The value may be a secret: it is not repeated.
		w.problems = append(w.problems, Problem{Path: p, Message: "not base64", Expected: "base64"})
		return v, true
	}
	return base64.StdEncoding.EncodeToString(raw), len(raw) > 0
}

// special handles the types that write their own JSON.
func (w *walk) special(t reflect.Type, v any, p Path) (out any, keep, done bool) {
	if t.Kind() == reflect.Struct {
		switch reflect.Zero(t).Interface().(type) {
		case resource.Quantity:
			out, keep = w.quantity(v, p), true
		case intstr.IntOrString:
			out, keep = w.intOrString(v, p), true
		case metav1.Time:
			out, keep = w.time(v, p, time.RFC3339), true
		case metav1.MicroTime:
			out, keep = w.time(v, p, metav1.RFC3339Micro), true
		case metav1.Duration:
			out, keep = w.duration(v, p), true
		case metav1.FieldsV1, runtime.RawExtension, apiextensionsv1.JSON:
			out, keep = v, true
		case apiextensionsv1.JSONSchemaPropsOrBool:
			if b, ok := v.(bool); ok {
				return b, true, true
			}
			out, keep = w.value(reflect.TypeFor[apiextensionsv1.JSONSchemaProps](), v, p)
		case apiextensionsv1.JSONSchemaPropsOrArray:
			if _, ok := v.([]any); ok {
				out, keep = w.value(reflect.TypeFor[[]apiextensionsv1.JSONSchemaProps](), v, p)
				return out, keep, true
			}
			out, keep = w.value(reflect.TypeFor[apiextensionsv1.JSONSchemaProps](), v, p)
		case apiextensionsv1.JSONSchemaPropsOrStringArray:
			if _, ok := v.([]any); ok {
				out, keep = w.value(reflect.TypeFor[[]string](), v, p)
				return out, keep, true
			}
			out, keep = w.value(reflect.TypeFor[apiextensionsv1.JSONSchemaProps](), v, p)
		default:
			return nil, false, false
		}
		return out, keep, true
	}
	return nil, false, false
}

func (w *walk) quantity(v any, p Path) any {
	var text string
	switch n := v.(type) {
	case string:
		text = n
	case int64, float64:
		data, err := json.Marshal(n)
		if err != nil {
			w.wrong(p, "a quantity such as 500m, 1 or 2Gi", v)
			return v
		}
		text = string(data)
	default:
		w.wrong(p, "a quantity such as 500m, 1 or 2Gi", v)
		return v
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		w.problems = append(w.problems, Problem{
			Path: p, Message: "not a quantity", Expected: "such as 500m, 1 or 2Gi", Found: Describe(v),
		})
		return v
	}
	return q.String()
}

func (w *walk) intOrString(v any, p Path) any {
	switch n := v.(type) {
	case string:
		return n
	case int64:
		return n
	case float64:
		if n == math.Trunc(n) {
			return int64(n)
		}
	}
	w.wrong(p, "a whole number or a string", v)
	return v
}

// time writes a time as the server does; it reads a MicroTime in no other form.
func (w *walk) time(v any, p Path, layout string) any {
	if s, ok := v.(string); ok {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.UTC().Format(layout)
		}
	}
	w.wrong(p, "a time such as 2026-11-21T10:00:00Z", v)
	return v
}

func (w *walk) duration(v any, p Path) any {
	s, ok := v.(string)
	if ok {
		d, err := time.ParseDuration(s)
		if err == nil {
			return d.String()
		}
	}
	w.wrong(p, "a duration such as 90s or 5m", v)
	return v
}

// Describe names a value and its type for a message.
func Describe(v any) string {
	switch n := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		if len(n) > 60 {
			n = n[:57] + "..."
		}
		return fmt.Sprintf("the string %q", n)
	case bool:
		return fmt.Sprintf("the boolean %v", n)
	default:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(n); err != nil {
			return "a number"
		}
		return "the number " + strings.TrimSpace(b.String())
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
