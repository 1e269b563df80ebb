package render

import (
	"path/filepath"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/token"
)

// literalAt is the source text of the value at a position of a user's file: of
// the literal that begins there. Structs and references give nothing.
func (r *Repo) literalAt(ev *evaluated, pos token.Pos) string {
	if ev == nil || ev.inst == nil {
		return ""
	}
	var found string
	for _, file := range ev.userFiles() {
		if file.Filename != pos.Filename() {
			continue
		}
		ast.Walk(file, func(n ast.Node) bool {
			if found != "" {
				return false
			}
			switch x := n.(type) {
			case *ast.BinaryExpr:
				if x.Op == token.OR { // what a definition accepts, and no value
					return false
				}
			case *ast.BasicLit, *ast.UnaryExpr, *ast.Interpolation, *ast.ListLit:
				if bound, ok := n.(*ast.UnaryExpr); ok && bound.Op != token.SUB && bound.Op != token.ADD {
					return false
				}
				if _, ok := n.(*ast.Interpolation); ok && r.rank(ev, pos) == rankElsewhere {
					return false
				}
				if n.Pos().Offset() == pos.Offset() {
					if text, err := format.Node(n); err == nil {
						found = short(string(text))
					}
					return false
				}
			}
			return true
		}, nil)
	}
	return found
}

// Where a position is: first the environment's own files, then those of others and
// what they share, then packages beside them, such as a stack.
const (
	rankEnvironment = iota
	rankShared
	rankElsewhere
)

func (r *Repo) rank(ev *evaluated, pos token.Pos) int {
	rel, err := filepath.Rel(r.root, pos.Filename())
	if err != nil || ev == nil {
		return rankElsewhere
	}
	dir := filepath.ToSlash(filepath.Dir(rel))
	switch {
	case dir == ev.dir.dir:
		return rankEnvironment
	case strings.HasPrefix(dir, "envs/"):
		return rankShared
	}
	return rankElsewhere
}
