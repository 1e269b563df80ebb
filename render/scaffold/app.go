package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// schemaPackage is what the app types are imported from.
const schemaPackage = "github.com/seed-428f4edd/evenkeel/schema"

// App is a new app as it is asked for.
type App struct {
	Name   string
	Type   string // such as WebApp
	Fields []Field
}

// Field is a field of the app, by its path as CUE writes it, with the CUE text of
// its value.
type Field struct{ Path, Value string }

// TextField is a field that holds a string.
func TextField(name, value string) Field {
	return Field{Path: syntax.Label(name), Value: literal.String.Quote(value)}
}

// ParseField reads name=value, where the name may be a path such as
// resources.memory. A value that is a CUE literal (a number, true, a list, a
// struct, a quoted string) is taken as such, any other as a string.
func ParseField(pair string) (Field, error) {
	name, value, ok := strings.Cut(pair, "=")
	labels := strings.Split(name, ".")
	if !ok || slices.ContainsFunc(labels, func(l string) bool { return !labelForm.MatchString(l) }) {
		return Field{}, fmt.Errorf("%q is not field=value, such as port=8080 or resources.memory=1Gi", pair)
	}
	for i, l := range labels {
		labels[i] = syntax.Label(l)
	}
	field := Field{Path: strings.Join(labels, ": "), Value: literal.String.Quote(value)}
	if expr, err := parser.ParseExpr("", value); err == nil {
		switch expr.(type) {
		case *ast.BasicLit, *ast.ListLit, *ast.StructLit:
			field.Value = value
		}
	}
	if quantityForm.MatchString(value) {
		field.Value = literal.String.Quote(value)
	}
	return field, nil
}

// quantityForm matches quantities of Kubernetes, which CUE takes for numbers: 1Gi.
var quantityForm = regexp.MustCompile(`^[0-9.]+[kKMGTP]i?$`)

var labelForm = regexp.MustCompile(`^[a-zA-Z0-9][-_a-zA-Z0-9]*$`)

// AppTypes are the types that an app can have, in the order of their names: the
// definitions of the schema that set a field "type".
func AppTypes() ([]string, error) {
	names, err := fs.Glob(schema.FS, "*.cue")
	if err != nil {
		return nil, err
	}
	var types []string
	for _, name := range names {
		data, err := fs.ReadFile(schema.FS, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(name, data)
		if err != nil {
			return nil, err
		}
		for label := range syntax.Fields(file.Decls) {
			for _, t := range syntax.FieldsAt(file.Decls, label, "type") {
				if value, err := syntax.Literal(t.Value); err == nil && "#"+value == label {
					types = append(types, value)
				}
			}
		}
	}
	slices.Sort(types)
	return types, nil
}

// UnknownType says that the schema has no such app type.
type UnknownType struct {
	Type  string
	Known []string
}

func (e UnknownType) Error() string {
	msg := fmt.Sprintf("no app type %q", e.Type)
	if near := typed.Closest(e.Type, e.Known); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return msg + " (there are: " + strings.Join(e.Known, ", ") + ")"
}

// AddApp writes an app into the files of an environment, behind the last of its
// apps, and returns the file that changed.
func AddApp(files []File, app App) (File, error) {
	if !nameForm.MatchString(app.Name) {
		return File{}, fmt.Errorf("app %q: a name has lower case letters, digits and dashes, at most 63", app.Name)
	}
	types, err := AppTypes()
	if err != nil {
		return File{}, err
	}
	if !slices.Contains(types, app.Type) {
		return File{}, UnknownType{Type: app.Type, Known: types}
	}
	sources, err := parseAll(files)
	if err != nil {
		return File{}, err
	}
	if s, lit := lastStruct(sources, "environment", "apps"); lit != nil {
		s.appendTo(lit, app.text(s.importName(schemaPackage)))
		return s.result()
	}
	if s, lit := lastStruct(sources, "environment"); lit != nil {
		s.appendTo(lit, "apps: "+app.text(s.importName(schemaPackage)))
		return s.result()
	}
	return File{}, errors.New("no struct { ... } of the field environment to write it into")
}

// lastStruct is the last struct with braces at a path, and its file.
func lastStruct(sources []*source, path ...string) (*source, *ast.StructLit) {
	for _, s := range slices.Backward(sources) {
		for _, lit := range slices.Backward(syntax.StructsAt(s.tree.Decls, path...)) {
			if lit.Rbrace.IsValid() {
				return s, lit
			}
		}
	}
	return nil, nil
}

// text is the app as a field. pkg is what the file calls the schema.
func (app App) text(pkg string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s.#%s & {\n", syntax.Label(app.Name), pkg, app.Type)
	for _, f := range app.Fields {
		fmt.Fprintf(&b, "\t%s: %s\n", f.Path, f.Value)
	}
	b.WriteString("}")
	return b.String()
}

func parseAll(files []File) ([]*source, error) {
	sources := make([]*source, len(files))
	for i, f := range files {
		s, err := parse(f)
		if err != nil {
			return nil, err
		}
		sources[i] = s
	}
	return sources, nil
}
