package apply

import (
	"cmp"
	"slices"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
)

// waves groups changes by wave, in the order of writing.
func waves(changes []*Change) [][]*Change {
	sorted := slices.Clone(changes)
	slices.SortStableFunc(sorted, func(a, b *Change) int { return cmp.Compare(kinds.Wave(a.Kind), kinds.Wave(b.Kind)) })
	var out [][]*Change
	for i, change := range sorted {
		if i == 0 || kinds.Wave(change.Kind) != kinds.Wave(sorted[i-1].Kind) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], change)
	}
	return out
}
