package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// mustBeRecreated is said of an object that the server does not change.
const mustBeRecreated = "must be recreated"

// mustRecreate plans an object of which a field cannot be changed.
func (p *planner) mustRecreate(ctx context.Context, it *item, immutable []string) error {
	if it.live == nil {
		if done, err := p.meet(ctx, it); done || err != nil {
			return err
		}
	}
	ch := p.newChange(it, Recreated)
	ch.immutable = immutable
	ch.orphans = keepsPods(it)
	diffs := managed.LocalDifferences(p.mask.Object(managed.Effective(it.obj, it.live)), p.mask.Object(it.live))
	ch.Fields = managed.Fields(diffs)
	ch.Message = mustBeRecreated
	if fields := strings.Join(immutable, ", "); fields != "" {
		ch.Message += ": " + fields + " cannot be changed"
	} else if managed.RunsAgain(it.live, diffs) {
		ch.Message = runsAgain
	}
	if ch.orphans {
		ch.Message += "; its pods go on, and claims that are there keep their size"
	}
	named := slices.Contains(p.opts.Recreate, it.ref.Kind+"/"+it.ref.Name)
	switch {
	case kinds.Irreplaceable(it.obj.Unstructured):
		ch.Refused = "a " + it.ref.Kind + " is never recreated"
		ch.Hint = "change it back, or move the data and replace it by hand"
	case !it.obj.Recreate && !named:
		ch.Refused = "recreation is not allowed"
		ch.Hint = fmt.Sprintf("put recreate: [%q] in the unit, or pass --recreate %s/%s", it.obj.Key, it.ref.Kind, it.ref.Name)
	}
	p.claim(ch)
	it.change = ch
	if err := p.losesWith(ctx, it); err != nil {
		return err
	}
	return p.refuseLoss(ctx, it, diffs)
}

// losesWith says what others added to an object that goes when it is made anew: who means
// it has to add it again. The replicas that an autoscaler set stay.
func (p *planner) losesWith(ctx context.Context, it *item) error {
	ch := it.change
	scaled, err := p.keepsReplicas(ctx, it)
	if err != nil {
		return err
	}
	if scaled {
		ch.handover = []string{replicasPointer}
		ch.Message += "; spec.replicas stays as it is, for the autoscaler"
	}
	if it.foreign == nil {
		return nil
	}
	for _, f := range it.foreign.Fields {
		if !scaled || f.Path != "spec.replicas" {
			ch.Fields = append(ch.Fields, f)
		}
	}
	it.foreign = nil
	return nil
}

// refuseLoss adds to a recreation that it would write over what others mean, unless the
// caller said so.
func (p *planner) refuseLoss(ctx context.Context, it *item, diffs []managed.Difference) error {
	var migrated []string
	if p.isAdoption(it.live) {
		migrated = managed.Adopt(it.live, it.live).Managers
	}
	against, err := p.meantByOthers(ctx, it, diffs, migrated)
	if err != nil || len(against) == 0 || p.opts.ForceConflicts {
		return err
	}
	also := func(said, more string) string { return strings.TrimPrefix(said+"; "+more, "; ") }
	it.change.Refused = also(it.change.Refused, "other managers own "+strings.Join(against, ", "))
	it.change.Hint = also(it.change.Hint, takesOver)
	return nil
}

// keepsPods reports whether an object is recreated without its pods: a StatefulSet of
// which the templates of claims alone differ takes over those that are there.
func keepsPods(it *item) bool {
	if it.ref.Kind != "StatefulSet" || it.live == nil {
		return false
	}
	changes := managed.ImmutableChanges(it.live, managed.LocalDifferences(managed.Effective(it.obj, it.live), it.live))
	return slices.Equal(changes, []string{"spec.volumeClaimTemplates"})
}
