package render

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// written is where a wrong value stands, which may be a file that the place refers
// to, such as a list of apps that environments share: there its literal is, or a
// field of its name.
func (t translator) written(place token.Pos, path []string, group []cueError) token.Pos {
	for len(path) > 0 {
		if _, item := index(last(path)); !item {
			break
		}
		path = path[:len(path)-1]
	}
	if !place.IsValid() || t.repo.literalAt(t.ev, place) != "" {
		return place
	}
	if literals := t.literals(group); len(literals) != 1 || t.kind(group) != fieldsInBraces {
		if t.fieldNamed(place, last(path)) {
			return place
		}
	}
	var named token.Pos
	for _, e := range group {
		if !strings.HasPrefix(e.format, "invalid value") && !strings.HasPrefix(e.format, "conflicting values") {
			continue
		}
		for _, pos := range e.inputs {
			if t.repo.literalAt(t.ev, pos) != "" {
				return pos
			}
			if !named.IsValid() && t.fieldNamed(pos, last(path)) {
				named = pos
			}
		}
	}
	if named.IsValid() {
		return named
	}
	return place
}

// fieldNamed says whether the innermost field at a position has the name.
func (t translator) fieldNamed(pos token.Pos, name string) bool {
	if t.ev == nil || t.ev.inst == nil {
		return false
	}
	found := ""
	for _, file := range t.ev.userFiles() {
		if file.Filename != pos.Filename() {
			continue
		}
		ast.Walk(file, func(n ast.Node) bool {
			if n.Pos().Offset() > pos.Offset() || pos.Offset() >= n.End().Offset() {
				return n == file
			}
			if field, ok := n.(*ast.Field); ok {
				if found, _ = syntax.Name(field); found == name && field.Value.Pos() == pos {
					return false // the whole of it, which begins with a field of its own
				}
			}
			return true
		}, nil)
	}
	return found != "" && found == name
}

// place is where the user should look.
func (t translator) place(e cueError) token.Pos {
	if e.pos.IsValid() && e.format != missingField {
		return e.pos
	}
	if t.ev != nil && t.ev.root.Exists() {
		for n := len(e.path); n > 0; n-- {
			v := t.ev.root.LookupPath(stringPath(e.path[:n]))
			if pos := t.repo.userPos(v); pos.IsValid() {
				if e.format == missingField && n == len(e.path)-1 {
					return t.declared(pos, e.path[n-1])
				}
				return pos
			}
		}
	}
	if e.pos.IsValid() {
		return e.pos
	}
	return e.any
}

// literal is the value that stands in the user's file.
func (t translator) literal(e cueError) string {
	if found := t.literals([]cueError{e}); len(found) > 0 {
		return found[0]
	}
	if len(e.args) > 0 {
		return short(fmt.Sprint(e.args[0]))
	}
	return ""
}

// literals are the values at the user's positions, each once.
func (t translator) literals(group []cueError) []string {
	var found []string
	for _, e := range group {
		for _, pos := range e.inputs {
			if text := t.repo.literalAt(t.ev, pos); text != "" && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
	}
	return found
}

// declared is where a package says what a field is, where an environment only names it,
// such as site: facts.#Site: what is missing there is missing in all that name it. Apps
// are what environments add to.
func (t translator) declared(pos token.Pos, name string) token.Pos {
	for _, file := range t.ev.userFiles() {
		if file.Filename != pos.Filename() {
			continue
		}
		field := syntax.FieldAt(file, pos.Offset())
		if field == nil {
			break
		}
		sel, ok := field.Value.(*ast.SelectorExpr)
		if is, _ := syntax.Name(field); !ok || is != name || name == "apps" {
			break
		}
		for _, inst := range t.ev.instances() {
			for _, at := range declarationsOf(inst, sel) {
				if t.repo.isUserPos(at) {
					return at
				}
			}
		}
	}
	return pos
}

// declarationsOf are the places where a package declares what is selected from it; none
// where it is another package.
func declarationsOf(inst *build.Instance, sel *ast.SelectorExpr) (all []token.Pos) {
	spec := syntax.Import(sel.X)
	label, _, err := ast.LabelName(sel.Sel)
	if spec == nil || err != nil {
		return nil
	}
	if full, err := syntax.ImportPath(spec); err != nil || syntax.Plain(full) != syntax.Plain(inst.ImportPath) {
		return nil
	}
	for _, file := range inst.Files {
		for field := range syntax.Named(file.Decls, label) {
			all = append(all, field.Pos())
		}
	}
	return all
}
