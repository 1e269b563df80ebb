package report

import (
	"slices"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// view is a plan as every format shows it: what many objects share first, then
// unit by unit what is left.
type view struct {
	plan   *apply.Plan
	groups []group
	units  []unit
}

type unit struct {
	name    string
	changes []change
	counts  map[apply.Action]int // of all its changes, those in groups too
	// restarts and refused count changes.
	restarts, refused int
}

// change is an object with the fields that no group shows.
type change struct {
	*apply.Change
	fields []managed.Field
	shared int // number of its fields that groups show
}

// inGroups reports whether groups already say all about a change.
func (c *change) inGroups() bool { return c.shared > 0 && len(c.fields) == 0 }

func viewOf(p *apply.Plan) *view {
	v := &view{plan: p}
	var changes []change
	v.groups, changes = grouped(p.Changes)
	index := map[string]int{}
	for _, c := range changes {
		if c.Action == apply.Unchanged {
			continue
		}
		i, ok := index[c.Unit]
		if !ok {
			i = len(v.units)
			index[c.Unit] = i
			v.units = append(v.units, unit{name: c.Unit, counts: map[apply.Action]int{}})
		}
		v.units[i].add(c)
	}
	return v
}

func (u *unit) add(c change) {
	u.changes = append(u.changes, c)
	u.counts[c.Action]++
	if c.Restarts {
		u.restarts++
	}
	if c.Refused != "" {
		u.refused++
	}
}

// own are the changes of a unit that groups do not say all about.
func (u *unit) own() []change {
	return slices.DeleteFunc(slices.Clone(u.changes), func(c change) bool { return c.inGroups() })
}

// unverified reports whether the reader must be told that the server did not
// check a change. What is deleted or kept needs no check.
func unverified(c *apply.Change) bool {
	return !c.Verified && c.Action != apply.Deleted && c.Action != apply.Kept
}
