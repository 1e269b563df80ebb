package apply

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// assess looks at a desired object that is live, without asking the server. It
// leaves it.change nil where only the server knows.
func (p *planner) assess(it *item, live *unstructured.Unstructured) {
	it.generation = live.GetGeneration()
	p.mask.Learn(live)
	if live.GetDeletionTimestamp() != nil {
		if p.plan.state.HasFinished(it.obj.Unstructured) {
			it.change = p.newChange(it, Unchanged) // as good as gone, and need not be there
			return
		}
		it.live = live
		it.change = p.newChange(it, Terminating)
		it.change.Message = "is being deleted" + finalizersOf(live)
		p.note(it) // what stands in it must wait too
		return
	}
	p.reportForeign(it, live, nil)
	desired := managed.Effective(it.obj, live)
	if !p.opts.Full && len(given(it.foreign)) == 0 && (p.certain(desired, live) || p.hasReceipt(it, desired, live)) {
		it.change = p.newChange(it, Unchanged)
		return
	}
	it.live = live
}

// certain reports whether an apply is proven to change nothing.
func (p *planner) certain(desired, live *unstructured.Unstructured) bool {
	return managed.Doubt(desired, live) == "" && !p.definitionOf(live).isNewerThan(live)
}

func finalizersOf(live *unstructured.Unstructured) string {
	if kinds.IsNamespace(live) {
		return ": " + holdsNamespace(live)
	}
	if f := live.GetFinalizers(); len(f) > 0 {
		return "; waits for finalizer " + strings.Join(f, ", ")
	}
	return ""
}

func (p *planner) hasReceipt(it *item, desired, live *unstructured.Unstructured) bool {
	p.mu.Lock()
	kept, ok := p.plan.state.Receipts[it.ref.String()]
	p.mu.Unlock()
	if !ok {
		return false
	}
	now, err := record.Receipt(desired, live, p.definitionOf(live).generation)
	return err == nil && now == kept
}

// keepReceipt saves the next plan a dry-run that changed nothing. What is certain
// anyway needs none.
func (p *planner) keepReceipt(it *item) {
	desired := managed.Effective(it.obj, it.live)
	if p.certain(desired, it.live) {
		return
	}
	kept, err := record.Receipt(desired, it.live, p.definitionOf(it.live).generation)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan.state.Receipts[it.ref.String()] = kept
}

func (p *planner) reportForeign(it *item, live, result *unstructured.Unstructured) {
	fields := managed.Foreign(it.obj.Unstructured, p.mask.Object(live), result, p.env.Controllers, p.isAdoption(live))
	if p.targets[it.ref.String()] {
		fields = slices.DeleteFunc(fields, func(f managed.Field) bool { return f.Path == "spec.replicas" })
	}
	it.foreign = nil
	if len(fields) == 0 {
		return
	}
	it.foreign = p.newChange(it, Foreign)
	it.foreign.Fields = fields
}

// ask has the server dry-run an object and reads the change from its answer.
func (p *planner) ask(ctx context.Context, it *item) error {
	if waits := p.waitsFor(it); waits != "" {
		p.unverified(it, waits)
		return nil
	}
	if p.unreadable(it) {
		return nil
	}
	if gone, err := p.isGone(ctx, it); gone || err != nil {
		return err
	}
	if p.opts.ListOnly {
		return p.compareLocally(ctx, it)
	}
	var result *unstructured.Unstructured
	for range attemptsMoving {
		desired := managed.Effective(it.obj, it.live)
		answer, created, err := p.cluster.DryRun(ctx, it.mapping, desired)
		if err != nil {
			return p.refusal(ctx, it, err)
		}
		if created {
			it.live = nil
			it.change = p.newChange(it, Created)
			it.change.dryRun = answer
			p.note(it)
			return nil
		}
		result = answer
		if it.live != nil && !moved(it.live, result) {
			break
		}
		if done, err := p.meet(ctx, it); done || err != nil {
			return err
		}
		if !moved(it.live, result) && len(it.obj.Ignore) == 0 {
			break
		}
	}
	if fields := given(it.foreign); len(fields) > 0 && it.live != nil {
		if done, err := p.uniteWith(ctx, it, stale{fields: fields}); done || err != nil {
			return err
		}
	}
	return p.interpret(ctx, it, result)
}

