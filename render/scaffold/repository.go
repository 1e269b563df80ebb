package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"cuelang.org/go/cue/format"

	"github.com/seed-428f4edd/evenkeel/render/internal/below"
)

// The directories of a new repository below envs, beside the environments.
const (
	factsDir = "facts"
	appsDir  = "shared"
	infra    = "infra"
)

//go:embed templates
var templates embed.FS

// File is one file of a repository, named by its path with slashes.
type File struct {
	Name       string
	Data       []byte
	Executable bool
}

// Repository makes the files of a new repository from facts that Check has seen.
func Repository(f Facts) ([]File, error) {
	files := []File{
		{Name: "cue.mod/module.cue"},
		{Name: ".gitignore"},
		{Name: "README.md"},
		{Name: "envs/" + factsDir + "/facts.cue"},
	}
	for i := range files {
		data, err := execute(strings.TrimPrefix(path.Base(files[i].Name), "."), f)
		if err != nil {
			return nil, err
		}
		files[i].Data = data
	}
	ci, err := pipeline(f)
	if err != nil {
		return nil, err
	}
	envs, err := environments(f)
	if err != nil {
		return nil, err
	}
	files = slices.Concat(files, ci, envs)
	for i, file := range files {
		if path.Ext(file.Name) != ".cue" {
			continue
		}
		if files[i].Data, err = format.Source(file.Data); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name, err)
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

func environments(f Facts) ([]File, error) {
	if f.From != Minimal {
		return exampleEnvironments(f)
	}
	var files []File
	add := func(from, name, context string) error {
		data, err := execute(from, envFacts{Facts: f, Name: name, Context: context, Infra: f.infraOf(context)})
		files = append(files, File{Name: path.Join("envs", name, name+".cue"), Data: data})
		return err
	}
	for _, context := range f.clusters() {
		if err := add("infra.cue", f.infraOf(context), context); err != nil {
			return nil, err
		}
	}
	for _, name := range f.Envs {
		if err := add("env.cue", name, f.contextOf(name)); err != nil {
			return nil, err
		}
	}
	data, err := execute("apps.cue", f)
	return append(files, File{Name: path.Join("envs", appsDir, "apps.cue"), Data: data}), err
}

// envFacts is what the template of one environment is given.
type envFacts struct {
	Facts
	Name    string
	Context string // of its own cluster
	Infra   string // the environment that it stands on
}

// Package is the name of the environment's CUE package.
func (e envFacts) Package() string { return packageName(e.Name) }

// Protected says that writes to the environment ask first: what its name says.
func (e envFacts) Protected() bool { return strings.Contains(e.Name, "prod") }

// Steps are the first commands in a new repository, each with what it does, in columns.
func (f Facts) Steps() []string {
	env := f.Envs[0]
	steps := [][2]string{
		{"envs", "what there is"},
		{"vet", "check all of it, with no cluster"},
		{"render " + env, "the manifests"},
		{"diff " + env, "against the cluster"},
		{"apply " + strings.Join(f.Infras(), " "), "bring the cluster level, infra first"},
		{"apply " + env, "and what stands on it"},
	}
	width := 0
	for _, step := range steps {
		width = max(width, len(step[0]))
	}
	lines := make([]string, len(steps))
	for i, step := range steps {
		lines[i] = fmt.Sprintf("evenkeel %-*s # %s", width, step[0], step[1])
	}
	return lines
}

// SiteName is the name of the site: the first label of its domain.
func (f Facts) SiteName() string { name, _, _ := strings.Cut(f.Domain, "."); return name }

// EdgeHosts are the edge hosts by the first label of their names.
func (f Facts) EdgeHosts() []Host {
	hosts := make([]Host, len(f.Edge))
	for i, h := range f.Edge {
		name, _, _ := strings.Cut(h.Name, ".")
		hosts[i] = Host{Name: name, Address: h.Address}
	}
	return hosts
}

// HasEdge says whether hosts of the site stand in front of the cluster.
func (f Facts) HasEdge() bool { return f.VIP != NoVIP }

func execute(name string, facts any) ([]byte, error) {
	t, err := template.ParseFS(templates, "templates/"+name+".tmpl")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, facts); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// packageName makes a CUE identifier of an environment's name.
func packageName(name string) string {
	id := strings.ReplaceAll(name, "-", "")
	if id[0] >= '0' && id[0] <= '9' {
		return "env" + id
	}
	return id
}

// Taken says that a directory holds a repository already.
type Taken struct{ Path string }

func (e Taken) Error() string { return e.Path + " is there already" }

// Write puts the files into a directory, which may be missing. A directory with a
// cue.mod or envs gives Taken. Other files that are there already are kept; their
// names come back. Where a link would lead a file out of the directory nothing is
// written.
func Write(dir string, files []File) (kept []string, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	to, err := below.Open(dir, dir, ".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = to.Close() }() // nothing is written by that
	for _, name := range []string{"cue.mod", "envs"} {
		if _, err := to.Lstat(name); err == nil {
			return nil, Taken{Path: filepath.Join(dir, name)}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, f := range files {
		if err := to.Check(path.Dir(f.Name)); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		err := to.Create(f.Name, f.Data, f.mode())
		if errors.Is(err, fs.ErrExist) {
			kept = append(kept, f.Name)
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func (f File) mode() fs.FileMode {
	if f.Executable {
		return 0o777
	}
	return 0o666
}
