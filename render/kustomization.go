package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/internal/alias"
	"github.com/seed-428f4edd/evenkeel/render/internal/content"
)

// fetched is what kustomize would fetch: what its loader asks a server for (http),
// and what it takes for the address of a git repository, for which it runs git. It
// decides by the name alone, whether or not a directory of that name exists.
var fetched = regexp.MustCompile(`(?i)^(git::)?(https?:|(ssh|file)://|[a-z][a-z0-9-]*@[^/:]*[/:]|github\.com[/:])`)

// outside says that a kustomization refers to something outside the repository, or
// asks for helm, which would.
type outside struct {
	file, name string
	helm       bool // name is a field that asks for helm
}

func (e outside) Error() string {
	who, what := "", e.name
	if e.file != "" {
		who = e.file + ": "
	}
	if e.helm {
		return fmt.Sprintf("%s%s: evenkeel runs no helm; write what helm template prints into the repository, as a resource", who, what)
	}
	if !fetched.MatchString(what) {
		what = strings.TrimPrefix(path.Clean(what), "../repo/")
	}
	return fmt.Sprintf("%s%s is not in the repository, and evenkeel fetches nothing", who, what)
}

func isKustomization(name string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(name))
}

// kustomization is one that is being checked.
type kustomization struct {
	files repoFiles
	dir   string // that its references are relative to
	shown string // how messages name it
}

// local returns a kustomization that says what data says, as kustomize's own
// decoder understands it, and that refers to nothing but files of the repository:
// each reference is written so that it cannot be taken for an address.
func (f repoFiles) local(dir, shown string, data []byte) ([]byte, error) {
	c := kustomization{files: f, dir: dir, shown: shown}
	var spec types.Kustomization
	if err := spec.Unmarshal(data); err != nil {
		if shown != "" {
			err = fmt.Errorf("%s: %w", path.Dir(shown), err)
		}
		return nil, err
	}
	if err := c.spelling(data, reflect.TypeFor[types.Kustomization]()); err != nil {
		return nil, err
	}
	spec.FixKustomization() // moves deprecated fields to those that replace them
	if err := c.references(&spec); err != nil {
		return nil, err
	}
	return json.Marshal(spec) // JSON is YAML
}

// references checks all that a kustomization refers to.
func (c kustomization) references(spec *types.Kustomization) error {
	if len(spec.HelmCharts) > 0 || spec.HelmGlobals != nil {
		return outside{file: c.shown, name: "helmCharts", helm: true}
	}
	for _, names := range [][]string{spec.Resources, spec.Components, spec.Crds, spec.Configurations} {
		if err := c.each(names); err != nil {
			return err
		}
	}
	if name, ok := spec.OpenAPI["path"]; ok {
		if err := c.one(&name); err != nil {
			return err
		}
		spec.OpenAPI["path"] = name
	}
	for _, plugins := range [][]string{spec.Generators, spec.Transformers, spec.Validators} {
		if err := c.plugins(plugins); err != nil {
			return err
		}
	}
	for i := range spec.ConfigMapGenerator {
		if err := c.sources(&spec.ConfigMapGenerator[i].KvPairSources); err != nil {
			return err
		}
	}
	for i := range spec.SecretGenerator {
		if err := c.sources(&spec.SecretGenerator[i].KvPairSources); err != nil {
			return err
		}
	}
	// The fields of old that users still write.
	for _, patches := range [][]types.Patch{spec.Patches, spec.PatchesJson6902} { //nolint:staticcheck // deprecated, and read by kustomize
		for i := range patches {
			if err := c.one(&patches[i].Path); err != nil {
				return err
			}
		}
	}
	if err := c.strategic(spec.PatchesStrategicMerge); err != nil { //nolint:staticcheck // as above
		return err
	}
	return c.replacements(spec.Replacements)
}

// one checks a reference and writes it as a path.
func (c kustomization) one(name *string) error {
	if *name == "" {
		return nil
	}
	if fetched.MatchString(*name) || path.IsAbs(*name) {
		return outside{file: c.shown, name: *name}
	}
	switch err := c.files.stat(path.Join(c.dir, *name)); {
	case content.Refused(err):
		return err
	case err != nil:
		return outside{file: c.shown, name: *name}
	}
	if !strings.HasPrefix(*name, "./") && !strings.HasPrefix(*name, "../") {
		*name = "./" + *name
	}
	return nil
}

func (c kustomization) each(names []string) error {
	for i := range names {
		if err := c.one(&names[i]); err != nil {
			return err
		}
	}
	return nil
}

// sources checks what a generator reads. A file may stand behind the key that it
// gets.
func (c kustomization) sources(s *types.KvPairSources) error {
	for i, source := range s.FileSources {
		key, name, ok := strings.Cut(source, "=")
		if !ok {
			key, name = "", source
		}
		if err := c.one(&name); err != nil {
			return err
		}
		if ok {
			name = key + "=" + name
		}
		s.FileSources[i] = name
	}
	if err := c.one(&s.EnvSource); err != nil {
		return err
	}
	return c.each(s.EnvSources)
}