// attemptsMoving bounds how often an object is asked about that is written to all
// the time. Comparing the answer with another version of the object would show
// the work of its controllers as ours.
const attemptsMoving = 5

// moved reports whether the dry-run saw another version of the object than the
// LIST.
func moved(live, result *unstructured.Unstructured) bool {
	return live.GetUID() != result.GetUID() || live.GetResourceVersion() != result.GetResourceVersion()
}

// meet reads an object that the LIST did not show, because it bears no label of
// ours, or that changed since. done says that there is nothing more to ask.
func (p *planner) meet(ctx context.Context, it *item) (done bool, err error) {
	live, err := p.cluster.Get(ctx, it.mapping, it.ref.Namespace, it.ref.Name)
	if apierrors.IsNotFound(err) {
		// Deleted in this very moment.
		it.live = nil
		it.change = p.newChange(it, Created)
		return true, nil
	}
	if err != nil {
		return true, err
	}
	it.live, it.change, it.foreign = live, nil, nil
	p.assess(it, live)
	return it.change != nil, nil
}

// waitsFor names what of this plan must be there before the server can judge the
// object.
func (p *planner) waitsFor(it *item) string {
	if it.waits != "" {
		return it.waits
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if it.live == nil {
		return p.newSpaces[it.ref.Namespace]
	}
	return ""
}

// unverified plans an object that the server cannot judge yet.
func (p *planner) unverified(it *item, waits string) {
	action := UnverifiedCreated
	if it.live != nil {
		action = UnverifiedChanged
	}
	it.change = p.newChange(it, action)
	it.change.Verified = false
	it.change.waits = waits
	it.change.Message = "not verified by the server: waits for " + waits
}

// compareLocally stands in for the dry-run where only reading is allowed.
func (p *planner) compareLocally(ctx context.Context, it *item) error {
	if it.live == nil {
		if done, err := p.meet(ctx, it); done || err != nil {
			if err == nil && it.change.Action == Created {
				it.change = p.newChange(it, UnverifiedCreated)
				it.change.Verified = false
				it.change.Message = "not verified by the server"
				p.note(it)
			}
			return err
		}
	}
	it.change = p.newChange(it, UnverifiedChanged)
	it.change.Verified = false
	it.change.Fields = managed.Fields(managed.LocalDifferences(p.mask.Object(managed.Effective(it.obj, it.live)), p.mask.Object(it.live)))
	it.change.Message = "not verified by the server: compared by the fields that the environment sets"
	return nil
}

// note remembers what else of the plan depends on this object.
func (p *planner) note(it *item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case kinds.IsNamespace(it.obj.Unstructured):
		p.newSpaces[it.ref.Name] = it.ref.String()
	case kinds.IsCRD(it.obj.Unstructured):
		p.changedCRD[kinds.Defines(it.obj.Unstructured)] = it.ref.String()
	}
}

// plannedRole names the role that a binding refers to, or the object itself if it
// is a role, where the plan changes it: until it is there, the server may refuse
// the binding as an escalation or because the role is not found.
func (p *planner) plannedRole(it *item) string {
	if it.obj.GroupVersionKind().Group != "rbac.authorization.k8s.io" {
		return ""
	}
	kind, _, _ := unstructured.NestedString(it.obj.Object, "roleRef", "kind")
	name, _, _ := unstructured.NestedString(it.obj.Object, "roleRef", "name")
	if kind == "" {
		return ""
	}
	ref := schema.Ref{APIVersion: it.ref.APIVersion, Kind: kind, Name: name}
	if kind == "Role" {
		ref.Namespace = it.ref.Namespace
	}
	if p.desired[ref.ID()] == nil {
		return ""
	}
	return ref.String()
}

