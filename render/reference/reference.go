// Package reference makes a page for each stack and app type from the comments of
// its CUE definition: what it is, a worked example, and its fields with values,
// units and defaults. It reads the syntax and evaluates nothing.
package reference

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/schema"
	"github.com/seed-428f4edd/evenkeel/stacks"
)

// Page is the page of a stack, of an app type, or of what they have in common.
type Page struct {
	// Name is what an environment calls it: "flannel", "DubboProvider", "site".
	Name string
	// Kind is "stack", "app" or "common".
	Kind string
	// Doc is the definition's comment, without the example.
	Doc string
	// Example is a worked example: a field of stacks or apps.
	Example string
	Fields  []Field

	// taken are the fields of an app type with those of all that it embeds but of unit.
	taken []Field
}

// Field is a field that an environment may set.
type Field struct {
	// Path has NAME for a name of the user's choice, and [] for an item of a list.
	Path     string
	Doc      string
	Values   string
	Default  string
	Required bool
}

// page says where the definition of a page is.
type page struct{ name, kind, pkg, def string }

// commons are the pages that others refer to, by the definition that they show.
var commons = []page{ //nolint:gochecknoglobals // a table
	{"environment", "common", "schema", "#Environment"},
	{"site", "common", "schema/core", "#Site"},
	{"unit", "common", "schema/core", "#Unit"},
	{"app", "common", "schema", "#deployment"},
}

// Pages are all pages: stacks, app types, and what they have in common.
func Pages() ([]Page, error) {
	defs, err := readDefinitions()
	if err != nil {
		return nil, err
	}
	list := []page{}
	for _, pkg := range defs.packages {
		if dir, name := path.Split(pkg); dir == "stacks/" {
			if unit := defs.unitType(pkg, "#Stack"); unit != "" {
				name = unit
			}
			list = append(list, page{name, "stack", pkg, "#Stack"})
		}
	}
	for _, def := range defs.order["schema"] {
		if strings.HasPrefix(def, "#") && defs.unitType("schema", def) == def[1:] {
			list = append(list, page{def[1:], "app", "schema", def})
		}
	}
	list = append(list, commons...)
	pages := make([]Page, len(list))
	for i, p := range list {
		field := defs.byName[p.pkg][p.def]
		if field == nil {
			return nil, fmt.Errorf("%s has no %s", p.pkg, p.def)
		}
		pages[i] = Page{Name: p.name, Kind: p.kind}
		doc, example := splitDoc(docOf(field))
		pages[i].Doc = subject(doc, p)
		pages[i].Example = example
		w := walker{defs: defs, root: p.kind}
		w.value(p.pkg, "", field.Value)
		pages[i].Fields = w.fields
		if p.kind == "app" {
			whole := walker{defs: defs, root: "common"}
			whole.value(p.pkg, "", field.Value)
			pages[i].taken = whole.fields
		}
	}
	return pages, nil
}

// subject begins a comment with the name that users know, not with the definition's.
func subject(doc string, p page) string {
	rest, ok := strings.CutPrefix(doc, p.def)
	switch {
	case !ok:
		return doc
	case p.kind == "stack":
		return "The stack" + rest
	}
	return strings.TrimPrefix(p.def, "#") + rest
}

// definitions are the fields of the CUE packages, by package and name.
type definitions struct {
	packages []string
	byName   map[string]map[string]*ast.Field
	order    map[string][]string
}

func readDefinitions() (*definitions, error) {
	d := &definitions{byName: map[string]map[string]*ast.Field{}, order: map[string][]string{}}
	for _, tree := range []struct {
		dir string
		fs  fs.FS
	}{{"schema", schema.FS}, {"stacks", stacks.FS}} {
		err := fs.WalkDir(tree.fs, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := fs.ReadFile(tree.fs, name)
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(name, data, parser.ParseComments)
			if err != nil {
				return err
			}
			d.add(path.Join(tree.dir, path.Dir(name)), file)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *definitions) add(pkg string, file *ast.File) {
	if d.byName[pkg] == nil {
		d.byName[pkg] = map[string]*ast.Field{}
		d.packages = append(d.packages, pkg)
	}
	for name, field := range syntax.Fields(file.Decls) {
		if d.byName[pkg][name] == nil { // the first one has the comment
			d.byName[pkg][name] = field
			d.order[pkg] = append(d.order[pkg], name)
		}
	}
}

// unitType is the field type of a definition, empty where it is no unit.
func (d *definitions) unitType(pkg, def string) string {
	field := d.byName[pkg][def]
	if field == nil {
		return ""
	}
	lit, _ := field.Value.(*ast.StructLit)
	if lit == nil {
		return ""
	}
	if f := fieldOf(lit, "type"); f != nil {
		if text, err := syntax.Literal(f.Value); err == nil {
			return text
		}
	}
	return ""
}

// resolve returns the definition that an expression names.
func (d *definitions) resolve(pkg string, expr ast.Expr) (in string, field *ast.Field, name string) {
	switch x := expr.(type) {
	case *ast.PostfixExpr: // #pod...
		return d.resolve(pkg, x.X)
	case *ast.Ident:
		return pkg, d.byName[pkg][x.Name], x.Name
	case *ast.SelectorExpr:
		if name := handedDown(x); name != "" {
			return "schema", d.facts(name), name
		}
		if id, ok := x.X.(*ast.Ident); ok {
			name = labelOf(x.Sel)
			for _, in := range []string{"schema/" + id.Name, "stacks/" + id.Name, id.Name} {
				if field := d.byName[in][name]; field != nil {
					return in, field, name
				}
			}
		}
	}
	return "", nil, ""
}

// handedDown is the name of a field of #env.app: what an app has unless it says
// otherwise.
func handedDown(expr ast.Expr) string {
	x, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	app, ok := x.X.(*ast.SelectorExpr)
	if !ok || labelOf(app.Sel) != "app" || labelOf(app.X) != "#env" {
		return ""
	}
	return labelOf(x.Sel)
}

// facts is where the environment says what it hands down as #env.app.
func (d *definitions) facts(name string) *ast.Field {
	at := d.byName["schema"]["#Environment"]
	for _, step := range []string{"#facts", "app", name} {
		if at == nil {
			return nil
		}
		lit, _ := at.Value.(*ast.StructLit)
		at = fieldOf(lit, step)
	}
	return at
}

func fieldOf(lit *ast.StructLit, name string) *ast.Field {
	if lit == nil {
		return nil
	}
	for f := range syntax.Named(lit.Elts, name) {
		return f
	}
	return nil
}

// labelOf is a name as it is written, empty for what is none.
func labelOf(node ast.Node) string {
	label, ok := node.(ast.Label)
	if !ok {
		return ""
	}
	name, _, _ := ast.LabelName(label)
	return name
}

// docOf is the comment above a field.
func docOf(node ast.Node) string {
	var text strings.Builder
	for _, group := range ast.Comments(node) {
		if group.Doc {
			text.WriteString(group.Text())
		}
	}
	return strings.TrimSpace(text.String())
}

// splitDoc takes the example, which is indented, out of a comment.
func splitDoc(text string) (doc, example string) {
	var d, e []string
	for line := range strings.Lines(text + "\n") {
		line = strings.TrimRight(line, "\n")
		if code, ok := strings.CutPrefix(line, "\t"); ok {
			e = append(e, code)
		} else {
			d = append(d, line)
		}
	}
	return strings.TrimSpace(strings.Join(d, "\n")), strings.TrimSpace(strings.Join(e, "\n"))
}
