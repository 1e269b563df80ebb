package lint

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkCustomResources holds custom resources to the schema of their definition,
// where the environment has it. It knows the structural part of OpenAPI v3 that
// decides about fields and types; formats, patterns and CEL rules are the server's.
func checkCustomResources(w *world) {
	definitions := map[string]map[string]any{}
	for _, o := range w.byKind["CustomResourceDefinition"] {
		spec := tree.Map(o.Content["spec"])
		kind := tree.Text(tree.At(spec, "names", "kind"))
		definitions[tree.Text(spec["group"])+"/"+kind] = spec
	}
	if len(definitions) == 0 {
		return
	}
	for _, o := range w.objects {
		apiVersion := tree.Text(o.Content["apiVersion"])
		apiGroup, version, _ := strings.Cut(apiVersion, "/")
		spec, ok := definitions[apiGroup+"/"+o.Kind]
		if !ok {
			continue
		}
		schema, versions := servedVersion(spec, version)
		if schema == nil {
			f := o.at("custom-resource", "apiVersion")
			f.Message = fmt.Sprintf("the definition of %s serves no version %s", o.Kind, version)
			f.Expected = "one of " + strings.Join(versions, ", ")
			w.report(f)
			continue
		}
		c := customResource{world: w, object: o}
		c.fields(schema, o.Content, nil, true)
	}
}

// servedVersion is the schema of a version, nil where it is not served.
func servedVersion(spec map[string]any, version string) (schema map[string]any, served []string) {
	tree.Each(spec["versions"], func(_ int, v map[string]any) {
		if v["served"] != true {
			return
		}
		served = append(served, tree.Text(v["name"]))
		if tree.Text(v["name"]) == version {
			schema = tree.Map(tree.At(v, "schema", "openAPIV3Schema"))
			if schema == nil {
				schema = map[string]any{"x-kubernetes-preserve-unknown-fields": true}
			}
		}
	})
	return schema, served
}

type customResource struct {
	world  *world
	object located
}

func (c customResource) report(path typed.Path, message, expected, found, near string) {
	f := c.object.at("custom-resource", path...)
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
		expected = "a struct"
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
		c.report(path, "not one of the values", strings.Join(names, ", "), typed.Describe(value), typed.Closest(fmt.Sprint(value), names))
	}
}
