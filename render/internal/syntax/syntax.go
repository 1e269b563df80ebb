// Package syntax reads CUE as it is written, before anything is evaluated: which
// fields stand where, and what an expression puts together. It is the one place that
// knows in how many ways CUE writes the same thing: a & b, (a), a..., X=a, an embedded
// struct, a: b: c without braces.
package syntax

import (
	"errors"
	"iter"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"
)

// Name is the name of a field as it is known, with its alias and its quotes taken
// off; false for a pattern and for a name that is computed.
func Name(f *ast.Field) (string, bool) {
	name, _, err := ast.LabelName(f.Label)
	return name, err == nil
}

// Conjuncts are the expressions that one unifies, in their order: itself, where it
// unifies nothing. Parentheses, aliases and the dots that open a struct are taken off.
func Conjuncts(expr ast.Expr) iter.Seq[ast.Expr] { return split(expr, token.AND) }

// Operands are the expressions that one consists of: its conjuncts, the alternatives of
// a disjunction, and what any other operator stands between.
func Operands(expr ast.Expr) iter.Seq[ast.Expr] { return split(expr, token.ILLEGAL) }

// split yields what operators stand between: those of the kind, or all for ILLEGAL.
func split(expr ast.Expr, at token.Token) iter.Seq[ast.Expr] {
	return func(yield func(ast.Expr) bool) {
		var visit func(ast.Expr) bool
		visit = func(expr ast.Expr) bool {
			switch e := expr.(type) {
			case *ast.BinaryExpr:
				if at == token.ILLEGAL || e.Op == at {
					return visit(e.X) && visit(e.Y)
				}
			case *ast.ParenExpr:
				return visit(e.X)
			case *ast.PostfixExpr: // {...}...
				return visit(e.X)
			case *ast.Alias: // shop: S={...}
				return visit(e.Expr)
			}
			return yield(expr)
		}
		visit(expr)
	}
}

// Structs are the struct literals that an expression unifies, in their order, each
// followed by those that it embeds.
func Structs(expr ast.Expr) []*ast.StructLit {
	found, _ := Parts(expr)
	return found
}

// Parts are the struct literals that an expression unifies, as Structs has them, and
// the conjuncts that are none: references, calls, disjunctions.
func Parts(expr ast.Expr) (structs []*ast.StructLit, others []ast.Expr) {
	for e := range Conjuncts(expr) {
		lit, ok := e.(*ast.StructLit)
		if !ok {
			others = append(others, e)
			continue
		}
		structs = append(structs, lit)
		for _, decl := range lit.Elts {
			if embedded, ok := decl.(*ast.EmbedDecl); ok {
				more, rest := Parts(embedded.Expr)
				structs, others = append(structs, more...), append(others, rest...)
			}
		}
	}
	return structs, others
}

// Fields yields the fields of a file or a struct that have a name, in their order, not
// those of what it embeds.
func Fields(decls []ast.Decl) iter.Seq2[string, *ast.Field] {
	return func(yield func(string, *ast.Field) bool) {
		for _, decl := range decls {
			if f, ok := decl.(*ast.Field); ok {
				if name, ok := Name(f); ok && !yield(name, f) {
					return
				}
			}
		}
	}
}

// Named yields those of the Fields that have one name; there may be several.
func Named(decls []ast.Decl, name string) iter.Seq[*ast.Field] {
	return func(yield func(*ast.Field) bool) {
		for label, f := range Fields(decls) {
			if label == name && !yield(f) {
				return
			}
		}
	}
}

// FieldsAt are the fields that stand at a path, through unifications and embeddings,
// in their order.
func FieldsAt(decls []ast.Decl, path ...string) []*ast.Field {
	var found []*ast.Field
	for _, decl := range decls {
		switch d := decl.(type) {
		case *ast.Field:
			if name, ok := Name(d); !ok || name != path[0] {
				continue
			}
			if len(path) == 1 {
				found = append(found, d)
				continue
			}
			for e := range Conjuncts(d.Value) {
				if lit, ok := e.(*ast.StructLit); ok {
					found = append(found, FieldsAt(lit.Elts, path[1:]...)...)
				}
			}
		case *ast.EmbedDecl:
			for e := range Conjuncts(d.Expr) {
				if lit, ok := e.(*ast.StructLit); ok {
					found = append(found, FieldsAt(lit.Elts, path...)...)
				}
			}
		}
	}
	return found
}

