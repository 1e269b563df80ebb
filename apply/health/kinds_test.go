package health

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKinds holds the kinds of others that vet knows by their names level with those that
// there are rules for.
func TestKinds(t *testing.T) {
	const name = "../../render/lint/kinds.tsv"
	files, err := RuleFiles()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]map[string]bool{}
	for _, f := range files {
		for _, r := range f.Rules {
			group := f.Domain
			if r.Group != "" {
				group = r.Group
			}
			if kinds[group] == nil {
				kinds[group] = map[string]bool{}
			}
			for _, kind := range r.Kinds {
				if !strings.Contains(kind, "*") {
					kinds[group][kind] = true
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("# API group, or what several end with, and its kinds: go test ./apply/health -run TestKinds -update\n")
	for _, group := range slices.Sorted(maps.Keys(kinds)) {
		if len(kinds[group]) > 0 && !strings.Contains(strings.TrimPrefix(group, "*."), "*") {
			b.WriteString(group + "\t" + strings.Join(slices.Sorted(maps.Keys(kinds[group])), " ") + "\n")
		}
	}
	if *updateManual {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("%s is not what the rules say; run with -update (-rules +file):\n%s", name, diff)
	}
}
