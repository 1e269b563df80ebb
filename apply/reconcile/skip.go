package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Reason says why something that differs is left alone.
type Reason string

// The reasons. All but the last are no failure.
const (
	ReasonHeld        Reason = "held"        // a rollback left exactly this content
	ReasonLocked      Reason = "locked"      // a deploy is under way
	ReasonFrozen      Reason = "frozen"      // new content, in a freeze
	ReasonCanary      Reason = "canary"      // a new version that an apply tries first
	ReasonPaused      Reason = "paused"      // the app's rollout is paused
	ReasonFight       Reason = "fight"       // somebody else sets the field again and again
	ReasonTerminating Reason = "terminating" // not gone yet
	ReasonRefused     Reason = "refused"     // a guard wants a person to decide
)

// Skip is what is left alone for one reason: the objects that differ, of one unit
// or of the whole environment.
type Skip struct {
	Reason  Reason       `json:"reason"`
	Unit    string       `json:"unit,omitempty"`
	Message string       `json:"message"`
	Objects []schema.Ref `json:"objects"`
}

// skips are the differences of a plan that are not for a reconcile to level.
func skips(plan *apply.Plan, s *record.Standing) []Skip {
	whole := func(reason Reason, message string) []Skip {
		if objects := objectsOf(plan.Changes, isDifference); len(objects) > 0 {
			return []Skip{{Reason: reason, Message: message, Objects: objects}}
		}
		return nil
	}
	switch {
	case s.Hold != "" && s.Hold == plan.Rendered:
		return whole(ReasonHeld, "rolled back from exactly this content; a change in git or apply --release ends the hold")
	case s.Locked != "":
		return whole(ReasonLocked, "locked by "+s.Locked)
	}
	going := map[string]bool{} // Namespaces that are being deleted
	for _, change := range plan.Changes {
		if change.Action == apply.Terminating && change.IsNamespace() {
			going[change.Name] = true
		}
	}
	var out []Skip
	for _, change := range plan.Changes {
		if !isDifference(change) {
			continue
		}
		if p, ok := s.Paused[change.Unit]; ok {
			out = add(out, Skip{Reason: ReasonPaused, Unit: change.Unit, Message: "paused " + p.String()}, change)
		} else if f, ok := s.Fights[change.String()]; ok && time.Now().Before(f.Until) {
			out = add(out, Skip{Reason: ReasonFight, Unit: change.Unit, Message: describeFight(f)}, change)
		} else if going[change.Namespace] && change.Namespace != "" {
			out = add(out, Skip{Reason: ReasonTerminating, Unit: change.Unit, Message: "namespace " + change.Namespace + " is being deleted; created again when it is gone"}, change)
		} else if change.Action == apply.Terminating {
			out = add(out, Skip{Reason: ReasonTerminating, Unit: change.Unit, Message: change.Message + "; created again when it is gone"}, change)
		}
	}
	return out
}

func describeFight(f record.Fight) string {
	by := f.By
	if by == "" {
		by = "somebody who is not on record"
	}
	return fmt.Sprintf("%s is set again and again by %s since %s; tried again at %s, or after a change in git",
		f.Field, by, f.Since.Format(time.RFC3339), f.Until.Format(time.RFC3339))
}

// add notes that a change is left alone.
func add(out []Skip, skip Skip, change apply.Change) []Skip {
	for i := range out {
		if out[i].Reason == skip.Reason && out[i].Unit == skip.Unit && out[i].Message == skip.Message {
			out[i].Objects = append(out[i].Objects, change.Ref)
			return out
		}
	}
	skip.Objects = []schema.Ref{change.Ref}
	return append(out, skip)
}

// refusals are the changes that a guard stops, beside those that are left alone
// already. The rest can be written without them.
func refusals(plan *apply.Plan, skipped []Skip) []Skip {
	var out []Skip
	for _, change := range plan.Changes {
		if change.Refused != "" && !isSkipped(skipped, change) {
			message := change.Refused
			if change.Hint != "" {
				message += "; " + byHand(change.Hint, plan.Environment)
			}
			out = add(out, Skip{Reason: ReasonRefused, Unit: change.Unit, Message: message}, change)
		}
	}
	return append(out, restarts(plan, append(out, skipped...))...)
}

// byHand is a hint that names flags of an apply, for a reconcile: it has none of
// them, because nobody is there to say yes.
func byHand(hint, env string) string {
	flag := "evenkeel apply " + env + " --"
	if strings.HasPrefix(hint, "--") {
		return flag + hint[2:]
	}
	return strings.NewReplacer("give --", "run "+flag, "pass --", "run "+flag).Replace(hint)
}

// restarts are the adoptions that replace pods.
func restarts(plan *apply.Plan, skipped []Skip) []Skip {
	var out []Skip
	for _, change := range plan.Changes {
		if change.Action == apply.Adopted && change.Restarts && !isSkipped(skipped, change) {
			out = add(out, Skip{Reason: ReasonRefused, Unit: change.Unit, Message: "adopting it replaces its pods; look at the plan, and apply by hand"}, change)
		}
	}
	return out
}

// asError makes the refusal of them that an apply would give.
func asError(refused []Skip) error {
	if len(refused) == 0 {
		return nil
	}
	all := &hint.Refused{}
	for _, skip := range refused {
		for _, ref := range skip.Objects {
			if all.Reason != "" {
				all.Reason += "\n"
			}
			all.Reason += fmt.Sprintf("%s: %s", ref, skip.Message)
		}
	}
	return all
}

// remaining are the units of an environment, or those of them that were asked for,
// without the paused ones and without those of which something is refused, or that come
// after such a one.
func remaining(env *schema.Environment, s *record.Standing, refused []Skip, only []string) []string {
	left := map[string]bool{}
	for _, skip := range refused {
		left[skip.Unit] = true
	}
	var units []string
	for i := range env.Units { // in the order of After
		unit := &env.Units[i]
		left[unit.Name] = left[unit.Name] || slices.ContainsFunc(unit.After, func(name string) bool { return left[name] })
		if _, paused := s.Paused[unit.Name]; !paused && !left[unit.Name] && (len(only) == 0 || slices.Contains(only, unit.Name)) {
			units = append(units, unit.Name)
		}
	}
	return units
}

// isDifference leaves out what is only told.
func isDifference(c apply.Change) bool {
	switch c.Action {
	case apply.Unchanged, apply.Reowned, apply.Kept, apply.CopiedLabel, apply.Foreign:
		return false
	}
	return true
}

// writes reports whether an apply writes a change.
func writes(c apply.Change) bool {
	return isDifference(c) && c.Action != apply.Deleted || c.Action == apply.Reowned
}

func isSkipped(skipped []Skip, c apply.Change) bool {
	return slices.ContainsFunc(skipped, func(s Skip) bool {
		return slices.Contains(s.Objects, c.Ref) && isDifference(c)
	})
}

func objectsOf(changes []apply.Change, which func(apply.Change) bool) []schema.Ref {
	var refs []schema.Ref
	for _, c := range changes {
		if which(c) {
			refs = append(refs, c.Ref)
		}
	}
	return refs
}