// StructsAt are the struct literals that stand at a path, without what they embed.
func StructsAt(decls []ast.Decl, path ...string) []*ast.StructLit {
	var found []*ast.StructLit
	for _, f := range FieldsAt(decls, path...) {
		for e := range Conjuncts(f.Value) {
			if lit, ok := e.(*ast.StructLit); ok {
				found = append(found, lit)
			}
		}
	}
	return found
}

// EachField calls fn for the fields of structs with their paths, through operators and
// embeddings, but not into calls and comprehensions. fn returns false to stay out of a
// field.
func EachField(decls []ast.Decl, fn func(f *ast.Field, path []string) bool) {
	eachField(decls, nil, fn)
}

func eachField(decls []ast.Decl, path []string, fn func(f *ast.Field, path []string) bool) {
	inside := func(expr ast.Expr, path []string) {
		for e := range Operands(expr) {
			if lit, ok := e.(*ast.StructLit); ok {
				eachField(lit.Elts, path, fn)
			}
		}
	}
	for _, decl := range decls {
		switch d := decl.(type) {
		case *ast.Field:
			name, ok := Name(d)
			if !ok {
				continue
			}
			if at := append(append([]string{}, path...), name); fn(d, at) {
				inside(d.Value, at)
			}
		case *ast.EmbedDecl:
			inside(d.Expr, path)
		}
	}
}

// FieldAt is the innermost field that can be taken out around an offset, nil where
// there is none: in "a: b: c" without braces that is the whole of it, for a struct
// without braces cannot be empty.
func FieldAt(file *ast.File, offset int) *ast.Field {
	var found *ast.Field
	inside := func(n ast.Node) bool { return n.Pos().Offset() <= offset && offset < n.End().Offset() }
	var visitExpr func(expr ast.Expr, outer *ast.Field)
	visit := func(decls []ast.Decl, braces bool, outer *ast.Field) {
		for _, d := range decls {
			if !inside(d) {
				continue
			}
			switch n := d.(type) {
			case *ast.Field:
				found = n
				if !braces && outer != nil {
					found = outer
				}
				visitExpr(n.Value, found)
			case *ast.EmbedDecl:
				visitExpr(n.Expr, outer)
			case *ast.Comprehension:
				visitExpr(n.Value, nil)
			}
		}
	}
	visitExpr = func(expr ast.Expr, outer *ast.Field) {
		for e := range Operands(expr) {
			if !inside(e) {
				continue
			}
			switch n := e.(type) {
			case *ast.StructLit:
				visit(n.Elts, n.Lbrace.IsValid(), outer)
			case *ast.ListLit:
				for _, item := range n.Elts {
					visitExpr(item, outer)
				}
			}
		}
	}
	visit(file.Decls, true, nil)
	return found
}

// Literal is the value of a string literal; an error for any other expression.
func Literal(expr ast.Expr) (string, error) {
	lit, ok := expr.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", errors.New("not a string literal")
	}
	return literal.Unquote(lit.Value)
}

// Label writes a name as the label of a field. One that is the name of the import of
// the schema is quoted: without quotes it would hide the import from what stands in it.
func Label(name string) string {
	if name == "schema" || ast.StringLabelNeedsQuoting(name) {
		return literal.Label.Quote(name)
	}
	return name
}

// Import is the import that an expression names; nil where it is another name. The
// file has to be resolved, as files are that were loaded or parsed.
func Import(expr ast.Expr) *ast.ImportSpec {
	ident, ok := expr.(*ast.Ident)
	if !ok {
		return nil
	}
	spec, _ := ident.Node.(*ast.ImportSpec)
	return spec
}

// ImportPath is what an import says: the path with its version and package name.
func ImportPath(spec *ast.ImportSpec) (string, error) { return Literal(spec.Path) }

// ImportName is how a file calls an import.
func ImportName(spec *ast.ImportSpec) (string, error) {
	if spec.Name != nil {
		return spec.Name.Name, nil
	}
	full, err := ImportPath(spec)
	return ast.ParseImportPath(full).Qualifier, err
}

// Plain drops the package name and the major version of an import path.
func Plain(importPath string) string {
	importPath, _, _ = strings.Cut(importPath, ":")
	dir, version, ok := strings.Cut(importPath, "@")
	if !ok {
		return importPath
	}
	_, rest, _ := strings.Cut(version, "/")
	return strings.TrimSuffix(dir+"/"+rest, "/")
}
