package lint

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// knownKinds are kinds of others by their API group, or what several groups end with.
//
//go:embed kinds.tsv
var knownKinds string

// misspelt is the kind of a group that was probably meant by one that is not among the
// group's known kinds; empty where it is, or is like none of them. There may be others,
// so only one or two letters make a slip.
func misspelt(group, kind string) string {
	var known []string
	for line := range strings.Lines(knownKinds) {
		of, kinds, ok := strings.Cut(strings.TrimSpace(line), "\t")
		of = strings.TrimPrefix(of, "*.")
		if ok && !strings.HasPrefix(line, "#") && (group == of || strings.HasSuffix(group, "."+of)) {
			known = append(known, strings.Fields(kinds)...)
		}
	}
	if slices.Contains(known, kind) {
		return ""
	}
	return typed.Near(kind, known, min(2, len(kind)/5))
}
