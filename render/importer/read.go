// Package importer turns manifests into CUE: objects as files or a cluster have
// them become units of an environment, typed where a type renders them back
// alike, else whole objects. It writes text and evaluates nothing; whoever calls
// it renders the result and holds it against the objects with Compare.
package importer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/internal/alias"
)

// Object is one Kubernetes object as it was read.
type Object = map[string]any

// ReadPath reads the manifests of a file, or of all .yaml, .yml and .json files
// of a directory and those below it.
func ReadPath(name string) ([]Object, error) {
	var all []Object
	err := filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if p != name && !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(p)) {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		objs, err := Read(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		all = append(all, objs...)
		return nil
	})
	return all, err
}

// Read reads a stream of YAML or JSON documents. Lists are opened; documents
// that are empty are passed over, others without apiVersion and kind are an error.
func Read(r io.Reader) ([]Object, error) {
	docs := utilyaml.NewYAMLReader(bufio.NewReader(r))
	var all []Object
	for n := 1; ; n++ {
		data, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if err := alias.Check(data); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		var obj Object
		if err := yaml.UnmarshalStrict(data, &obj); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if len(obj) == 0 {
			continue
		}
		objs, err := open(obj)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		all = append(all, objs...)
	}
}

func open(obj Object) ([]Object, error) {
	items, isList := obj["items"].([]any)
	if isList && text(obj, "kind") != "" && text(obj, "metadata", "name") == "" {
		var all []Object
		for _, item := range items {
			inner, ok := item.(map[string]any)
			if !ok {
				return nil, errors.New("a list with an item that is no object")
			}
			objs, err := open(inner)
			if err != nil {
				return nil, err
			}
			all = append(all, objs...)
		}
		return all, nil
	}
	if text(obj, "apiVersion") == "" || text(obj, "kind") == "" || text(obj, "metadata", "name") == "" {
		return nil, errors.New("no Kubernetes object: apiVersion, kind or metadata.name is missing")
	}
	return []Object{obj}, nil
}

// at is the value at a path of maps, or nil.
func at(v any, path ...string) any {
	for _, step := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[step]
	}
	return v
}

func text(v any, path ...string) string {
	s, _ := at(v, path...).(string)
	return s
}

func mapping(v any, path ...string) map[string]any {
	m, _ := at(v, path...).(map[string]any)
	return m
}

func list(v any, path ...string) []any {
	items, _ := at(v, path...).([]any)
	return items
}

// ref names an object in messages: Kind/namespace/name.
func ref(obj Object) string {
	if ns := text(obj, "metadata", "namespace"); ns != "" {
		return text(obj, "kind") + "/" + ns + "/" + text(obj, "metadata", "name")
	}
	return text(obj, "kind") + "/" + text(obj, "metadata", "name")
}
