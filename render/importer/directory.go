package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/internal/below"
)

// ReadPath reads the manifests of a file, or of a directory and those below it: a
// kustomization is built, charts and templates are named, and YAML of something else
// is passed over. env is the environment that messages speak of.
func ReadPath(name, env string) (Reading, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Reading{}, err
	}
	dir := name
	if !info.IsDir() {
		dir = filepath.Dir(name)
	}
	top, err := wall(dir)
	if err != nil {
		return Reading{}, err
	}
	files, err := render.OpenManifests(top)
	if err != nil {
		return Reading{}, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Reading{}, err
	}
	rel, err := filepath.Rel(top, abs)
	if err != nil {
		return Reading{}, err
	}
	d := &directory{files: files, env: env, from: filepath.ToSlash(rel), shown: dir, notNamed: map[string][]string{}}
	if !info.IsDir() {
		at := path.Join(d.from, filepath.Base(name))
		if d.files.KustomizationIn(d.from) == at {
			return d.read()
		}
		data, err := fs.ReadFile(files.Files(), at)
		if err != nil {
			return Reading{}, err
		}
		out, err := readDocuments(data, name)
		if err != nil && templated(data) {
			err = &hint.Error{Err: err, Hint: d.way(path.Dir(at))}
		}
		return out, err
	}
	return d.read()
}

// wall is the directory that nothing is read outside of: bases of a kustomization lie
// beside it. It is the checkout that the directory is part of, or else the working
// directory, or else itself.
func wall(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if top, ok := render.Checkout(abs); ok {
		return top, nil
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(cwd, abs); err == nil && filepath.IsLocal(rel) {
		return cwd, nil
	}
	return abs, nil
}

// directory is one that is being read. Names are below the wall; shown is how the
// user named it.
type directory struct {
	files *render.Manifests
	env   string
	from  string
	shown string

	out            Reading
	kustomizations []string
	other          []string // YAML of something else
	notNamed       map[string][]string
}

// name is a file as messages name it.
func (d *directory) name(p string) string {
	rel, err := filepath.Rel(filepath.FromSlash(d.from), filepath.FromSlash(p))
	if err != nil {
		return p
	}
	return filepath.Join(d.shown, rel)
}

func (d *directory) skip(p, format string, args ...any) {
	d.out.Skipped = append(d.out.Skipped, d.name(p)+": "+fmt.Sprintf(format, args...))
}

// way is how a chart gets into an environment.
func (d *directory) way(dir string) string {
	return fmt.Sprintf("helm template NAME %s | evenkeel import --env %s -", plain.Operand(d.name(dir)), plain.Argument(d.env))
}

func (d *directory) read() (Reading, error) {
	if err := d.walk(d.from); err != nil {
		return d.out, err
	}
	if err := d.build(); err != nil {
		return d.out, err
	}
	if len(d.other) > 0 {
		d.out.Skipped = append(d.out.Skipped, some(len(d.other), "file holds", "files hold")+" no Kubernetes objects: "+few(d.other))
	}
	return d.out, nil
}

func some(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// few lists names, of many the first ones.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// walk reads the plain manifests, and notes the kustomizations: what lies beside and
// below one is for it to name.
func (d *directory) walk(dir string) error {
	if d.files.KustomizationIn(dir) != "" {
		d.kustomizations = append(d.kustomizations, dir)
		return nil
	}
	if info, err := fs.Stat(d.files.Files(), path.Join(dir, "Chart.yaml")); err == nil && info.Mode().IsRegular() {
		d.skip(dir, "a Helm chart: below charts/ of the repository it is a unit, schema.#Chart & {chart: %q}; or %s", path.Join("charts", filepath.Base(d.name(dir))), d.way(dir))
		return nil
	}
	entries, err := fs.ReadDir(d.files.Files(), dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		at := path.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."), e.IsDir() && e.Name() == "node_modules":
		case e.IsDir():
			errs = append(errs, d.walk(at))
		case isManifest(e.Name()):
			errs = append(errs, d.file(at))
		}
	}
	return errors.Join(errs...)
}

func isManifest(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name))
}

// file reads a file of which nobody said that it holds manifests.
func (d *directory) file(at string) error {
	data, err := fs.ReadFile(d.files.Files(), at)
	if err != nil {
		d.skip(at, "%s", reason(err))
		return nil
	}
	read, err := readDocuments(data, d.name(at))
	d.out.Items = append(d.out.Items, read.Items...)
	d.out.Skipped = append(d.out.Skipped, read.Skipped...)
	if err == nil {
		return nil
	}
	switch wrong := otherThan(err); {
	case len(wrong) > 0 && templated(data):
		d.skip(at, "a template: print it first, such as by %s", d.way(path.Dir(at)))
	case len(wrong) > 0 && looksLikeManifest(data):
		return errors.Join(wrong...)
	case len(read.Items) == 0:
		d.other = append(d.other, d.name(at))
	default:
		for _, e := range flat(err) {
			d.out.Skipped = append(d.out.Skipped, e.Error())
		}
	}
	return nil
}

