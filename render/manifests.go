package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render/internal/content"
	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
	"github.com/seed-428f4edd/evenkeel/render/internal/defaults"
	"github.com/seed-428f4edd/evenkeel/render/internal/yaml"
)

// Manifests are files of somebody else below a directory. What is read of them is
// read as of a repository: nothing outside the directory, no link that leads out of it.
type Manifests struct{ files *content.FS }

// OpenManifests opens a directory.
func OpenManifests(dir string) (*Manifests, error) {
	files, err := content.Disk(dir)
	if err != nil {
		return nil, err
	}
	return &Manifests{files: files}, nil
}

// Files are the files of the directory.
func (m *Manifests) Files() fs.FS { return m.files }

// KustomizationIn is the name of the kustomization in a directory, "" where there is
// none.
func (m *Manifests) KustomizationIn(dir string) string {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if info, err := m.files.Stat(path.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return path.Join(dir, name)
		}
	}
	return ""
}

// Built is an object that kustomize made, and the file that it made it from.
type Built struct {
	Object map[string]any
	From   string
}

// Build builds the kustomization of a directory, as a rendering does: it fetches
// nothing and starts nothing. It returns the names of the files that were read, too.
func (m *Manifests) Build(dir string) (objs []Built, read []string, err error) {
	kustomizing.Lock()
	defer kustomizing.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("kustomize: broke down: " + contain.What(p))
		}
	}()
	files := repoFiles{FileSystem: filesys.MakeFsInMemory(), repo: m.files, refused: new(error), seen: map[string][]byte{}, loose: true}
	unit, err := json.Marshal(map[string]any{
		"apiVersion": types.KustomizationVersion, "kind": types.KustomizationKind,
		"resources": []string{inRepo(dir)}, "buildMetadata": []string{types.OriginAnnotations},
	})
	if err != nil {
		return nil, nil, err
	}
	if err := files.WriteFile(path.Join(unitDir, "kustomization.yaml"), unit); err != nil {
		return nil, nil, err
	}
	result, err := kustomizeIn(files)
	if err != nil {
		if content.Refused(err) {
			return nil, nil, err
		}
		return nil, nil, errors.New(kustomizeMessage(err))
	}
	for _, res := range result.Resources() {
		one := Built{From: m.KustomizationIn(dir)}
		if origin, err := res.GetOrigin(); err == nil && origin != nil && origin.Path != "" {
			if from, ok := files.below(path.Join(unitDir, origin.Path)); ok {
				one.From = from
			}
		}
		if err := res.SetOrigin(nil); err != nil {
			return nil, nil, err
		}
		data, err := res.MarshalJSON()
		if err != nil {
			return nil, nil, err
		}
		if err := unmarshalJSON(data, &one.Object); err != nil {
			return nil, nil, err
		}
		dropOrigin(&unstructured.Unstructured{Object: one.Object})
		objs = append(objs, one)
	}
	for name := range files.seen {
		read = append(read, name)
	}
	slices.Sort(read)
	return objs, read, nil
}

// Stored rewrites objects, in place, to what a rendering makes of them where they
// stand in an environment as they are: normal, with the defaults that it spells out,
// and with those of the definitions among them and in the folder crds.
func (r *Repo) Stored(objs []map[string]any) {
	shared, _ := r.definitions()
	defined := crd.Set{}
	for _, obj := range append(slices.Clone(shared), objs...) {
		defined.Add(obj)
	}
	for _, obj := range objs {
		gvk := (&unstructured.Unstructured{Object: obj}).GroupVersionKind()
		if t, ok := r.kinds.Type(gvk); ok {
			defaults.PlainSecret(obj, gvk)
			r.kinds.Normalise(obj, t, 0)
			dropServerFields(obj)
			defaults.SpellOut(gvk, obj)
			continue
		}
		if version, ok := defined.Find(gvk.GroupVersion().String(), gvk.Kind); ok {
			version.Normalise(obj)
			continue
		}
		dropNulls(obj)
	}
}

// ObjectYAML is an object as YAML, as WriteYAML writes it.
func ObjectYAML(obj map[string]any) ([]byte, error) {
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	yaml.Write(out, obj)
	err := out.Flush()
	return b.Bytes(), err
}
