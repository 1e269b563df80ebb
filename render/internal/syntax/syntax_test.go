package syntax

import (
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
)

// head lets a file open structs: {...}...
const head = "@experiment(explicitopen)\npackage x\n"

func parse(t *testing.T, text string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile("x.cue", head+text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return file
}

// Every way in which a struct may be written stands for the same fields.
func TestFieldsAt(t *testing.T) {
	for _, text := range []string{
		`a: {b: {c: 1}}`,
		`a: b: c: 1`,
		`a: ({b: c: 1})`,
		`a: #A & {b: c: 1}`,
		`a: {b: c: 1} & #A & {}`,
		`a: (#A & {b: {c: 1} & #B})`,
		`a: {b: c: 1}...`,
		`a: X={b: c: 1}`,
		`X=a: b: c: 1`,
		`"a": "b": c: 1`,
		`a: {{b: c: 1}}`,
		`a: {#A, {b: #B & {c: 1}}}`,
		"a: d: 2\na: b: c: 1",
	} {
		file := parse(t, text)
		found := FieldsAt(file.Decls, "a", "b", "c")
		if len(found) != 1 {
			t.Errorf("%s: %d fields at a.b.c, want 1", text, len(found))
			continue
		}
		if value, err := format.Node(found[0].Value); err != nil || string(value) != "1" {
			t.Errorf("%s: %s (%v), want 1", text, value, err)
		}
		var paths []string
		EachField(file.Decls, func(_ *ast.Field, path []string) bool {
			paths = append(paths, strings.Join(path, "."))
			return true
		})
		if !slices.Contains(paths, "a.b.c") {
			t.Errorf("%s: EachField finds %v", text, paths)
		}
		at := strings.Index(head+text, "c: 1")
		if f := FieldAt(file, at); f == nil {
			t.Errorf("%s: no field around c", text)
		}
	}
	for _, text := range []string{`a: b: [string]: 1`, `a: b: "\(x)": 1`, `a: f({b: c: 1})`, `if x {a: b: c: 1}`, `b: c: 1`} {
		if found := FieldsAt(parse(t, text).Decls, "a", "b", "c"); len(found) > 0 {
			t.Errorf("%s: a field at a.b.c", text)
		}
	}
}

// A disjunction has operands, and unifies nothing.
func TestParts(t *testing.T) {
	file := parse(t, `a: #A & ({b: 1} & {c: 2, {d: 3}})... & (X | {e: 4})`)
	value := FieldsAt(file.Decls, "a")[0].Value
	structs, others := Parts(value)
	if len(structs) != 3 || len(others) != 2 {
		t.Errorf("%d structs and %d others, want 3 and 2", len(structs), len(others))
	}
	n := 0
	for range Operands(value) {
		n++
	}
	if n != 5 {
		t.Errorf("%d operands, want 5", n)
	}
	for range Conjuncts(value) {
		break // ends early without a word
	}
}

// A struct without braces cannot be empty: its field goes with what is around it.
func TestFieldAt(t *testing.T) {
	for text, want := range map[string]string{
		`a: b: c: 1`:               "a: b: c: 1",
		`a: {b: c: 1}`:             "b: c: 1",
		`a: {b: c: 1, d: 2}`:       "b: c: 1",
		`a: [{x: 0}, {b: {c: 1}}]`: "c: 1",
		`a: {if x {c: 1}}`:         "c: 1",
		`a: {b: {c: 1}...}`:        "c: 1",
	} {
		f := FieldAt(parse(t, text), strings.Index(head+text, "c: 1"))
		if f == nil {
			t.Errorf("%s: nothing", text)
			continue
		}
		got, err := format.Node(f)
		if err != nil || strings.Join(strings.Fields(strings.NewReplacer("{", "", "}", "").Replace(string(got))), " ") != want {
			t.Errorf("%s: %s (%v), want %s", text, got, err, want)
		}
	}
	if f := FieldAt(parse(t, `a: 1`), 30); f != nil {
		t.Error("a field where the package clause stands")
	}
}

func TestImports(t *testing.T) {
	for path, want := range map[string]struct{ name, plain string }{
		`"strings"`:                    {"strings", "strings"},
		`"example.com/a/b"`:            {"b", "example.com/a/b"},
		`"example.com/a/b:c"`:          {"c", "example.com/a/b"},
		`"example.com/a@v0"`:           {"a", "example.com/a"},
		`"example.com/a/b@v1:c"`:       {"c", "example.com/a/b"},
		`other "example.com/a/b@v1"`:   {"other", "example.com/a/b"},
		`"example.com/a@v0/sub"`:       {"", "example.com/a/sub"}, // as instances name themselves
		`"example.com/with-dash:word"`: {"word", "example.com/with-dash"},
	} {
		for spec := range parse(t, "import "+path).ImportSpecs() {
			name, err := ImportName(spec)
			full, err2 := ImportPath(spec)
			if err != nil || err2 != nil || want.name != "" && name != want.name || Plain(full) != want.plain {
				t.Errorf("%s: %s, %s (%v, %v), want %v", path, name, Plain(full), err, err2, want)
			}
		}
	}
}

func TestLiteral(t *testing.T) {
	for text, want := range map[string]string{`"a\tb"`: "a\tb", `#"a\"#`: `a\`, "'''\n\tx\n\t'''": "x"} {
		if got, err := Literal(FieldsAt(parse(t, "a: "+text).Decls, "a")[0].Value); err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`1`, `true`, `"\(x)"`, `a`, `{}`} {
		if got, err := Literal(FieldsAt(parse(t, "a: "+text).Decls, "a")[0].Value); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
	for name, want := range map[string]string{"a": "a", "a-b": `"a-b"`, "a.b": `"a.b"`, "#a": `"#a"`, "_a": `"_a"`, "1": `"1"`} {
		if got := Label(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