// interpret reads the change from the server's answer.
func (p *planner) interpret(ctx context.Context, it *item, result *unstructured.Unstructured) error {
	ch := p.newChange(it, Configured)
	ch.dryRun = result
	it.change = ch
	live := p.mask.Object(it.live)
	diffs := managed.Differences(live, p.mask.Object(result))
	if managed.RunsAgain(it.live, diffs) {
		return p.mustRecreate(ctx, it, nil)
	}
	if kept := managed.KeptByServer(it.live, result); len(kept) > 0 {
		return p.mustRecreate(ctx, it, kept)
	}
	over, err := p.handsOver(ctx, it, diffs)
	if err != nil {
		return err
	}
	if over {
		ch.handover = []string{replicasPointer}
		diffs = slices.DeleteFunc(diffs, func(d managed.Difference) bool { return d.Path.Fields() == "spec.replicas" })
		ch.Message = "spec.replicas goes over to the autoscaler with its live value"
	}
	ch.Fields = managed.Fields(diffs)
	ch.Hint = injectionHint(it.obj, ch.Fields)
	ch.Restarts = slices.ContainsFunc(diffs, func(d managed.Difference) bool { return managed.IsPodTemplate(it.ref, d.Path) })
	dropped, err := p.dropped(ctx, it, result)
	if err != nil {
		return err
	}
	switch {
	case p.isAdoption(it.live):
		ch.Action = Adopted
		a := managed.Adopt(live, result)
		ch.migrate, ch.gone = a.Managers, a.Paths
		ch.Fields = append(ch.Fields, slices.DeleteFunc(a.Removed, func(f managed.Field) bool { // what the dry-run shows
			return slices.ContainsFunc(ch.Fields, func(shown managed.Field) bool { return shown.Path == f.Path && shown.To == nil })
		})...)
		ch.Message = adoptedFrom(a.Present)
		p.reportForeign(it, onRecord(ch), result)
		ch.Restarts = ch.Restarts || slices.ContainsFunc(a.Paths, func(at managed.Path) bool { return managed.IsPodTemplate(it.ref, at) })
	case len(diffs) > 0 || len(ch.handover) > 0 || len(ch.Fields) > 0:
	case !reflect.DeepEqual(managed.Ownership(it.live), managed.Ownership(result)):
		ch.Action = Reowned
	default:
		ch.Action = Unchanged
		p.keepReceipt(it)
		return nil
	}
	if managed.HasEntry(it.live, managed.UniteManager) && !slices.Contains(ch.migrate, managed.UniteManager) {
		ch.migrate = append(ch.migrate, managed.UniteManager) // of a run that was killed
	}
	if gone := slices.Concat(dropped.Paths, ch.gone); len(gone) > 0 && ch.unite == nil && !it.removes {
		if done, err := p.removes(ctx, it, result, gone); done || err != nil {
			return err
		}
	}
	if len(dropped.Stay) > 0 {
		ch.Message = strings.TrimPrefix(ch.Message+"; no longer set here but kept by others: "+strings.Join(dropped.Stay, ", "), "; ")
	}
	if err := p.refuseConflicts(ctx, it, diffs, dropped.Meant); err != nil {
		return err
	}
	p.claim(ch)
	if kinds.IsCRD(it.obj.Unstructured) {
		p.note(it)
	}
	it.forgetGone()
	return nil
}

// forgetGone calls foreign no more what the change removes.
func (it *item) forgetGone() {
	if it.foreign == nil {
		return
	}
	it.foreign.Fields = slices.DeleteFunc(it.foreign.Fields, func(f managed.Field) bool {
		return slices.ContainsFunc(it.change.Fields, func(gone managed.Field) bool { return gone.To == nil && isWithin(f.Path, gone.Path) })
	})
	if len(it.foreign.Fields) == 0 {
		it.foreign = nil
	}
}

// onRecord is a live object with whoever is on record for its fields once the change is
// carried out, where that was nobody.
func onRecord(ch *Change) *unstructured.Unstructured {
	if len(ch.recorded) == 0 {
		return ch.live
	}
	live := ch.live.DeepCopy()
	live.SetManagedFields(ch.recorded)
	return live
}

