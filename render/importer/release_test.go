package importer

import (
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// TestReleaseNames: the names in a release are those of whoever may write a Secret beside
// it, and say nothing in CUE.
func TestReleaseNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"x\n}\nenvironment: apps: evil: {\n//", "x\r}\revil: 1", "x\u2028evil: 1", "x\x0bevil: 1", "a.b", `"`, `\(evil)`, "evil: 1 //", "",
	} {
		r := &release{chart: "charts/web", name: "web", namespace: "dev", values: map[string]any{"m": map[string]any{name: "s3cret"}}}
		r.leaveOut([]map[string]any{{"kind": "Secret", "data": map[string]any{"k": "czNjcmV0"}}})
		if len(r.left) != 1 {
			t.Fatalf("%q: left out %q", name, r.left)
		}
		w := &cueWriter{}
		r.source(w, "dev")
		data, err := w.formatted()
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		file, err := parser.ParseFile("x.cue", data)
		if err != nil {
			t.Fatalf("%q: %v\n%s", name, err, data)
		}
		var fields []string
		for _, d := range file.Decls {
			label, _, err := ast.LabelName(d.(*ast.Field).Label)
			if err != nil {
				t.Fatal(err)
			}
			fields = append(fields, label)
		}
		if got := strings.Join(fields, " "); got != "chart version release mirror values" {
			t.Errorf("%q: fields %s\n%s", name, got, data)
		}
	}
}
