package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// groupFrom is how many objects must share a change for it to be shown once for
// all of them. Below, the list of names takes as much room as the fields.
const groupFrom = 4

// group is the same change of the same fields in many objects.
type group struct {
	action  apply.Action
	message string
	fields  []managed.Field
	objects []*apply.Change
}

// grouped finds what at least groupFrom objects share, field by field, and
// returns every change with what is left of it. Who wrote a value is part of what
// is shared, when it was written is not: then the latest time stands.
func grouped(changes []apply.Change) ([]group, []change) {
	keys := make([][]string, len(changes))
	sharers := map[string][]int{} // changes by field
	for i := range changes {
		keys[i] = shareable(&changes[i])
		for _, key := range keys[i] {
			sharers[key] = append(sharers[key], i)
		}
	}
	var groups []group
	byObjects := map[string]int{} // groups by what they are of
	byField := map[string]int{}
	left := make([]change, 0, len(changes))
	for i := range changes {
		c := change{Change: &changes[i]}
		if keys[i] == nil {
			c.fields = c.Fields
		}
		for j, key := range keys[i] {
			with := sharers[key]
			if len(with) < groupFrom {
				c.fields = append(c.fields, c.Fields[j])
				continue
			}
			c.shared++
			if with[0] != i {
				groups[byField[key]].seen(c.Fields[j])
				continue
			}
			same := fmt.Sprint(with)
			g, ok := byObjects[same]
			if !ok {
				g = len(groups)
				groups = append(groups, newGroup(changes, with))
				byObjects[same] = g
			}
			byField[key] = g
			groups[g].fields = append(groups[g].fields, c.Fields[j])
		}
		left = append(left, c)
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(len(b.objects), len(a.objects)) })
	return groups, left
}

func newGroup(changes []apply.Change, with []int) group {
	g := group{action: changes[with[0]].Action, message: changes[with[0]].Message}
	for _, i := range with {
		g.objects = append(g.objects, &changes[i])
	}
	return g
}

// seen keeps the latest time of a field's last write.
func (g *group) seen(f managed.Field) {
	for i := range g.fields {
		if g.fields[i].Path == f.Path && f.At != nil && (g.fields[i].At == nil || g.fields[i].At.Before(*f.At)) {
			g.fields[i].At = f.At
		}
	}
}

// shareable returns a key for each field of a change, equal for equal fields. A
// refused change is shown on its own: somebody has to decide about it.
func shareable(c *apply.Change) []string {
	if c.Refused != "" {
		return nil
	}
	seen := map[string]bool{}
	keys := make([]string, 0, len(c.Fields))
	for _, f := range c.Fields {
		key := strings.Join([]string{string(c.Action), c.Message, f.Path, inline(f.From), inline(f.To), f.By}, "\x00")
		for seen[key] {
			key += "\x00"
		}
		seen[key] = true
		keys = append(keys, key)
	}
	return keys
}

// headline is "the same change in 998 objects (996 Deployment, 2 Service)".
func (g *group) headline() string {
	kinds := map[string]int{}
	restarts := 0
	for _, c := range g.objects {
		kinds[c.Kind]++
		if c.Restarts {
			restarts++
		}
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	text := fmt.Sprintf("the same change in %d objects (%s)", len(g.objects), strings.Join(parts, ", "))
	if restarts > 0 {
		text += fmt.Sprintf(", %d restart their pods", restarts)
	}
	return text
}

// refs are the names of a group's objects.
func (g *group) refs() []string {
	names := make([]string, len(g.objects))
	for i, c := range g.objects {
		names[i] = c.String()
	}
	return names
}
