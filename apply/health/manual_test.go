package health

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateManual = flag.Bool("update", false, "rewrite the table of rules in docs/health.md")

// TestManual holds the list of rules in docs/health.md level with the table: it is
// generated from it, "go test ./apply/health -run Manual -update" writes it.
func TestManual(t *testing.T) {
	const page, begin, end = "../../docs/health.md", "<!-- rules: go test ./apply/health -run Manual -update -->\n", "<!-- end of rules -->\n"
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatalf("%s has no place for the rules", page)
	}
	want := before + begin + manual(t) + end + after
	if *updateManual {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		raw = []byte(want)
	}
	if diff := cmp.Diff(string(raw), want); diff != "" {
		t.Errorf("%s is not what the rules say; run with -update (-file +rules):\n%s", page, diff)
	}
}

// manual is a line for each rule, under its project.
func manual(t *testing.T) string {
	t.Helper()
	files, err := RuleFiles()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(files, func(a, b *RuleFile) int {
		return strings.Compare(strings.ToLower(a.Project), strings.ToLower(b.Project))
	})
	cell := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "*", "\\*"), "|", "\\|") }
	var b strings.Builder
	b.WriteString("| project | kind | rule | healthy when | not when | failed when |\n|---|---|---|---|---|---|\n")
	for _, f := range files {
		for _, r := range f.Rules {
			healthy, progressing, failed := r.States()
			if r.Note != "" {
				healthy += " (" + r.Note + ")"
			}
			fmt.Fprintf(&b, "| [%s](%s) | %s (%s) | `%s` | %s | %s | %s |\n", f.Project, r.from(), cell(strings.Join(r.Kinds, ", ")), cell(r.Groups()), r.RuleName(), cell(healthy), cell(progressing), cell(failed))
		}
	}
	return b.String()
}
