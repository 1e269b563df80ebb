package chart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/internal/alias"
	"github.com/seed-428f4edd/evenkeel/render/internal/below"
)

// Release is what Helm recorded of a release: the chart, the values that were given,
// and the manifests that it wrote.
type Release struct {
	Name, Namespace string
	Revision        int
	// Status is Helm's word for it, such as deployed.
	Status string
	// Chart and Version are those of Chart.yaml.
	Chart, Version string
	// SubCharts are the dependencies of the chart. Helm records what they made, not
	// their files.
	SubCharts []string
	// Values are those that were given with helm install or helm upgrade.
	Values map[string]any
	// Objects are those that Helm wrote, without its hooks.
	Objects []map[string]any
	// Files are those of the chart, by their names below its directory; values.yaml
	// comes without its comments. They lack those of sub-charts.
	Files map[string][]byte
}

// helmRelease is the stored form (helm.sh/helm/v4/pkg/release/v1). It is the same since
// Helm 3.
type helmRelease struct {
	Name      string         `json:"name"`
	Namespace string         `json:"namespace"`
	Version   int            `json:"version"`
	Config    map[string]any `json:"config"`
	Manifest  string         `json:"manifest"`
	Info      struct {
		Status string `json:"status"`
	} `json:"info"`
	Chart struct {
		Metadata  *helmchart.Metadata `json:"metadata"`
		Lock      *helmchart.Lock     `json:"lock"`
		Templates []releaseFile       `json:"templates"`
		Values    map[string]any      `json:"values"`
		Schema    []byte              `json:"schema"`
		Files     []releaseFile       `json:"files"`
	} `json:"chart"`
}

type releaseFile struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// ReadRelease reads a release as Helm stores it, unpacked: JSON. It may come from
// anybody who can write in its namespace: names of files do not lead out of the chart.
func ReadRelease(data []byte) (*Release, error) {
	var h helmRelease
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&h); err != nil {
		return nil, errors.New("it is not a release of Helm 3 or 4") // the decoder's words quote the content
	}
	if h.Name == "" || h.Chart.Metadata == nil {
		return nil, errors.New("it is not a release of Helm 3 or 4: it has no chart")
	}
	if err := h.checkNames(); err != nil {
		return nil, err
	}
	r := &Release{
		Name: h.Name, Namespace: h.Namespace, Revision: h.Version, Status: h.Info.Status,
		Chart: h.Chart.Metadata.Name, Version: h.Chart.Metadata.Version, Values: plainNumbers(h.Config),
	}
	for _, d := range h.Chart.Metadata.Dependencies {
		r.SubCharts = append(r.SubCharts, d.Name)
	}
	objects, err := objectsOf(h.Manifest)
	if err != nil {
		return nil, err
	}
	r.Objects = objects
	return r, r.addFiles(&h)
}

// checkNames refuses names that would lead elsewhere as a directory of the source or as a
// word of a command that is proposed.
func (h *helmRelease) checkNames() error {
	meta := h.Chart.Metadata
	if !IsName(meta.Name) {
		return fmt.Errorf("chart.metadata.name: %q is not the name of a chart", meta.Name)
	}
	if !IsVersion(meta.Version) {
		return fmt.Errorf("chart.metadata.version: %q is not a chart version", meta.Version)
	}
	for i, d := range meta.Dependencies {
		if !IsName(d.Name) {
			return fmt.Errorf("chart.metadata.dependencies[%d].name: %q is not the name of a chart", i, d.Name)
		}
	}
	return nil
}

func objectsOf(manifest string) ([]map[string]any, error) {
	var objects []map[string]any
	for doc := range strings.SplitSeq("\n"+manifest, "\n---") {
		if err := alias.JSON([]byte(doc)); err != nil {
			return nil, fmt.Errorf("its manifest: %w", err)
		}
		data, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			return nil, errors.New("its manifest is not YAML")
		}
		var object map[string]any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&object); err != nil {
			return nil, errors.New("its manifest has something that is not an object")
		}
		if len(object) > 0 {
			objects = append(objects, plainNumbers(object))
		}
	}
	return objects, nil
}

// plainNumbers makes int64 or float64 of the numbers of a decoded object, in place.
func plainNumbers(m map[string]any) map[string]any {
	for k, v := range m {
		m[k] = plainNumber(v)
	}
	return m
}

func plainNumber(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // the decoder took it for a number
		return f
	case map[string]any:
		return plainNumbers(v)
	case []any:
		for i := range v {
			v[i] = plainNumber(v[i])
		}
	}
	return v
}

func (r *Release) addFiles(h *helmRelease) error {
	r.Files = map[string][]byte{}
	for _, f := range slices.Concat(h.Chart.Templates, h.Chart.Files) {
		if !fs.ValidPath(f.Name) || f.Name == "." || strings.ContainsAny(f.Name, `\:`) || strings.ContainsFunc(f.Name, unicode.IsControl) || path.Clean(f.Name) != f.Name {
			return fmt.Errorf("its chart has a file named %q: names are below the chart", f.Name)
		}
		if slices.ContainsFunc(strings.Split(f.Name, "/"), below.IsGit) {
			return fmt.Errorf("its chart has a file named %q: git's own files are not content of a chart", f.Name)
		}
		r.Files[f.Name] = f.Data
	}
	if len(r.Files) > mostFiles {
		return fmt.Errorf("its chart has more than %d files", mostFiles)
	}
	for name, content := range map[string]any{"Chart.yaml": h.Chart.Metadata, "Chart.lock": h.Chart.Lock, "values.yaml": plainNumbers(h.Chart.Values)} {
		if name == "Chart.lock" && h.Chart.Lock == nil {
			continue
		}
		data, err := yaml.Marshal(content)
		if err != nil {
			return err
		}
		r.Files[name] = data
	}
	if len(h.Chart.Schema) > 0 {
		r.Files["values.schema.json"] = h.Chart.Schema
	}
	return nil
}
