package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"

	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// File is one file of an import, below the directory of the environment.
type File struct {
	Name string
	Data []byte
}

// prefix begins the names of an import's files.
const prefix = "imported"

// Sources are the files of an import, all of the environment's package: one for each
// unit, and one for what the environment says of its Namespace and of Secrets that
// others make. Definitions of custom resources stand beside as YAML; a draft is
// without them.
func (imp *Import) Sources(pkg string, draft bool) ([]File, error) {
	var files []File
	if !draft {
		definitions, err := imp.definitionFiles()
		if err != nil {
			return nil, err
		}
		files = definitions
	}
	if len(imp.Labels)+len(imp.Annotations)+len(imp.Secrets) > 0 {
		data, err := imp.facts(pkg)
		if err != nil {
			return nil, err
		}
		files = append(files, File{imp.factsFile(), data})
	}
	for i := range imp.Units {
		u := &imp.Units[i]
		if u.text == nil || len(u.Definitions) > 0 {
			text, err := u.source(pkg, imp.opts.Namespace, draft)
			if err != nil {
				return nil, fmt.Errorf("unit %s: %w", u.Name, err)
			}
			u.text = text
		}
		files = append(files, File{prefix + "_" + u.Name + ".cue", u.text})
	}
	if len(imp.Absent)+len(imp.Undefined()) > 0 && len(imp.Units) > 0 {
		data, err := imp.external(pkg)
		if err != nil {
			return nil, err
		}
		files = append(files, File{prefix + "_" + imp.Units[0].Name + "_external.cue", data})
	}
	return files, nil
}

// HasDefinitions says whether files of definitions stand beside.
func (imp *Import) HasDefinitions() bool {
	return slices.ContainsFunc(imp.Units, func(u Unit) bool { return len(u.Definitions) > 0 })
}

// definitionDir holds definitions of custom resources, below the environment.
const definitionDir = "crds"

func definitionFile(obj Object) string {
	return path.Join(definitionDir, text(obj, "metadata", "name")+".yaml")
}

func (imp *Import) definitionFiles() ([]File, error) {
	var files []File
	for _, u := range imp.Units {
		for _, key := range u.Definitions {
			data, err := render.ObjectYAML(u.Objects[key])
			if err != nil {
				return nil, err
			}
			files = append(files, File{definitionFile(u.Objects[key]), data})
		}
	}
	return files, nil
}

// factsFile is one for an import; releases are imported into one environment one after
// the other.
func (imp *Import) factsFile() string {
	if len(imp.Units) == 1 && imp.Units[0].release != nil {
		return prefix + "_" + imp.Units[0].Name + "_secrets.cue"
	}
	return prefix + ".cue"
}

// facts is the file with what the environment itself says.
func (imp *Import) facts(pkg string) ([]byte, error) {
	w := &cueWriter{}
	w.line("package " + pkg + "\n")
	w.line("environment: {")
	for _, kept := range []struct {
		name   string
		values map[string]any
	}{{"namespaceLabels", imp.Labels}, {"namespaceAnnotations", imp.Annotations}} {
		if len(kept.values) > 0 {
			w.field(kept.name, kept.values)
		}
	}
	if len(imp.Secrets) > 0 {
		w.comment("left out of the import: they have to be there, with these keys")
		w.line("external: secrets: {")
		for _, s := range imp.Secrets {
			w.line(s.source())
		}
		w.line("}")
	}
	w.line("}")
	return w.formatted()
}

// external is the file that declares what the manifests refer to and do not have.
func (imp *Import) external(pkg string) ([]byte, error) {
	w := &cueWriter{}
	w.line("package " + pkg + "\n")
	w.line("// what the manifests refer to and do not have: take optional out where it has to be there\nenvironment: external: {")
	for _, absent := range imp.Absent {
		more := ""
		if absent.Namespace != "" {
			more += ", namespace: " + literal.String.Quote(absent.Namespace)
		}
		if len(absent.Keys) > 0 {
			keys, err := json.Marshal(absent.Keys)
			if err != nil {
				return nil, err
			}
			more += ", keys: " + string(keys)
		}
		w.line(fmt.Sprintf("%s: %s: {optional: true%s}", externalFields[absent.Kind], syntax.Label(absent.Name), more))
	}
	for _, group := range imp.Undefined() {
		w.line(fmt.Sprintf("apiGroups: %s: {}", literal.String.Quote(group)))
	}
	w.line("}")
	return w.formatted()
}

// Undefined are the API groups of custom resources whose definition is not among the
// objects, in lexical order.
func (imp *Import) Undefined() []string {
	groups := map[string]bool{}
	for _, obj := range imp.objects {
		version, kind := text(obj, "apiVersion"), text(obj, "kind")
		group, _, _ := strings.Cut(version, "/")
		if _, defined := imp.definitions.Find(version, kind); !defined && strings.Contains(group, ".") && !typed.OwnGroup(group) {
			groups[group] = true
		}
	}
	return slices.Sorted(maps.Keys(groups))
}

// externalFields are the fields of an environment for what others make, by kind.
var externalFields = map[string]string{ //nolint:gochecknoglobals // a table
	"ConfigMap": "configMaps", "PersistentVolumeClaim": "claims", "Secret": "secrets", "ServiceAccount": "serviceAccounts",
}

