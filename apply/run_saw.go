package apply

import (
	"context"
	"maps"
	"slices"

	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// saw are the units that this run leaves healthy, as far as somebody knows, with what
// their pods pulled. What it did not wait for it has not seen: of what it has not written
// either, last still says how it was.
func (r *run) saw(ctx context.Context, env *schema.Environment, last *record.Revision) record.Pulled {
	held := r.holdBack()
	waited := func(unit string) bool { return r.selected(unit) && !r.opts.NoWait && !held[unit] }
	healthy := record.Pulled{}
	for _, u := range env.Units {
		before, known := last.Healthy[u.Name]
		switch {
		case waited(u.Name):
			healthy[u.Name] = map[string][]string{}
		case known && !r.wrote(u.Name) && slices.Equal(record.UnitImages(&u), record.UnitImages(last.Environment.Unit(u.Name))):
			healthy[u.Name] = before
		}
	}
	pulled, err := r.c.PulledBy(ctx, env, waited)
	if err != nil {
		r.c.Warn("the digests of the images are not recorded: " + err.Error())
	}
	maps.Copy(healthy, pulled)
	return healthy
}

// holdBack are the units with a rollout that stands still: their pods may be of another
// version than what was applied.
func (r *run) holdBack() map[string]bool {
	units := map[string]bool{}
	for _, h := range r.health {
		if h.HoldsBack() {
			units[h.Unit] = true
		}
	}
	return units
}

// wrote reports whether the run wrote an object of a unit.
func (r *run) wrote(unit string) bool {
	return slices.ContainsFunc(r.plan.Changes, func(c Change) bool { return c.Unit == unit && r.journal.has(c.Ref) })
}
