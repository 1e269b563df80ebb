package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// OutputOptions say what of an environment is written.
type OutputOptions struct {
	// Units selects units by name; none means all.
	Units []string
	// Secrets includes objects of kind Secret, and those with fields that are
	// marked secret; without it they are left out, and Omitted tells which.
	Secrets bool
}

// WriteYAML writes the objects as a multi-document stream, in apply order, the
// keys sorted: the same environment gives the same bytes.
func WriteYAML(w io.Writer, env *schema.Environment, opts OutputOptions) error {
	out := bufio.NewWriter(w)
	for u := range opts.units(env) {
		writeUnit(out, u, opts)
	}
	return out.Flush() // the first error of all writes
}

// WriteJSON writes the objects as one v1 List.
func WriteJSON(w io.Writer, env *schema.Environment, opts OutputOptions) error {
	items := []any{}
	for u := range opts.units(env) {
		for o := range opts.objects(u) {
			items = append(items, o.Object)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

// WriteDir writes one YAML file per unit to dir/<environment>/<unit>.yaml, for
// repositories of rendered manifests. Its own files of units that are gone are
// removed.
func WriteDir(dir string, env *schema.Environment, opts OutputOptions) error {
	dir = filepath.Join(dir, env.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for u := range opts.units(env) {
		if err := writeUnitFile(filepath.Join(dir, u.Name+".yaml"), u, opts); err != nil {
			return err
		}
	}
	if len(opts.Units) > 0 {
		return nil
	}
	return removeStale(dir, env)
}

func writeUnitFile(name string, u *schema.Unit, opts OutputOptions) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closing := file.Close(); err == nil {
			err = closing
		}
	}()
	out := bufio.NewWriter(file)
	_, _ = out.WriteString(fileHeader) // the writer keeps its first error for Flush
	writeUnit(out, u, opts)
	return out.Flush()
}

// fileHeader begins every file of WriteDir, and is how it knows its own.
const fileHeader = "# Rendered by evenkeel: edit the environment, not this file.\n"

func removeStale(dir string, env *schema.Environment) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	for _, name := range names {
		unit := filepath.Base(name[:len(name)-len(".yaml")])
		if env.Unit(unit) != nil {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(data, []byte(fileHeader)) {
			continue
		}
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("unit %s is gone: %w", unit, err)
		}
	}
	return nil
}

// Omitted tells what the options leave out: how many Secrets, and which other
// objects, as Kind/namespace/name.
func (opts OutputOptions) Omitted(env *schema.Environment) (secrets int, marked []string) {
	if opts.Secrets {
		return 0, nil
	}
	for u := range opts.units(env) {
		for _, o := range u.Objects {
			switch {
			case isSecret(o):
				secrets++
			case len(o.Secret) > 0:
				marked = append(marked, (&object{Unstructured: *o.Unstructured}).ref())
			}
		}
	}
	return secrets, marked
}

func isSecret(o schema.Object) bool { return o.GetKind() == "Secret" && o.GetAPIVersion() == "v1" }

func (opts OutputOptions) units(env *schema.Environment) func(yield func(*schema.Unit) bool) {
	return func(yield func(*schema.Unit) bool) {
		for i := range env.Units {
			if len(opts.Units) > 0 && !slices.Contains(opts.Units, env.Units[i].Name) {
				continue
			}
			if !yield(&env.Units[i]) {
				return
			}
		}
	}
}

func (opts OutputOptions) objects(u *schema.Unit) func(yield func(schema.Object) bool) {
	return func(yield func(schema.Object) bool) {
		for _, o := range u.Objects {
			if !opts.Secrets && (isSecret(o) || len(o.Secret) > 0) {
				continue
			}
			if !yield(o) {
				return
			}
		}
	}
}

// writeUnit leaves errors in the writer, which keeps the first.
func writeUnit(out *bufio.Writer, u *schema.Unit, opts OutputOptions) {
	for o := range opts.objects(u) {
		_, _ = out.WriteString("---\n")
		writeYAML(out, o.Object)
	}
}
