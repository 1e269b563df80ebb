// Package crd knows the definitions of custom resources: which versions they
// serve, with which schema, and what they fill in where a resource says nothing.
package crd

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// Kind is the kind of a definition.
const Kind = "CustomResourceDefinition"

// Set holds definitions by their group and kind.
type Set map[string]map[string]any // group/kind -> spec

// Add adds a definition; other objects are passed over.
func (s Set) Add(obj map[string]any) {
	if tree.Text(obj["kind"]) != Kind {
		return
	}
	spec := tree.Map(obj["spec"])
	if kind := tree.Text(tree.At(spec, "names", "kind")); kind != "" {
		s[tree.Text(spec["group"])+"/"+kind] = spec
	}
}

// Versions are what .Capabilities of Helm calls the versions that a definition serves:
// group/version, and group/version/Kind.
func Versions(obj map[string]any) []string {
	spec := tree.Map(obj["spec"])
	var versions []string
	tree.Each(spec["versions"], func(_ int, v map[string]any) {
		if gv := tree.Text(spec["group"]) + "/" + tree.Text(v["name"]); v["served"] != false {
			versions = append(versions, gv, gv+"/"+tree.Text(tree.At(spec, "names", "kind")))
		}
	})
	return versions
}

// Kinds are the kinds of a group that are defined, in lexical order.
func (s Set) Kinds(group string) []string {
	var kinds []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if kind, ok := strings.CutPrefix(name, group+"/"); ok && group != "" {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Version is one version of a definition.
type Version struct {
	Schema     map[string]any // nil where the version is not served
	Served     []string       // all versions that are
	Namespaced bool
	Status     bool // the status is written on its own
}

// Find is the definition of a custom resource.
func (s Set) Find(apiVersion, kind string) (Version, bool) {
	group, version, _ := strings.Cut(apiVersion, "/")
	spec, ok := s[group+"/"+kind]
	if !ok {
		return Version{}, false
	}
	found := Version{Namespaced: tree.Text(spec["scope"]) == "Namespaced"}
	tree.Each(spec["versions"], func(_ int, v map[string]any) {
		if v["served"] != true {
			return
		}
		name := tree.Text(v["name"])
		found.Served = append(found.Served, name)
		if name != version {
			return
		}
		found.Status = tree.At(v, "subresources", "status") != nil
		found.Schema = tree.Map(tree.At(v, "schema", "openAPIV3Schema"))
		if found.Schema == nil {
			found.Schema = map[string]any{"x-kubernetes-preserve-unknown-fields": true}
		}
	})
	return found, true
}

// Normalise rewrites a custom resource to what the API server stores for it: nulls
// go where the schema does not allow them, the status where it is written on its
// own, and defaults are filled in.
func (v Version) Normalise(obj map[string]any) {
	if v.Status {
		delete(obj, "status")
	}
	for _, name := range slices.Sorted(maps.Keys(tree.Map(v.Schema["properties"]))) {
		if name == "apiVersion" || name == "kind" || name == "metadata" || name == "status" {
			continue
		}
		property(v.Schema, obj, name)
	}
}

func property(schema, obj map[string]any, name string) {
	inner := tree.Map(tree.Map(schema["properties"])[name])
	value, there := obj[name]
	if there && value == nil && inner["nullable"] != true {
		delete(obj, name)
		there = false
	}
	if by, ok := inner["default"]; ok && !there {
		obj[name] = runtime.DeepCopyJSONValue(by)
	}
	if value, there = obj[name]; there {
		fill(inner, value)
		if items, isList := value.([]any); isList && len(items) == 0 && dropped(schema, inner, name) {
			delete(obj, name)
		}
	}
}

// dropped says whether an empty list leaves no trace: owners of a set or of a map
// own its items, and there are none.
func dropped(schema, list map[string]any, name string) bool {
	typ := tree.Text(list["x-kubernetes-list-type"])
	_, byDefault := list["default"]
	return (typ == "set" || typ == "map") && !byDefault && !slices.Contains(tree.Texts(schema["required"]), name)
}

func fill(schema map[string]any, value any) {
	switch n := value.(type) {
	case map[string]any:
		properties := tree.Map(schema["properties"])
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			property(schema, n, name)
		}
		extra := tree.Map(schema["additionalProperties"])
		for name, item := range n {
			if _, known := properties[name]; known {
				continue
			}
			if item == nil && extra != nil && extra["nullable"] != true {
				delete(n, name)
				continue
			}
			fill(extra, item)
		}
	case []any:
		items := tree.Map(schema["items"])
		for _, item := range n {
			fill(items, item)
		}
	}
}

// Prune takes out of a custom resource what its definition has no field for, as the API
// server does without a word. It returns the paths: names, and places in lists.
func (v Version) Prune(obj map[string]any) [][]any {
	var gone [][]any
	prune(v.Schema, obj, nil, true, &gone)
	return gone
}

// prune takes out of a struct; the top, and an embedded resource, has apiVersion, kind
// and metadata without its schema saying so.
func prune(schema map[string]any, value any, at []any, resource bool, gone *[][]any) {
	switch n := value.(type) {
	case map[string]any:
		properties, extra := tree.Map(schema["properties"]), schema["additionalProperties"]
		open := schema["x-kubernetes-preserve-unknown-fields"] == true || extra == true || schema["type"] != "object"
		for _, name := range slices.Sorted(maps.Keys(n)) {
			here := append(slices.Clip(at), name)
			switch inner := tree.Map(properties[name]); {
			case resource && (name == "apiVersion" || name == "kind" || name == "metadata"):
			case inner != nil:
				prune(inner, n[name], here, inner["x-kubernetes-embedded-resource"] == true, gone)
			case tree.Map(extra) != nil:
				prune(tree.Map(extra), n[name], here, false, gone)
			case !open:
				delete(n, name)
				*gone = append(*gone, here)
			}
		}
	case []any:
		for i, item := range n {
			prune(tree.Map(schema["items"]), item, append(slices.Clip(at), i), tree.Map(schema["items"])["x-kubernetes-embedded-resource"] == true, gone)
		}
	}
}
