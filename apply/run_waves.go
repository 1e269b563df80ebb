package apply

import (
	"cmp"
	"slices"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// wave is the wave of the object's kind.
func (c *Change) wave() int { return kinds.Wave(c.GVK().GroupKind()) }

// waves groups changes by wave, in the order of writing.
func waves(changes []*Change) [][]*Change {
	sorted := slices.Clone(changes)
	slices.SortStableFunc(sorted, func(a, b *Change) int { return cmp.Compare(a.wave(), b.wave()) })
	var out [][]*Change
	for i, change := range sorted {
		if i == 0 || change.wave() != sorted[i-1].wave() {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], change)
	}
	return out
}

// stages groups changes of a unit by the stage of their objects, in the order of
// writing. Most units have one.
func stages(unit *schema.Unit, changes []*Change) [][]*Change {
	if !slices.ContainsFunc(unit.Objects, func(o schema.Object) bool { return o.Stage != 0 }) {
		return [][]*Change{changes}
	}
	sorted := slices.Clone(changes)
	slices.SortStableFunc(sorted, func(a, b *Change) int { return cmp.Compare(stageOf(unit, a), stageOf(unit, b)) })
	var out [][]*Change
	for i, change := range sorted {
		if i == 0 || stageOf(unit, change) != stageOf(unit, sorted[i-1]) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], change)
	}
	return out
}

func stageOf(unit *schema.Unit, change *Change) int {
	for _, o := range unit.Objects {
		if schema.RefOf(o.Unstructured) == change.Ref {
			return o.Stage
		}
	}
	return 0
}

// later reports whether a stage has one before it, which may have been written by a run
// that was killed.
func later(unit *schema.Unit, stage []*Change) bool {
	return len(stage) > 0 && slices.ContainsFunc(unit.Objects, func(o schema.Object) bool { return o.Stage < stageOf(unit, stage[0]) })
}

// upTo is the unit without the objects from the stage of a change on.
func upTo(unit *schema.Unit, change *Change) *schema.Unit {
	before := *unit
	stage := stageOf(unit, change)
	before.Objects = slices.DeleteFunc(slices.Clone(unit.Objects), func(o schema.Object) bool { return o.Stage >= stage })
	return &before
}
