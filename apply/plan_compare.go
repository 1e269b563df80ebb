package apply

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Compare says how two renderings of an environment differ, without a cluster: as
// a plan of what is created, configured and deleted, so that it is written like
// any other. Either may be nil, for an environment that is new or gone. Nothing in
// it is verified, and it cannot be applied.
//
// Without a cluster there is no key that hides secret values, so that these are
// numbered: equal values have the same number.
func Compare(before, after *schema.Environment) *Plan {
	known := &mask.Redactor{}
	marks := mask.Marks(before)
	for id, more := range mask.Marks(after) {
		marks[id] = mask.Merge(marks[id], more)
	}
	c := comparison{
		plan: &Plan{Changes: []Change{}, Summary: map[Action]int{}},
		mask: mask.Numbered(marks, known),
		old:  map[schema.ID]*unstructured.Unstructured{},
	}
	for _, env := range []*schema.Environment{before, after} {
		known.Learn(env)
		if env != nil {
			c.plan.Environment, c.plan.Cluster = env.Name, env.Cluster
		}
	}
	for _, obj := range before.Objects() {
		c.old[schema.IDOf(obj.Unstructured)] = obj.Unstructured
	}
	for unit, obj := range after.Objects() {
		c.compare(unit, obj)
	}
	for unit, obj := range before.Objects() {
		if c.old[schema.IDOf(obj.Unstructured)] != nil {
			c.add(Change{Action: Deleted, Unit: unit, Ref: schema.RefOf(obj.Unstructured), Before: c.mask.Object(obj.Unstructured).Object})
		}
	}
	return c.plan
}

type comparison struct {
	plan *Plan
	mask mask.Masker
	old  map[schema.ID]*unstructured.Unstructured // not met yet
}

func (c *comparison) add(change Change) {
	change.Before, change.After = c.mask.Clean(change.Before), c.mask.Clean(change.After)
	change.Fields = c.mask.Fields(change.Fields)
	c.plan.Changes = append(c.plan.Changes, change)
	c.plan.Summary[change.Action]++
}

func (c *comparison) compare(unit string, desired *schema.Object) {
	obj := desired.Unstructured
	id := schema.IDOf(obj)
	old := c.old[id]
	delete(c.old, id)
	if old == nil {
		c.add(Change{Action: Created, Unit: unit, Ref: schema.RefOf(obj), After: c.mask.Object(obj).Object})
		return
	}
	from, to := c.mask.Object(old), c.mask.Object(obj)
	diffs := managed.RenderedDifferences(from, to)
	if len(diffs) == 0 {
		c.plan.Summary[Unchanged]++
		return
	}
	ref := schema.RefOf(obj)
	c.add(Change{
		Action: Configured, Unit: unit, Ref: ref, Fields: managed.Fields(diffs),
		Message:  recreation(old, desired, diffs),
		Restarts: slices.ContainsFunc(diffs, func(d managed.Difference) bool { return managed.IsPodTemplate(ref, d.Path) }),
		Before:   from.Object, After: to.Object,
	})
}

// recreation says that a change of the object is one that no server makes.
func recreation(old *unstructured.Unstructured, desired *schema.Object, diffs []managed.Difference) string {
	fields := managed.ImmutableChanges(old, diffs)
	switch {
	case len(fields) == 0 && managed.RunsAgain(old, diffs):
		return runsAgain
	case len(fields) == 0:
		return ""
	}
	message := "must be recreated where it is there already: " + strings.Join(fields, ", ") + " cannot be changed"
	switch {
	case kinds.Irreplaceable(old):
		message += ", and a " + old.GetKind() + " is never recreated"
	case !desired.Recreate:
		message += fmt.Sprintf(", which takes recreate: [%q] in the unit, or --recreate", desired.Key)
	}
	return message
}
