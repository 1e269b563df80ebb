package render

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
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
	if !place.IsValid() || t.repo.literalAt(t.ev, place) != "" || t.fieldNamed(place, last(path)) {
		return place
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
				found, _ = syntax.Name(field)
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
