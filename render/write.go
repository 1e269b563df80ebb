package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/below"
	"github.com/seed-428f4edd/evenkeel/render/internal/yaml"
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

// OutputDir is a directory for files that are rendered, which may be missing. What
// lies in the checkout of the repository that at belongs to does not lead out of it
// by links: they may be of somebody else.
func OutputDir(at, dir string) (*below.Dir, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if at, err = filepath.Abs(at); err != nil {
		return nil, err
	}
	if top, sub, ok := checkout(at, abs); ok {
		return below.Open(top, "the repository", sub)
	}
	if err := os.MkdirAll(abs, 0o777); err != nil {
		return nil, err
	}
	return below.Open(abs, dir, ".")
}

// Checkout is the checkout of git that an absolute path lies in, if it does.
func Checkout(dir string) (top string, ok bool) {
	for up := dir; ; up = filepath.Dir(up) {
		if _, err := os.Lstat(filepath.Join(up, ".git")); err == nil {
			return up, true
		}
		if up == filepath.Dir(up) {
			return "", false
		}
	}
}

// checkout returns what holds the repository of at, the checkout of git or else the
// directory with cue.mod, where dir lies in it, and dir from there.
func checkout(at, dir string) (top, sub string, ok bool) {
	top, err := findRoot(at)
	if err != nil {
		top = at
	}
	if up, ok := Checkout(top); ok {
		top = up
	}
	sub, err = filepath.Rel(top, dir)
	if err != nil || !filepath.IsLocal(sub) {
		return "", "", false
	}
	return top, filepath.ToSlash(sub), true
}

// WriteDir writes one YAML file per unit to <environment>/<unit>.yaml of a directory,
// for repositories of rendered manifests. Its own files of units that are gone are
// removed.
func WriteDir(dir *below.Dir, env *schema.Environment, opts OutputOptions) error {
	for u := range opts.units(env) {
		var data bytes.Buffer
		out := bufio.NewWriter(&data)
		_, _ = out.WriteString(fileHeader) // a buffer takes all
		writeUnit(out, u, opts)
		_ = out.Flush()
		if err := dir.WriteFile(path.Join(env.Name, u.Name+".yaml"), data.Bytes(), 0o666); err != nil {
			return err
		}
	}
	if len(opts.Units) > 0 {
		return nil
	}
	return removeStale(dir, env)
}

// fileHeader begins every file of WriteDir, and is how it knows its own.
const fileHeader = "# Rendered by evenkeel: edit the environment, not this file.\n"

func removeStale(dir *below.Dir, env *schema.Environment) error {
	entries, err := dir.ReadDir(env.Name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		unit, ok := strings.CutSuffix(e.Name(), ".yaml")
		if !ok || !e.Type().IsRegular() || env.Unit(unit) != nil {
			continue
		}
		name := path.Join(env.Name, e.Name())
		data, err := dir.ReadFile(name)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(data, []byte(fileHeader)) {
			continue
		}
		if err := dir.Remove(name); err != nil {
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
		yaml.Write(out, o.Object)
	}
}