// source is the file of a unit.
func (u *Unit) source(pkg, namespace string, draft bool) ([]byte, error) {
	w := &cueWriter{}
	if len(u.Definitions) > 0 && !draft {
		w.line("@extern(embed)\n")
	}
	w.line("package " + pkg + "\n\nimport \"github.com/seed-428f4edd/evenkeel/schema\"\n")
	group := "apps"
	if u.release != nil {
		group = "stacks"
	}
	w.line(fmt.Sprintf("environment: %s: %s: schema.#%s & {", group, syntax.Label(u.Name), u.Type))
	if len(u.After) > 0 {
		w.field("after", texts(u.After))
	}
	if u.app != nil {
		w.fields(u.app.fields)
	}
	if u.release != nil {
		u.release.source(w, namespace)
	}
	for _, rule := range slices.Sorted(maps.Keys(u.Silence)) {
		w.line(fmt.Sprintf("silence: %s: %s", syntax.Label(rule), literal.String.Quote(u.Silence[rule])))
	}
	if len(u.Recreate) > 0 {
		w.field("recreate", texts(u.Recreate))
	}
	if len(u.Reloads) > 0 {
		w.comment("pods run on when these change, as they did; without the line they restart", "then, and once at the first apply")
		w.field("reloads", texts(u.Reloads))
	}
	if len(u.patch) > 0 {
		w.line("\n" + u.patchComment())
		patch := map[string]any{}
		for key, value := range u.patch {
			patch[key] = value
		}
		w.field("patch", patch)
	}
	u.extraObjects(w, draft)
	w.line("}")
	return w.formatted()
}

func (u *Unit) patchComment() string {
	if u.release != nil {
		return "// what the release has otherwise than the chart renders; null is what it does not have"
	}
	return "// what the manifests have otherwise than the type; null is what they do\n// not have: take lines out to get what the type adds"
}

func (u *Unit) extraObjects(w *cueWriter, draft bool) {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(u.Objects)) {
		if !draft || !slices.Contains(u.Definitions, key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return
	}
	w.line("extraObjects: {")
	for _, key := range keys {
		if slices.Contains(u.Definitions, key) {
			w.line(fmt.Sprintf("%s: _ @embed(file=%s)", syntax.Label(key), strconv.Quote(definitionFile(u.Objects[key]))))
			continue
		}
		w.field(key, u.Objects[key])
	}
	w.line("}")
}

func texts(items []string) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = item
	}
	return out
}

func (s Secret) source() string {
	keys := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		keys[i] = literal.String.Quote(k)
	}
	ns := ""
	if s.Namespace != "" {
		ns = ", namespace: " + literal.String.Quote(s.Namespace)
	}
	return fmt.Sprintf("%s: {keys: [%s]%s}", syntax.Label(s.Name), strings.Join(keys, ", "), ns)
}

// cueWriter writes values as CUE; the format is left to CUE's own.
type cueWriter struct{ b strings.Builder }

func (w *cueWriter) line(s string) { w.b.WriteString(s + "\n") }

// comment writes lines of a comment. What comes from others stays in it: CUE ends one
// at the end of its line.
func (w *cueWriter) comment(lines ...string) {
	for _, s := range lines {
		w.line("// " + plain.Line(s, math.MaxInt))
	}
}

func (w *cueWriter) formatted() ([]byte, error) {
	out, err := format.Source([]byte(w.b.String()), format.Simplify())
	if err != nil {
		return nil, err
	}
	return format.Source(out) // the first pass leaves alignment to a second
}

// fields writes fields in their order.
func (w *cueWriter) fields(f fields) {
	for _, one := range f {
		if one.comment != "" {
			w.comment(one.comment)
		}
		inner, ok := one.value.(fields)
		if !ok {
			w.field(one.name, one.value)
			continue
		}
		w.b.WriteString(syntax.Label(one.name) + ": ")
		short := len(inner) == 1 && inner[0].comment == ""
		if !short {
			w.line("{")
		}
		w.fields(inner)
		if !short {
			w.line("}")
		}
	}
}

// field writes a field; a struct that has but one goes on in the line.
func (w *cueWriter) field(name string, value any) {
	w.b.WriteString(syntax.Label(name) + ": ")
	if m, ok := value.(map[string]any); ok && len(m) == 1 {
		for inner, v := range m {
			w.field(inner, v)
		}
		return
	}
	w.value(value)
	w.b.WriteString("\n")
}

func (w *cueWriter) value(v any) {
	switch n := v.(type) {
	case map[string]any:
		w.b.WriteString("{")
		for i, name := range sortedNames(n) {
			if i == 0 {
				w.b.WriteString("\n")
			}
			w.field(name, n[name])
		}
		w.b.WriteString("}")
	case []any:
		w.list(n)
	case string:
		w.b.WriteString(literal.String.WithOptionalTabIndent(1).Quote(n))
	default:
		data, err := json.Marshal(n) // a number, true, false or null: CUE writes them alike
		if err != nil {
			data = []byte("null")
		}
		w.b.Write(data)
	}
}

// list writes short items in one line.
func (w *cueWriter) list(items []any) {
	short := true
	length := 0
	for _, item := range items {
		switch n := item.(type) {
		case map[string]any, []any:
			short = false
		case string:
			length += len(n) + 4
		}
	}
	short = short && (length <= 100 || len(items) == 1)
	w.b.WriteString("[")
	for i, item := range items {
		_, isMap := item.(map[string]any)
		switch {
		case i > 0 && (short || isMap):
			w.b.WriteString(", ")
		case i > 0:
			w.b.WriteString(",\n")
		case !short && !isMap:
			w.b.WriteString("\n")
		}
		w.value(item)
	}
	if len(items) > 0 && !short {
		if _, isMap := items[len(items)-1].(map[string]any); !isMap {
			w.b.WriteString(",\n")
		}
	}
	w.b.WriteString("]")
}
