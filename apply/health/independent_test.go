package health

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestIndependentSets judges objects that were written from the source and the
// documentation of operators: the first two sets before the rules were read, the third
// after the general ones were mended by them. No rule of the table was written for
// these three. The kinds of the others have rules since they were judged for the first
// time. What is held is how often the answer is the operator's, and how often it
// misleads or is none, not which ones.
func TestIndependentSets(t *testing.T) {
	for _, name := range []string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh"} {
		t.Run(name, func(t *testing.T) {
			total, agree, dangerous, unknown := 0, 0, 0, 0
			for _, k := range readKinds(t, filepath.Join("testdata", "independent", name+".yaml")) {
				k.each(t, func(want []State, status map[string]any) {
					total++
					got := Judge(k.object(t, status), nil, Related{}, judgedAt())
					switch verdictOf(got.State, want) {
					case "agrees":
						agree++
						return
					case "dangerous":
						dangerous++
					case "unknown":
						unknown++
					}
					t.Logf("%s: %s %v: %s by rule %s (%s), want %s", verdictOf(got.State, want), k.Kind, status, got.State, got.Rule, got.Message, want[0])
				})
			}
			t.Logf("%d objects: %d agree (%.1f %%), %d dangerous, %d unknown", total, agree, 100*float64(agree)/float64(total), dangerous, unknown)
			if total < 200 || agree*100 < total*85 || dangerous > 2 || unknown*100 >= total*8 {
				t.Errorf("want at least 200 objects, 85 of 100 judged as meant, at most two dangerously, and fewer than eight of 100 unknown")
			}
		})
	}
}

// verdictOf says whether an answer agrees, and if not, whether it misleads: healthy
// said of what is not, or failed of what is.
func verdictOf(got State, want []State) string {
	switch {
	case slices.Contains(want, got):
		return "agrees"
	case got == Healthy, got == Failed && want[0] == Healthy:
		return "dangerous"
	case got == Unknown:
		return "unknown"
	}
	return "differs"
}

func readKinds(t *testing.T, path string) []secondKind {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []secondKind
	if err := yaml.UnmarshalStrict(text, &kinds); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if !strings.HasPrefix(k.Source, "https://") {
			t.Errorf("%s: has no source", k.Kind)
		}
	}
	return kinds
}

// each calls f with every status of a kind and the answers that are right for it.
// What is suspended may be called healthy, for it is as declared, or progressing.
func (k secondKind) each(t *testing.T, f func([]State, map[string]any)) {
	t.Helper()
	for _, group := range []struct {
		statuses []map[string]any
		want     []State
	}{
		{k.Healthy, []State{Healthy}},
		{k.Progressing, []State{Progressing}},
		{k.Failed, []State{Failed}},
		{k.Suspended, []State{Healthy, Progressing}},
	} {
		for _, status := range group.statuses {
			f(group.want, status)
		}
	}
}
