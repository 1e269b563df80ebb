package scaffold

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/below"
	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// ReadPackage reads the CUE files of one directory of a repository.
func ReadPackage(repo fs.FS, dir string) ([]File, error) {
	entries, err := fs.ReadDir(repo, dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && path.Ext(e.Name()) == ".cue" {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	return ReadFiles(repo, names)
}

// ReadFiles reads files of a repository by their names from its root.
func ReadFiles(repo fs.FS, names []string) ([]File, error) {
	files := make([]File, len(names))
	for i, name := range names {
		data, err := fs.ReadFile(repo, name)
		if err != nil {
			return nil, err
		}
		files[i] = File{Name: name, Data: data}
	}
	return files, nil
}

// Change writes files of a repository. The function that it returns takes the
// change back: it restores what was there and removes what was not. The file that a
// link within the repository leads to is the one that is written.
func Change(root string, files []File) (undo func() error, err error) {
	dir, err := below.Open(root, "the repository", ".")
	if err != nil {
		return nil, err
	}
	var before []File
	var made []string
	undo = func() error {
		var errs []error
		for _, f := range before {
			errs = append(errs, dir.WriteFile(f.Name, f.Data, 0o666))
		}
		for _, name := range made {
			errs = append(errs, dir.Remove(name))
			_ = dir.Remove(path.Dir(name)) // only when it is empty
		}
		return errors.Join(errs...)
	}
	for _, f := range files {
		old, err := dir.ReadFile(f.Name)
		switch {
		case err == nil:
			// A file is replaced whole, or left as it was.
			if err = dir.WriteFile(f.Name, f.Data, 0o666); err == nil {
				before = append(before, File{Name: f.Name, Data: old})
			}
		case errors.Is(err, fs.ErrNotExist):
			if err = dir.Create(f.Name, f.Data, f.mode()); err == nil {
				made = append(made, f.Name)
			}
		}
		if err != nil {
			return nil, errors.Join(err, undo())
		}
	}
	return undo, nil
}

// source is a CUE file on its way to another text. Edits are made in the text, at
// places that the syntax tree names: what stands elsewhere stays byte for byte.
type source struct {
	File
	tree  *ast.File
	edits []edit
	tidy  bool // formatted as cue formats
}

type edit struct {
	from, to int
	text     string
}

func parse(f File) (*source, error) {
	tree, err := parser.ParseFile(f.Name, f.Data, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	formatted, err := format.Source(f.Data)
	if err != nil {
		return nil, err
	}
	return &source{File: f, tree: tree, tidy: bytes.Equal(formatted, f.Data)}, nil
}

func (s *source) replace(from, to token.Pos, text string) {
	s.edits = append(s.edits, edit{from.Offset(), to.Offset(), text})
}

// replaceNode puts a text in the place of a node without children, such as a
// literal.
func (s *source) replaceNode(n ast.Node, text string) { s.replace(n.Pos(), n.End(), text) }

// remove takes a field out of a struct, with the comma behind it; of a struct without
// braces nothing is left.
func (s *source) remove(in *ast.StructLit, field *ast.Field) {
	if !in.Lbrace.IsValid() {
		s.replaceNode(in, "{}")
		return
	}
	from, to := field.Pos().Offset(), field.End().Offset()
	rest := bytes.TrimLeft(s.Data[to:], " ")
	if bytes.HasPrefix(rest, []byte(",")) {
		to = len(s.Data) - len(rest) + 1
	}
	s.edits = append(s.edits, edit{from, to, ""})
}

// result applies the edits. A file that was formatted stays so, one with the line
// ends of Windows as well.
func (s *source) result() (File, error) {
	if bytes.Contains(s.Data, []byte("\r\n")) {
		for i := range s.edits {
			s.edits[i].text = strings.ReplaceAll(s.edits[i].text, "\n", "\r\n")
		}
	}
	slices.SortStableFunc(s.edits, func(a, b edit) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for _, e := range s.edits {
		b.Write(s.Data[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.Write(s.Data[at:])
	out := File{Name: s.Name, Data: []byte(b.String())}
	if !s.tidy {
		return out, nil
	}
	data, err := format.Source(out.Data)
	out.Data = data
	return out, err
}

// appendTo adds lines at the end of a struct with braces.
func (s *source) appendTo(lit *ast.StructLit, lines string) {
	end := lit.Rbrace.Offset()
	lineStart := bytes.LastIndexByte(s.Data[:end], '\n') + 1
	before := s.Data[lineStart:end]
	if len(bytes.TrimSpace(before)) > 0 { // the brace ends a line of its own content
		s.edits = append(s.edits, edit{end, end, "\n" + indent(lines, "\t") + "\n"})
		return
	}
	s.edits = append(s.edits, edit{lineStart, lineStart, indent(lines, string(before)+"\t") + "\n"})
}

func indent(lines, with string) string {
	return with + strings.ReplaceAll(lines, "\n", "\n"+with)
}

// importName is the name under which the file imports a package. An import that
// is missing is added.
func (s *source) importName(pkg string) string {
	var last *ast.ImportDecl
	for _, decl := range s.tree.Decls {
		imports, ok := decl.(*ast.ImportDecl)
		if !ok {
			continue
		}
		last = imports
		for _, spec := range imports.Specs {
			if p, err := syntax.ImportPath(spec); err != nil || p != pkg {
				continue
			}
			if name, err := syntax.ImportName(spec); err == nil {
				return name
			}
		}
	}
	quoted := ast.NewString(pkg).Value
	switch {
	case last == nil:
		s.addImport(quoted)
	case last.Lparen.IsValid():
		at := last.Lparen.Offset() + 1
		s.edits = append(s.edits, edit{at, at, "\n\t" + quoted})
	default:
		at := last.Pos().Offset()
		s.edits = append(s.edits, edit{at, at, "import " + quoted + "\n"})
	}
	return path.Base(pkg)
}

// addImport writes the first import below the package clause.
func (s *source) addImport(quoted string) {
	for _, decl := range s.tree.Decls {
		if p, ok := decl.(*ast.Package); ok {
			at := p.Name.End().Offset()
			s.edits = append(s.edits, edit{at, at, "\n\nimport " + quoted})
			return
		}
	}
	s.edits = append(s.edits, edit{0, 0, "import " + quoted + "\n\n"})
}

// PackageOf is the name of the CUE package that files make.
func PackageOf(files []File) (string, error) {
	sources, err := parseAll(files)
	if err != nil {
		return "", err
	}
	for _, s := range sources {
		if name := s.tree.PackageName(); name != "" {
			return name, nil
		}
	}
	return "", errors.New("no package clause")
}