// injectionHint says how to leave CA bundles to who injects them, where an apply would
// write over what somebody put there and no annotation tells that it was asked for.
func injectionHint(obj *schema.Object, fields []managed.Field) string {
	for _, f := range fields {
		if f.By == "" || f.By == schema.Manager || !strings.HasSuffix(f.Path, ".caBundle") {
			continue
		}
		var pointers []string
		for _, pointer := range kinds.Bundles(obj.Unstructured) {
			pointers = append(pointers, strconv.Quote(pointer))
		}
		if len(pointers) > 0 {
			return fmt.Sprintf("if %s injects the CA bundle, leave it to that: ignore: %s: [%s]", f.By, strconv.Quote(obj.Key), strings.Join(pointers, ", "))
		}
	}
	return ""
}

// isAdoption holds for a live object that evenkeel does not apply yet, or that
// belongs to another environment.
func (p *planner) isAdoption(live *unstructured.Unstructured) bool {
	set := live.GetLabels()[schema.LabelPartOf]
	return !managed.IsApplied(live) || set != "" && set != p.rules.sets[0]
}

func adoptedFrom(managers []string) string {
	if len(managers) == 0 {
		return "taken over; nobody is on record for its fields"
	}
	return "taken over from " + strings.Join(managers, ", ")
}

// claim refuses what belongs to somebody else.
func (p *planner) claim(ch *Change) {
	sets := slices.Clone(p.rules.sets)
	if id := ch.live.GetLabels()[schema.LabelPartOf]; p.siblings[id] != "" && p.rules.wanted[ch.ID()] != p.siblings[id] {
		sets = append(sets, id) // moved here from an environment that let go of it
	}
	owner := managed.OtherOwner(ch.live, sets)
	if owner == "" || p.opts.TakeOwnership {
		return
	}
	if name := p.siblings[ch.live.GetLabels()[schema.LabelPartOf]]; name != "" && strings.HasPrefix(owner, "ApplySet") {
		owner = "environment " + name
	}
	ch.Action = Conflict
	ch.Refused = "it belongs to " + owner
	ch.Hint = "--take-ownership takes it over"
}

// refuseConflicts looks at who wrote the values that would be written over.
func (p *planner) refuseConflicts(ctx context.Context, it *item, diffs []managed.Difference, meant []string) error {
	against, err := p.meantByOthers(ctx, it, diffs, it.change.migrate)
	if against = slices.Concat(meant, against); err != nil || len(against) == 0 {
		return err
	}
	p.conflict(it.change, "other managers own "+strings.Join(against, ", "))
	return nil
}

// meantByOthers are the fields among the differences that somebody else means as they
// are, each with who that is. migrated are the managers whose entries become ours.
func (p *planner) meantByOthers(ctx context.Context, it *item, diffs []managed.Difference, migrated []string) (against []string, err error) {
	j := managed.Policy{Controllers: p.env.Controllers, Migrated: migrated}
	if j.Autoscaled, err = p.isScaled(ctx, it, diffs); err != nil {
		return nil, err
	}
	for _, d := range diffs {
		if d.Gone {
			continue
		}
		if manager, conflict := j.Blocks(d); conflict {
			against = append(against, fmt.Sprintf("%s (%s)", d.Path, manager))
		} else if manager, warn := j.Warns(d); warn {
			p.warn(fmt.Sprintf("%s: %s was applied by %s, which may apply it again", it.ref, d.Path, manager))
		}
	}
	return against, nil
}

