package chart

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/internal/alias"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// Object is an object that a chart makes.
type Object struct {
	Content map[string]any
	// Source is the file of the chart that it comes from.
	Source string
	// Hook is set where Helm would write the object at certain events only.
	Hook *Hook
}

// notInKey is what keys are kept free of: they are written in CUE and in file names.
var notInKey = regexp.MustCompile(`[^a-z0-9.-]+`)

// Key is the key of an object of a chart in its unit, such as deployment-shop.
func Key(kind, name string) string {
	return notInKey.ReplaceAllString(strings.ToLower(kind+"-"+name), "-")
}

// Hook is when Helm writes an object.
type Hook struct {
	Events []string // such as pre-install, in their order
	Weight int
}

// Test says whether only helm test writes the object.
func (h *Hook) Test() bool {
	return !slices.ContainsFunc(h.Events, func(event string) bool { return !strings.HasPrefix(event, "test") })
}

const (
	annotationHook   = "helm.sh/hook"
	annotationWeight = "helm.sh/hook-weight"
)

// separator is where Helm ends a document: also in the middle of a text.
var separator = regexp.MustCompile(`(?m)^---[ \t]*`)

// sortedObjects are the objects of rendered files, in the order of the files' names.
// Notes are for people who type helm install.
func sortedObjects(files map[string]string) ([]Object, error) {
	var objects []Object
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, "NOTES.txt") || strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		made, err := objectsIn(name, files[name])
		if err != nil {
			return nil, err
		}
		objects = append(objects, made...)
	}
	return objects, nil
}

// NoYAML says that a template makes what is no YAML.
type NoYAML struct {
	File, Text string
	Err        error
}

func (e *NoYAML) Error() string {
	return fmt.Sprintf("%s: what it renders to is no YAML: %v", e.File, e.Err)
}

func objectsIn(name, text string) ([]Object, error) {
	var objects []Object
	// A text at the end of a file has its line end, whether the file has one or not.
	for _, doc := range separator.Split(strings.TrimLeftFunc(text, unicode.IsSpace)+"\n", -1) {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		if err := alias.JSON([]byte(doc)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		data, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			return nil, &NoYAML{name, doc, err}
		}
		var content any
		if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &content); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if content == nil {
			continue // comments
		}
		obj, ok := content.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: what it renders to is not an object", name)
		}
		objects = append(objects, flattened(name, obj)...)
	}
	return objects, nil
}

// flattened takes lists apart.
func flattened(name string, obj map[string]any) []Object {
	if kind := tree.Text(obj["kind"]); strings.HasSuffix(kind, "List") && obj["items"] != nil && obj["metadata"] == nil || kind == "List" {
		var objects []Object
		tree.Each(obj["items"], func(_ int, item map[string]any) { objects = append(objects, flattened(name, item)...) })
		return objects
	}
	return []Object{{Content: obj, Source: name, Hook: takeHook(obj)}}
}

// takeHook reads the annotations of a hook, and takes them away: they are Helm's.
func takeHook(obj map[string]any) *Hook {
	meta := tree.Map(obj["metadata"])
	annotations := tree.Map(meta["annotations"])
	events, ok := annotations[annotationHook].(string)
	if !ok {
		return nil
	}
	hook := &Hook{}
	for event := range strings.SplitSeq(events, ",") {
		hook.Events = append(hook.Events, strings.ToLower(strings.TrimSpace(event)))
	}
	hook.Weight, _ = strconv.Atoi(fmt.Sprint(annotations[annotationWeight])) // without one it is 0
	for key := range annotations {
		if key == annotationHook || strings.HasPrefix(key, annotationHook+"-") {
			delete(annotations, key)
		}
	}
	if len(annotations) == 0 {
		delete(meta, "annotations")
	}
	return hook
}