// otherThan are the errors that do not just say that something is no object.
func otherThan(err error) []error {
	return slices.DeleteFunc(slices.Clone(flat(err)), func(e error) bool {
		_, ok := errors.AsType[noObject](e)
		return ok
	})
}

func flat(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// templated says whether a file is one of Helm, Go or Jinja: it has actions where YAML
// has none, not only in quotes or in the text of a block, as dashboards and rules of
// alerts have them.
func templated(data []byte) bool {
	block := -1 // the indentation of the key of a block of text
	for line := range bytes.Lines(data) {
		text := bytes.TrimSpace(line)
		indent := len(line) - len(bytes.TrimLeft(line, " "))
		if block >= 0 && (len(text) == 0 || indent > block) {
			continue
		}
		block = -1
		text = quoted.ReplaceAll(text, nil)
		if bytes.Contains(text, []byte("{{")) || bytes.Contains(text, []byte("{%")) {
			return true
		}
		if blockBegins.Match(text) {
			block = indent
		}
	}
	return false
}

var (
	quoted      = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'`)
	blockBegins = regexp.MustCompile(`(?:^|[:-] +)[|>][-+0-9]*(?: +#.*)?$`)
)

func looksLikeManifest(data []byte) bool {
	data = append([]byte("\n"), data...)
	return bytes.Contains(data, []byte("\napiVersion:")) && bytes.Contains(data, []byte("\nkind:"))
}

// build builds the kustomizations that no other one uses.
func (d *directory) build() error {
	type result struct {
		dir  string
		objs []render.Built
		read []string
		err  error
	}
	var results []result
	used := map[string]bool{}
	for _, dir := range d.kustomizations {
		r := result{dir: dir}
		r.objs, r.read, r.err = d.files.Build(dir)
		for _, name := range r.read {
			used[name] = used[name] || name != d.files.KustomizationIn(dir)
		}
		results = append(results, r)
	}
	for _, r := range results {
		file := d.files.KustomizationIn(r.dir)
		switch {
		case used[file]:
			continue // it is part of another one
		case r.err != nil && r.dir == d.from:
			return &hint.Error{Err: fmt.Errorf("%s: %w", d.name(file), r.err), Hint: d.kustomizeWay(r.dir)}
		case r.err != nil && d.component(file):
			d.skip(r.dir, "a kustomize component, which no kustomization here uses")
			continue
		case r.err != nil:
			d.skip(file, "%s; try %s", r.err, d.kustomizeWay(r.dir))
			continue
		}
		for _, b := range r.objs {
			from := d.name(file)
			if b.From != file {
				from += " (" + d.name(b.From) + ")"
			}
			d.out.Items = append(d.out.Items, Item{Object: b.Object, From: from})
		}
		if left := d.unread(r.dir, r.read); len(left) > 0 {
			d.out.Skipped = append(d.out.Skipped, fmt.Sprintf("%s does not name %s: %s", d.name(file), some(len(left), "file", "files"), few(left)))
		}
	}
	return nil
}

func (d *directory) kustomizeWay(dir string) string {
	command := "kubectl kustomize"
	if data, err := fs.ReadFile(d.files.Files(), d.files.KustomizationIn(dir)); err == nil && bytes.Contains(data, []byte("helmCharts:")) {
		command += " --enable-helm"
	}
	return fmt.Sprintf("%s %s | evenkeel import --env %s -", command, plain.Operand(d.name(dir)), plain.Argument(d.env))
}

// component says whether a kustomization is one that only others use.
func (d *directory) component(file string) bool {
	data, err := fs.ReadFile(d.files.Files(), file)
	return err == nil && bytes.Contains(data, []byte("kind: Component"))
}

// unread are the YAML files below a kustomization that it did not read.
func (d *directory) unread(dir string, read []string) []string {
	var left []string
	_ = fs.WalkDir(d.files.Files(), dir, func(p string, e fs.DirEntry, err error) error { // what is not listed is not said
		switch {
		case err != nil:
			return nil //nolint:nilerr // see above
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && p != dir:
			return fs.SkipDir
		case !e.IsDir() && isManifest(p) && path.Ext(p) != ".json" && !slices.Contains(read, p):
			left = append(left, d.name(p))
		}
		return nil
	})
	return left
}

// reason is an error of a file without its name.
func reason(err error) string {
	if refused, ok := errors.AsType[below.Refusal](err); ok {
		return refused.Reason
	}
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err.Error()
	}
	return err.Error()
}