// dropped looks for what git no longer sets and an apply would leave there, and plans
// that it goes, unless others mean to keep it.
func (p *planner) dropped(ctx context.Context, it *item, result *unstructured.Unstructured) (*managed.Dropped, error) {
	ch, shown := it.change, p.mask.Object(result)
	earlier, err := p.earlierOf(ctx, it)
	if err != nil {
		return nil, err
	}
	dropped := managed.Drop(it.live, shown, managed.Policy{Controllers: p.env.Controllers}, p.opts.ForceConflicts, earlier...)
	if managed.Unrecorded(it.live) && it.live.GetLabels()[schema.LabelPartOf] == p.rules.sets[0] {
		recorded, err := p.recall(ctx, it)
		if err != nil {
			return nil, err
		}
		if recorded != nil {
			dropped = managed.DropRecorded(recorded, shown)
			if ch.recorded, err = managed.Recorded(recorded, dropped.Paths); err != nil {
				return nil, err
			}
		}
	}
	if len(dropped.Removed) == 0 {
		return dropped, nil
	}
	ch.dropped = dropped
	for i, f := range dropped.Removed {
		if f.Path == "spec.replicas" && len(ch.handover) > 0 {
			continue // an autoscaler has it then
		}
		ch.Fields = append(ch.Fields, f)
		ch.Restarts = ch.Restarts || managed.IsPodTemplate(it.ref, dropped.Paths[i])
	}
	return dropped, nil
}

// recall asks the server what an apply of the object as it was applied last owns; nil
// where that is not known.
func (p *planner) recall(ctx context.Context, it *item) (*unstructured.Unstructured, error) {
	p.last.once.Do(func() {
		p.last.revision, p.last.err = p.cluster.Revision(ctx, p.env.Name, p.env.Namespace, 0)
		if errors.Is(p.last.err, record.ErrNoRevision) || apierrors.IsForbidden(p.last.err) {
			p.last.revision, p.last.err = nil, nil
		}
	})
	if p.last.err != nil || p.last.revision == nil || !p.last.revision.Authenticated {
		return nil, p.last.err
	}
	for _, o := range p.last.revision.Environment.Objects() {
		if schema.IDOf(o.Unstructured) != schema.IDOf(it.live) {
			continue
		}
		recorded, _, err := p.cluster.DryRun(ctx, it.mapping, o.Unstructured)
		if isRejection(err) {
			return nil, nil
		}
		return recorded, err
	}
	return nil, nil
}

// earlierOf are an object's recorded states, where kubectl rollout undo has brought back
// one of its own, which may be older than what git says now.
func (p *planner) earlierOf(ctx context.Context, it *item) ([]*unstructured.Unstructured, error) {
	if !managed.Undone(it.live) {
		return nil, nil
	}
	p.earlier.once.Do(func() { p.earlier.objects, p.earlier.err = p.recorded(ctx) })
	return p.earlier.objects[schema.IDOf(it.live)], p.earlier.err
}

// recorded are the objects of all revisions that are signed and can be read.
func (p *planner) recorded(ctx context.Context) (map[schema.ID][]*unstructured.Unstructured, error) {
	history, err := p.cluster.History(ctx, p.env.Name, p.env.Namespace)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	objects := map[schema.ID][]*unstructured.Unstructured{}
	for _, head := range history {
		revision, err := p.cluster.Revision(ctx, p.env.Name, p.env.Namespace, head.Number)
		switch {
		case errors.Is(err, record.ErrUnreadable) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err):
			continue
		case err != nil:
			return nil, err
		case !revision.Authenticated:
			continue
		}
		for _, o := range revision.Environment.Objects() {
			id := schema.IDOf(o.Unstructured)
			objects[id] = append(objects[id], o.Unstructured)
		}
	}
	return objects, err
}

// rerun forgets that a Job has succeeded which is to run again: how that ends is not
// known yet.
func (p *planner) rerun(it *item) {
	if slices.Contains(p.opts.Recreate, it.ref.Kind+"/"+it.ref.Name) {
		delete(p.plan.state.Finished, it.ref.String())
	}
}

// isGone finds that a Job that has succeeded is not there, and need not be.
func (p *planner) isGone(ctx context.Context, it *item) (bool, error) {
	if it.live != nil || !p.plan.state.HasFinished(it.obj.Unstructured) {
		return false, nil
	}
	_, err := p.cluster.Get(ctx, it.mapping, it.ref.Namespace, it.ref.Name)
	if !apierrors.IsNotFound(err) {
		return false, err
	}
	it.change = p.newChange(it, Unchanged)
	return true, nil
}