// strategic checks patches that are text or else the name of a file.
func (c kustomization) strategic(patches []types.PatchStrategicMerge) error {
	for i := range patches {
		if _, err := inline(string(patches[i])); err == nil {
			continue
		}
		name := string(patches[i])
		if err := c.one(&name); err != nil {
			return err
		}
		patches[i] = types.PatchStrategicMerge(name)
	}
	return nil
}

func (c kustomization) replacements(fields []types.ReplacementField) error {
	for i := range fields {
		if err := c.one(&fields[i].Path); err != nil {
			return err
		}
	}
	return nil
}

// plugins checks what generators, transformers and validators are configured with:
// text, or else the name of a file.
func (c kustomization) plugins(entries []string) error {
	for i := range entries {
		configs, err := inline(entries[i])
		if err == nil {
			if err := c.configs(configs); err != nil {
				return err
			}
			continue
		}
		if err := c.one(&entries[i]); err != nil {
			return err
		}
		name := path.Join(c.dir, entries[i])
		if c.files.IsDir(name) {
			return fmt.Errorf("%s: %s is a directory; name the files of plugins one by one", c.shown, entries[i])
		}
		data, shown, err := c.files.read(name)
		if err != nil {
			return err
		}
		if configs, err = inline(string(data)); err != nil {
			return fmt.Errorf("%s: %w", shown, err)
		}
		within := kustomization{files: c.files, dir: c.dir, shown: shown}
		if err := within.configs(configs); err != nil {
			return err
		}
	}
	return nil
}

// inline parses what stands in a kustomization in full as kustomize does.
func inline(text string) ([]*resource.Resource, error) {
	if err := alias.JSON([]byte(text)); err != nil {
		return nil, err
	}
	return provider.NewDefaultDepProvider().GetResourceFactory().SliceFromBytes([]byte(text))
}

// pluginFiles are the fields of all builtin plugins that name files.
type pluginFiles struct {
	types.KvPairSources

	Path           string                      `json:"path"`
	Paths          []types.PatchStrategicMerge `json:"paths"`
	Replacements   []types.ReplacementField    `json:"replacements"`
	TargetFilePath string                      `json:"targetFilePath"`
}

func (c kustomization) configs(configs []*resource.Resource) error {
	for _, config := range configs {
		if strings.EqualFold(config.GetKind(), "HelmChartInflationGenerator") {
			return outside{file: c.shown, name: config.GetKind(), helm: true}
		}
		data, err := config.AsYAML()
		if err != nil {
			return err
		}
		var files pluginFiles
		if err := yaml.Unmarshal(data, &files); err != nil {
			return fmt.Errorf("%s: %s: %w", c.shown, config.GetKind(), err)
		}
		if err := c.spelling(data, reflect.TypeFor[pluginFiles]()); err != nil {
			return err
		}
		for _, name := range []*string{&files.Path, &files.TargetFilePath} {
			if err := c.one(name); err != nil {
				return err
			}
		}
		if err := c.sources(&files.KvPairSources); err != nil {
			return err
		}
		if err := c.strategic(files.Paths); err != nil {
			return err
		}
		if err := c.replacements(files.Replacements); err != nil {
			return err
		}
	}
	return nil
}

// spelling refuses keys that only a decoder that ignores case takes for those of a
// type: people who review them may not. What is imported is what kubectl made of it.
func (c kustomization) spelling(data []byte, t reflect.Type) error {
	if c.files.loose {
		return nil
	}
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		return err
	}
	wrote, meant := misspelt(value, t)
	if wrote == "" {
		return nil
	}
	err := fmt.Errorf("unknown field %q; did you mean %q?", wrote, meant)
	if c.shown != "" {
		err = fmt.Errorf("%s: %w", c.shown, err)
	}
	return err
}

func misspelt(value any, t reflect.Type) (wrote, meant string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := value.(type) {
	case []any:
		if t.Kind() != reflect.Slice {
			return "", ""
		}
		for _, item := range v {
			if wrote, meant = misspelt(item, t.Elem()); wrote != "" {
				return wrote, meant
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return "", ""
		}
		fields := jsonFields(t)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			field, ok := fields[key]
			if !ok {
				for name := range fields {
					if strings.EqualFold(name, key) {
						return key, name
					}
				}
				continue
			}
			if wrote, meant = misspelt(v[key], field); wrote != "" {
				return wrote, meant
			}
		}
	}
	return "", ""
}

// jsonFields are the types of the fields of a struct, by their names in JSON.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" && !f.Anonymous {
			name = f.Name
		}
		if name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}
