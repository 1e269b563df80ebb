package reference

import (
	"cmp"
	"regexp"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// walker collects the fields of a definition and of what it embeds.
type walker struct {
	defs   *definitions
	root   string // the kind of the page
	fields []Field
	depth  int
}

// shared definitions have a page of their own; the pages of stacks and apps refer
// to it.
var shared = map[string]string{"schema/core.#Unit": "unit", "schema.#deployed": "app", "schema.#pod": "app", "schema.#network": "app"} //nolint:gochecknoglobals // a table

// skipped are fields that no environment sets, or that have a page of their own.
var skipped = map[string]bool{"objects": true, "type": true, "name": true, "apps": true, "stacks": true, "base": true, "site": true} //nolint:gochecknoglobals // a table

func (w *walker) value(pkg, prefix string, expr ast.Expr) {
	if w.depth > 12 {
		return
	}
	w.depth++
	defer func() { w.depth-- }()
	for conjunct := range syntax.Conjuncts(expr) {
		switch x := conjunct.(type) {
		case *ast.StructLit:
			for _, elt := range x.Elts {
				w.declaration(pkg, prefix, elt)
			}
		case *ast.BinaryExpr: // one of several forms
			if x.Op == token.OR {
				w.value(pkg, prefix, x.X)
				w.value(pkg, prefix, x.Y)
			}
		case *ast.ListLit:
			for _, elt := range x.Elts {
				if rest, ok := elt.(*ast.Ellipsis); ok && rest.Type != nil {
					w.value(pkg, prefix+"[]", rest.Type)
				}
			}
		default:
			in, field, name := w.defs.resolve(pkg, x)
			if field == nil || w.root != "common" && (prefix == "" && shared[in+"."+name] != "" || name == "#service") {
				continue
			}
			w.value(in, prefix, field.Value)
		}
	}
}

func (w *walker) declaration(pkg, prefix string, decl ast.Decl) {
	switch x := decl.(type) {
	case *ast.Comprehension: // what it says of fields that have their comment elsewhere
		if w.root == "common" {
			w.conditional(pkg, prefix, x)
		}
	case *ast.EmbedDecl:
		if prefix != "" || !inUnit(w, x) {
			w.value(pkg, prefix, x.Expr)
		}
	case *ast.Field:
		name := labelOf(x.Label)
		switch list, ok := x.Label.(*ast.ListLit); {
		case ok && prefix == "": // ["apollo"]: a field that costs nothing where it is not there
			name = onlyName(list)
		case ok && len(list.Elts) == 0:
			return
		case ok: // [string]: a name of the user's choice
			at := prefix + ".NAME"
			w.add(pkg, at, x)
			w.value(pkg, at, x.Value)
			return
		}
		if name == "" || strings.HasPrefix(name, "#") || strings.HasPrefix(name, "_") || prefix == "" && skipped[name] && docOf(x) == "" {
			return
		}
		at := name
		if prefix != "" {
			at = prefix + "." + name
		}
		w.add(pkg, at, x)
		if at != "apps" && at != "stacks" && at != "base" { // they have pages of their own
			w.value(pkg, at, x.Value)
		}
	}
}

// onlyName is the one name that a pattern is for, such as ["apollo"]; empty where it
// is for several.
func onlyName(list *ast.ListLit) string {
	if len(list.Elts) != 1 {
		return ""
	}
	lit, ok := list.Elts[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	name, err := literal.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return name
}

// conditional looks for what a field takes from the environment unless its type
// knows better.
func (w *walker) conditional(pkg, prefix string, x *ast.Comprehension) {
	lit, ok := x.Value.(*ast.StructLit)
	if !ok {
		return
	}
	for _, elt := range lit.Elts {
		if f, ok := elt.(*ast.Field); ok && handedDown(f.Value) != "" {
			w.declaration(pkg, prefix, f)
		}
	}
}

// inUnit says whether a page of something in common embeds core.#Unit, which has
// its own page.
func inUnit(w *walker, x *ast.EmbedDecl) bool {
	_, _, name := w.defs.resolve("schema", x.Expr)
	return w.root == "common" && name == "#Unit"
}

// add records a field, or what a type says of a field that it embeds.
func (w *walker) add(pkg, path string, x *ast.Field) {
	f := Field{Path: path, Doc: strings.ReplaceAll(docOf(x), "\n", " "), Required: x.Constraint == token.NOT}
	f.Values, f.Default = values(w.meant(pkg, x.Value))
	for i := range w.fields {
		if old := &w.fields[i]; old.Path == path {
			if f.Doc != "" {
				old.Doc = f.Doc
			}
			old.Values = cmp.Or(old.Values, f.Values)
			if f.Default != "" {
				old.Default = f.Default
			}
			return
		}
	}
	if f.Doc != "" {
		w.fields = append(w.fields, f)
	}
}

// meant is what the name of a definition stands for, where that has a default or
// fields: their pages do not know the name.
func (w *walker) meant(pkg string, expr ast.Expr) ast.Expr {
	in, field, _ := w.defs.resolve(pkg, expr)
	if field == nil {
		return expr
	}
	switch x := field.Value.(type) {
	case *ast.StructLit:
		return x
	case *ast.BinaryExpr:
		if _, def := values(x); def != "" {
			return x
		}
	case *ast.Ident, *ast.SelectorExpr:
		return w.meant(in, x)
	}
	if handedDown(expr) != "" {
		return field.Value
	}
	return expr
}

// values are what a field may be, and its default.
func values(expr ast.Expr) (text, def string) {
	var parts []string
	for _, alt := range alternatives(expr) {
		if u, ok := alt.(*ast.UnaryExpr); ok && u.Op == token.MUL {
			def = plain(u.X)
			if _, literal := u.X.(*ast.BasicLit); !literal || def == "true" || def == "false" {
				continue
			}
			if !enumerated(alternatives(expr)) {
				continue
			}
			alt = u.X
		}
		switch x := alt.(type) {
		case *ast.StructLit:
			parts = append(parts, structOf(x))
		case *ast.ListLit:
			parts = append(parts, "list"+itemsOf(x))
		default:
			parts = append(parts, plain(alt))
		}
	}
	text = strings.Join(parts, " \\| ")
	if text == "_" {
		text = ""
	}
	return text, def
}

// enumerated says whether all alternatives are literals: an enumeration, whose default
// is one of them.
func enumerated(alts []ast.Expr) bool {
	for _, alt := range alts {
		if u, ok := alt.(*ast.UnaryExpr); ok && u.Op == token.MUL {
			alt = u.X
		}
		if _, ok := alt.(*ast.BasicLit); !ok {
			return false
		}
	}
	return true
}

func alternatives(expr ast.Expr) []ast.Expr {
	if b, ok := expr.(*ast.BinaryExpr); ok && b.Op == token.OR {
		return append(alternatives(b.X), alternatives(b.Y)...)
	}
	return []ast.Expr{expr}
}

// structOf: fields are rows of their own; what has names of the user's choice is
// said here.
func structOf(x *ast.StructLit) string {
	for _, elt := range x.Elts {
		if f, ok := elt.(*ast.Field); ok {
			if _, ok := f.Label.(*ast.ListLit); ok {
				return "by name"
			}
		}
	}
	return ""
}

func itemsOf(x *ast.ListLit) string {
	for _, elt := range x.Elts {
		if rest, ok := elt.(*ast.Ellipsis); ok && rest.Type != nil {
			if _, ok := rest.Type.(*ast.StructLit); !ok {
				return " of " + plain(rest.Type)
			}
		}
	}
	return ""
}

var (
	mirrors = regexp.MustCompile(`\\\((?:#env\.site\.images|IMAGES)\.mirror\["([^"]+)"\]\)`)
	types   = regexp.MustCompile(`\b[a-z]+\.#|#`)
	// the value of a field, written as text to take it without its alternatives
	valueOf = regexp.MustCompile(`"\\\(([^()"]+)\)"`)
)

// plain is an expression as a reader takes it.
func plain(expr ast.Expr) string {
	ast.SetComments(expr, nil)
	data, err := format.Node(expr, format.Simplify())
	if err != nil {
		return ""
	}
	text := strings.Join(strings.Fields(string(data)), " ")
	text = valueOf.ReplaceAllString(text, "$1")
	text = mirrors.ReplaceAllString(text, "$1")
	text = strings.ReplaceAll(text, "#env.", "the environment's ")
	text = strings.ReplaceAll(text, "#facts.", "the environment's ")
	text = types.ReplaceAllString(text, "")
	return strings.ReplaceAll(text, "|", "\\|")
}
