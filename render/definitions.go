package render

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/internal/alias"
	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// definitionsDir holds definitions of custom resources that the clusters have and
// no environment makes: what resources of those kinds are held against.
const definitionsDir = "crds"

// definitions reads the folder once.
func (r *Repo) definitions() ([]map[string]any, Findings) {
	r.readCRDs.Do(func() {
		err := fs.WalkDir(r.fsys, definitionsDir, func(name string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && name == definitionsDir:
				return fs.SkipAll
			case err != nil:
				return err
			case d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)):
				return nil
			}
			data, err := fs.ReadFile(r.fsys, name)
			if err != nil {
				return err
			}
			objs, err := readDefinitions(data)
			if err != nil {
				r.crdFindings = append(r.crdFindings, Finding{File: r.fileName(filepath.Join(r.root, filepath.FromSlash(name))), Message: err.Error()})
			}
			r.crds = append(r.crds, objs...)
			return nil
		})
		if err != nil {
			r.crdFindings = append(r.crdFindings, Finding{File: definitionsDir, Message: err.Error()})
		}
	})
	return r.crds, r.crdFindings
}

func readDefinitions(data []byte) ([]map[string]any, error) {
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var all []map[string]any
	for n := 1; ; n++ {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		var obj map[string]any
		if err == nil {
			err = alias.JSON(doc)
		}
		if err == nil {
			if doc, err = yaml.YAMLToJSONStrict(doc); err == nil {
				err = unmarshalJSON(doc, &obj)
			}
		}
		switch {
		case err != nil:
			return all, fmt.Errorf("document %d: %w", n, err)
		case len(obj) == 0:
		case obj["kind"] != crd.Kind:
			return all, fmt.Errorf("document %d: not a %s: this folder holds the definitions of custom resources", n, crd.Kind)
		case obj["apiVersion"] != "apiextensions.k8s.io/v1":
			return all, fmt.Errorf("document %d: not of apiextensions.k8s.io/v1", n)
		default:
			all = append(all, obj)
		}
	}
}

// defined are the custom resources that the environment or the folder defines.
func (r *Repo) defined(units []*unit) crd.Set {
	defined := crd.Set{}
	shared, _ := r.definitions() // custom returns its findings
	for _, obj := range shared {
		defined.Add(obj)
	}
	for _, u := range units {
		for _, o := range u.objs {
			defined.Add(o.Object)
		}
	}
	return defined
}

// custom finishes the custom resources whose definition is at hand, in the
// environment or in the folder: their namespace, and what the server fills in.
func (fin *finisher) custom() Findings {
	_, findings := fin.repo.definitions()
	defined := fin.repo.defined(fin.units)
	for _, u := range fin.units {
		for _, o := range u.objs {
			if _, builtIn := fin.repo.kinds.Type(o.GroupVersionKind()); builtIn {
				continue
			}
			gvk := o.GroupVersionKind()
			version, ok := defined.Find(o.GetAPIVersion(), gvk.Kind)
			if !ok {
				dropNulls(o.Object)
				if f, wrong := fin.unknownGroup(u, o, defined); wrong {
					findings = append(findings, f)
					continue
				}
				if near := typed.Closest(gvk.Kind, defined.Kinds(gvk.Group)); near != "" && gvk.Kind != "" {
					f := fin.atObject(u, o, typed.Path{"kind"})
					f.Rule, f.Message, f.DidYouMean = lint.RuleCustomResource, fmt.Sprintf("no definition of %s has the kind %s", gvk.Group, gvk.Kind), near
					if _, silenced := u.data.Silence[f.Rule]; !silenced {
						findings = append(findings, f)
					}
				}
				continue
			}
			if version.Namespaced && o.GetNamespace() == "" {
				o.SetNamespace(u.data.Namespace)
			}
			version.Normalise(o.Object)
		}
	}
	return findings
}

// unknownGroup finds a built-in kind in a misspelt group, and a group that no custom
// resource can have.
func (fin *finisher) unknownGroup(u *unit, o *object, defined crd.Set) (Finding, bool) {
	gvk := o.GroupVersionKind()
	_, declared := tree.Map(fin.header.External["apiGroups"])[gvk.Group]
	if typed.OwnGroup(gvk.Group) || gvk.Kind == "" || declared || len(defined.Kinds(gvk.Group)) > 0 {
		return Finding{}, false
	}
	meant := fin.repo.kinds.Meant(gvk)
	if meant == "" && strings.Contains(gvk.Group, ".") {
		return Finding{}, false
	}
	f := fin.atObject(u, o, typed.Path{"apiVersion"})
	f.Rule, f.Message, f.DidYouMean = "strict", "no API group "+quote(gvk.Group), meant
	if meant == "" {
		f.Message += ": those of custom resources have a dot"
		f.DidYouMean = typed.Closest(gvk.Group, slices.Sorted(maps.Keys(fin.repo.kinds.Groups())))
	}
	return f, true
}
