package scaffold

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// Setting is a field of an environment and what it is to be.
type Setting struct {
	Path  []string // below the environment, such as apps, shop, image
	Value string   // as CUE writes it
}

// NotSettable says that a field does not stand as one literal in the
// environment's own files.
type NotSettable struct {
	Path   []string
	Places []string // FILE:LINE:COL
}

func (e NotSettable) Error() string {
	path := strings.Join(e.Path, ".")
	if len(e.Places) == 1 {
		return fmt.Sprintf("%s: %s is not a plain literal of the environment there", e.Places[0], path)
	}
	return fmt.Sprintf("%s is set in several places: %s", path, strings.Join(e.Places, ", "))
}

// Literals says of fields whether the files of an environment give them as
// literals, false where they say nothing. One that they give in another way, or in
// several places, has a NotSettable.
func Literals(files []File, paths [][]string) (is []bool, wrong []error, err error) {
	sources, err := parseAll(files)
	if err != nil {
		return nil, nil, err
	}
	is, wrong = make([]bool, len(paths)), make([]error, len(paths))
	for i, path := range paths {
		_, lit, err := literalAt(sources, path)
		is[i], wrong[i] = lit != nil, err
	}
	return is, wrong, nil
}

// Set writes settings into the files of an environment and returns those that
// changed: in the place of the literal, or as a further field of the app where the
// files say nothing of it. Nothing but these bytes changes.
func Set(files []File, settings []Setting) ([]File, error) {
	sources, err := parseAll(files)
	if err != nil {
		return nil, err
	}
	for _, set := range settings {
		s, lit, err := literalAt(sources, set.Path)
		switch {
		case err != nil:
			return nil, err
		case lit != nil && lit.Value != set.Value:
			s.replaceNode(lit, set.Value)
		case lit == nil:
			if err := insert(sources, set); err != nil {
				return nil, err
			}
		}
	}
	var changed []File
	for _, s := range sources {
		if len(s.edits) == 0 {
			continue
		}
		f, err := s.result()
		if err != nil {
			return nil, err
		}
		changed = append(changed, f)
	}
	return changed, nil
}

// literalAt is the literal that gives a field, with its file; nil where the files
// say nothing of it.
func literalAt(sources []*source, path []string) (*source, *ast.BasicLit, error) {
	var in *source
	var found []*ast.Field
	var places []string
	for _, s := range sources {
		for _, f := range syntax.FieldsAt(s.tree.Decls, append([]string{"environment"}, path...)...) {
			in = s
			found = append(found, f)
			places = append(places, place(f.Value.Pos()))
		}
	}
	switch len(found) {
	case 0:
		return nil, nil, nil
	case 1:
		value := found[0].Value
		if alias, ok := value.(*ast.Alias); ok {
			value = alias.Expr
		}
		if lit, ok := value.(*ast.BasicLit); ok {
			return in, lit, nil
		}
	}
	return nil, nil, NotSettable{Path: path, Places: places}
}

func place(pos token.Pos) string {
	p := pos.Position()
	return fmt.Sprintf("%s:%d:%d", p.Filename, p.Line, p.Column)
}

// insert adds a field to the innermost struct with braces above it.
func insert(sources []*source, set Setting) error {
	path := append([]string{"environment"}, set.Path...)
	for n := len(path) - 1; n > 0; n-- {
		s, lit := lastStruct(sources, path[:n]...)
		if lit == nil {
			continue
		}
		labels := slices.Clone(path[n:])
		for i, name := range labels {
			labels[i] = syntax.Label(name)
		}
		s.appendField(lit, strings.Join(labels, ": ")+": "+set.Value)
		return nil
	}
	return fmt.Errorf("no struct { ... } of the field environment to write %s into", strings.Join(set.Path, "."))
}

// appendField adds a field at the end of a struct with braces: on its own line where
// the struct has several, else behind the last field.
func (s *source) appendField(lit *ast.StructLit, field string) {
	last := lastField(lit)
	end := lit.Rbrace.Offset()
	lineStart := bytes.LastIndexByte(s.Data[:end], '\n') + 1
	switch {
	case lit.Lbrace.Line() != lit.Rbrace.Line() && len(bytes.TrimSpace(s.Data[lineStart:end])) == 0:
		s.appendTo(lit, field)
	case last == nil:
		at := lit.Lbrace.Offset() + 1
		if len(lit.Elts) > 0 || slices.ContainsFunc(s.edits, func(e edit) bool { return e.from == at }) {
			field += ", "
		}
		s.edits = slices.Insert(s.edits, 0, edit{at, at, field})
	case lit.Lbrace.Line() != lit.Rbrace.Line():
		at := last.End().Offset()
		start := bytes.LastIndexByte(s.Data[:last.Pos().Offset()], '\n') + 1
		line := s.Data[start:]
		s.edits = append(s.edits, edit{at, at, "\n" + string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))]) + field})
	default:
		at := last.End().Offset()
		s.edits = append(s.edits, edit{at, at, ", " + field})
	}
}

// lastField is the last element of a struct that another one may follow.
func lastField(lit *ast.StructLit) ast.Decl {
	for _, decl := range slices.Backward(lit.Elts) {
		if _, ok := decl.(*ast.Ellipsis); !ok {
			return decl
		}
	}
	return nil
}
