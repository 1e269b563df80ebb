package render

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/content"
	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// virtualRoot is where CUE sees a repository: nowhere on disk. What it is not given
// it does not find, whatever links and names say. What could lead it elsewhere it is not
// given: see localModule.
func virtualRoot(dir string) string {
	return filepath.Join(filepath.VolumeName(dir)+string(filepath.Separator), ".evenkeel", "repository")
}

// localModule may replace modules by directories (replaceWith), and CUE reads those from
// the disk, wherever they are.
const localModule = "cue.mod/local-module.cue"

// notReplaced is what is said of a module that another is put in the place of.
var notReplaced = Finding{ //nolint:gochecknoglobals // a text
	Message: "modules are not replaced: what is built from has to be in the repository",
	Hint:    "put the packages below cue.mod/pkg",
}

// sources lays the CUE files that packages are built from where CUE looks for them.
type sources struct {
	repo   *Repo
	laid   map[string]load.Source
	seen   map[string]bool // directories
	queue  []string
	module string // the path of the repository's own module
}

// cueFiles reads the packages of environments and all that they import.
func (r *Repo) cueFiles(dirs []envDir) (map[string]load.Source, error) {
	s := sources{repo: r, laid: map[string]load.Source{}, seen: map[string]bool{}, module: r.module, queue: []string{"cue.mod"}}
	for _, dir := range dirs {
		s.queue = append(s.queue, dir.dir)
	}
	for len(s.queue) > 0 {
		dir := s.queue[0]
		s.queue = s.queue[1:]
		// A package has the files of the directories above, too, that are of its name.
		for ; !s.seen[dir]; dir = path.Dir(dir) {
			s.seen[dir] = true
			if err := s.add(dir); err != nil {
				return nil, err
			}
		}
	}
	return s.laid, nil
}

func (s *sources) add(dir string) error {
	entries, err := fs.ReadDir(s.repo.fsys, dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return nil // CUE says that it is not there
	}
	if err != nil {
		return s.repo.unread(dir, err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.Name() == "cue.mod" && dir != ".": // a module in the module
			name = path.Join(name, "module.cue")
			if _, err := fs.Stat(s.repo.fsys, name); err != nil {
				continue
			}
		case name == localModule:
			f := notReplaced
			f.File, f.Hint = s.repo.fileName(filepath.Join(s.repo.root, filepath.FromSlash(name))), "put the packages below cue.mod/pkg, and remove this file"
			return Findings{f}
		case path.Ext(name) != ".cue" || e.IsDir():
			continue
		}
		data, err := fs.ReadFile(s.repo.fsys, name)
		if err != nil {
			return s.repo.unread(name, err)
		}
		abs := filepath.Join(s.repo.root, filepath.FromSlash(name))
		if f, ok := notUTF8(data); ok {
			f.File = s.repo.fileName(abs)
			return Findings{f}
		}
		s.laid[abs] = load.FromBytes(data)
		s.follow(abs, data)
	}
	return nil
}

// notUTF8 is the place of the first text of another encoding, such as GBK: CUE would read
// something else there. What begins with a byte order mark says what it is.
func notUTF8(data []byte) (Finding, bool) {
	if utf8.Valid(data) || bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return Finding{}, false
	}
	f := Finding{Line: 1, Col: 1, Message: "this is not UTF-8", Hint: "save the file as UTF-8"}
	for len(data) > 0 {
		c, n := utf8.DecodeRune(data)
		if c == utf8.RuneError && n == 1 {
			break
		}
		if f.Col += n; c == '\n' {
			f.Line, f.Col = f.Line+1, 1
		}
		data = data[n:]
	}
	return f, true
}

// follow queues the directories that a file may import from.
func (s *sources) follow(name string, data []byte) {
	file, _ := parser.ParseFile(name, data, parser.ImportsOnly) // CUE says what is wrong with it
	if file == nil {
		return
	}
	for spec := range file.ImportSpecs() {
		value, err := syntax.ImportPath(spec)
		if err != nil {
			continue
		}
		imported := ast.ParseImportPath(value).Path
		if imported == s.module {
			s.queue = append(s.queue, ".")
		}
		if below, ok := strings.CutPrefix(imported, s.module+"/"); ok {
			s.queue = append(s.queue, path.Clean(below))
		}
		if first, _ := splitFirst(imported); strings.Contains(first, ".") { // else it is CUE's own
			for _, dir := range []string{"gen", "usr", "pkg"} {
				s.queue = append(s.queue, path.Join("cue.mod", dir, imported))
			}
		}
	}
}

// unread is the finding of what cannot be read.
func (r *Repo) unread(name string, err error) error {
	if refused, ok := errors.AsType[content.Refusal](err); ok {
		return Findings{{File: r.fileName(filepath.Join(r.root, filepath.FromSlash(refused.Name))), Message: refused.Reason}}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// embedFrom lets the files of packages embed what others hold: those of the repository.
func (r *Repo) embedFrom(insts []*build.Instance, files fs.FS) {
	seen := map[*build.Instance]bool{}
	var visit func(*build.Instance)
	visit = func(inst *build.Instance) {
		if inst == nil || seen[inst] {
			return
		}
		seen[inst] = true
		for _, file := range inst.Files {
			r.embedsFrom(file, files)
		}
		for _, imported := range inst.Imports {
			visit(imported)
		}
	}
	for _, inst := range insts {
		visit(inst)
	}
}

func (r *Repo) embedsFrom(file *ast.File, files fs.FS) {
	rel, err := filepath.Rel(r.root, file.Filename)
	if f := file.Pos().File(); f != nil && err == nil && filepath.IsLocal(rel) {
		f.SetFSLoc(token.FSLoc{
			FS: files, Path: filepath.ToSlash(rel),
			FromFSPath: func(name string) string { return filepath.Join(r.root, filepath.FromSlash(name)) },
		})
	}
}

// notEmbedded says why a file is not embedded: CUE says of all errors that the file
// is not there.
func (r *Repo) notEmbedded(pos token.Pos, format string, args []any) string {
	const file, glob, look = "open %v: no such file or directory", "no matches for glob pattern %q", "failed to stat %s: %v"
	if format != file && format != glob && format != look || len(args) == 0 {
		return ""
	}
	name, _ := args[0].(string)
	if format == glob {
		name = path.Dir(name)
	}
	rel, err := filepath.Rel(r.root, pos.Filename())
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	_, err = fs.ReadFile(r.fsys, path.Join(path.Dir(filepath.ToSlash(rel)), name))
	if refused, ok := errors.AsType[content.Refusal](err); ok {
		return refused.Error()
	}
	return ""
}
