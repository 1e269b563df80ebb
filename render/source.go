package render

import (
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
			switch n.(type) {
			case *ast.BasicLit, *ast.UnaryExpr, *ast.Interpolation, *ast.ListLit:
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
