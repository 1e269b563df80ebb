package lint

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkCustomResources holds custom resources to the schema of their definition,
// where the environment or the repository has it. It knows what of OpenAPI v3
// decides about one value; what compares values (CEL, anyOf, not) is package server's.
func checkCustomResources(w *world) {
	defined := crd.Set{}
	for _, obj := range w.env.Definitions {
		defined.Add(obj)
	}
	for _, o := range w.byKind[crd.Kind] {
		defined.Add(o.Content)
	}
	for _, o := range w.objects {
		apiVersion := tree.Text(o.Content["apiVersion"])
		version, ok := defined.Find(apiVersion, o.Kind)
		if !ok {
			w.checkWords(o)
			continue
		}
		if version.Schema == nil {
			_, asked, _ := strings.Cut(apiVersion, "/")
			f := o.at(RuleCustomResource, "apiVersion")
			f.Message = fmt.Sprintf("the definition of %s serves no version %s", o.Kind, asked)
			f.Expected = "one of " + strings.Join(version.Served, ", ")
			w.report(f)
			continue
		}
		c := customResource{world: w, object: o}
		c.fields(version.Schema, o.Content, nil, true)
	}
}

type customResource struct {
	world  *world
	object located
}

func (c customResource) report(path typed.Path, message, expected, found, near string) {
	f := c.object.at(RuleCustomResource, path...)
	f.Message, f.Expected, f.Found, f.DidYouMean = message, expected, found, near
	c.world.report(f)
}

// fields checks the fields of a struct. The top, and an embedded resource, has
// apiVersion, kind and metadata without its schema saying so.
func (c customResource) fields(schema, value map[string]any, path typed.Path, resource bool) {
	properties := tree.Map(schema["properties"])
	extra, hasExtra := schema["additionalProperties"]
	open := schema["x-kubernetes-preserve-unknown-fields"] == true || extra == true
	for _, name := range sortedKeys(value) {
		at := append(slices.Clip(path), name)
		switch inner := tree.Map(properties[name]); {
		case resource && (name == "apiVersion" || name == "kind" || name == "metadata"):
		case inner != nil:
			c.value(inner, value[name], at)
		case hasExtra && tree.Map(extra) != nil:
			c.value(tree.Map(extra), value[name], at)
		case open:
		default:
			names := slices.Collect(maps.Keys(properties))
			slices.Sort(names)
			c.report(at, "unknown field", "", "", typed.Closest(name, names))
		}
	}
	for _, name := range tree.Texts(schema["required"]) {
		if _, ok := value[name]; !ok {
			c.report(append(slices.Clip(path), name), "missing: the definition requires it", "", "", "")
		}
	}
}

func (c customResource) value(schema map[string]any, value any, path typed.Path) {
	if value == nil {
		return // dropped, or nullable
	}
	if schema["x-kubernetes-int-or-string"] == true {
		switch value.(type) {
		case int64, string:
		default:
			c.report(path, "wrong type", "a whole number or a string", typed.Describe(value), "")
		}
		return
	}
	ok, expected := true, ""
	switch tree.Text(schema["type"]) {
	case "object":
		expected = "a map"
		var m map[string]any
		if m, ok = value.(map[string]any); ok {
			c.fields(schema, m, path, schema["x-kubernetes-embedded-resource"] == true)
		}
	case "array":
		expected = "a list"
		var items []any
		if items, ok = value.([]any); ok {
			for i, item := range items {
				c.value(tree.Map(schema["items"]), item, append(slices.Clip(path), i))
			}
		}
	case "string":
		expected = "a string"
		_, ok = value.(string)
	case "boolean":
		expected = "true or false"
		_, ok = value.(bool)
	case "integer":
		expected = "a whole number"
		_, ok = value.(int64)
	case "number":
		expected = "a number"
		_, whole := value.(int64)
		_, fraction := value.(float64)
		ok = whole || fraction
	}
	if !ok {
		c.report(path, "wrong type", expected, typed.Describe(value), "")
		return
	}
	if allowed := tree.List(schema["enum"]); len(allowed) > 0 && !slices.ContainsFunc(allowed, func(a any) bool { return reflect.DeepEqual(a, value) }) {
		var names []string
		for _, a := range allowed {
			names = append(names, fmt.Sprint(a))
		}
		expected := strings.Join(names[:min(len(names), mostNamed)], ", ")
		if more := len(names) - mostNamed; more > 0 {
			expected += fmt.Sprintf(", and %d more", more)
		}
		c.report(path, "not one of the values", expected, typed.Describe(value), typed.Closest(fmt.Sprint(value), names))
	}
	for _, wrong := range bounds(schema, value) {
		c.report(path, wrong[0], wrong[1], typed.Describe(value), "")
	}
}

// mostNamed bounds how many values of an enum are named: a definition may have any number.
const mostNamed = 50

// bounds holds a value to the limits of its schema: message and expectation of
// each that it breaks.
func bounds(schema map[string]any, value any) (wrong [][2]string) {
	fail := func(message, expected string) { wrong = append(wrong, [2]string{message, expected}) }
	limit := func(name string) (float64, bool) { return asFloat(schema[name]) }
	size := func(what string, n int, least, most string) {
		if m, ok := limit(least); ok && float64(n) < m {
			fail("too few "+what, fmt.Sprintf("at least %v", m))
		}
		if m, ok := limit(most); ok && float64(n) > m {
			fail("too many "+what, fmt.Sprintf("at most %v", m))
		}
	}
	switch v := value.(type) {
	case string:
		size("characters", utf8.RuneCountInString(v), "minLength", "maxLength")
		if pattern := tree.Text(schema["pattern"]); pattern != "" {
			if re, err := regexp.Compile(pattern); err == nil && !re.MatchString(v) {
				fail("not of the form", "a match of "+pattern)
			}
		}
	case []any:
		size("items", len(v), "minItems", "maxItems")
	case map[string]any:
		size("fields", len(v), "minProperties", "maxProperties")
	case int64, float64:
		n, _ := asFloat(v)
		if m, ok := limit("minimum"); ok && n < m {
			fail("too small", fmt.Sprintf("at least %v", m))
		} else if ok && n == m && schema["exclusiveMinimum"] == true {
			fail("too small", fmt.Sprintf("more than %v", m))
		}
		if m, ok := limit("maximum"); ok && n > m {
			fail("too large", fmt.Sprintf("at most %v", m))
		} else if ok && n == m && schema["exclusiveMaximum"] == true {
			fail("too large", fmt.Sprintf("less than %v", m))
		}
	}
	return wrong
}

func asFloat(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
