package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// pruning are the deletions of the run. While discovery does not answer for a
// group there are none: what is not seen must not look unwanted.
func (r *run) pruning() []*Change {
	if r.opts.NoPrune || len(r.plan.Incomplete) > 0 {
		return nil
	}
	return slices.DeleteFunc(r.changes(Deleted), func(change *Change) bool {
		return r.opts.LeaveSecrets && mask.IsSecret(change.live)
	})
}

// prune deletes what the environment no longer renders, stage by stage, each
// gone before the next one begins. It runs only after every unit has succeeded.
func (r *run) prune(ctx context.Context) error {
	changes := slices.DeleteFunc(r.pruning(), func(change *Change) bool { return r.journal.has(change.Ref) })
	slices.SortStableFunc(changes, func(a, b *Change) int { return cmp.Compare(pruneStage(a), pruneStage(b)) })
	for len(changes) > 0 {
		n := 1
		for n < len(changes) && pruneStage(changes[n]) == pruneStage(changes[0]) {
			n++
		}
		stage, err := r.withoutKept(ctx, changes[:n])
		if err != nil {
			return err
		}
		if err := r.deleteAll(ctx, stage); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// deleteFirst deletes what was named for that and what nothing of the plan is known to
// take over from, before the units are written, and what leads to a canary that ends.
func (r *run) deleteFirst(ctx context.Context) error {
	var named []*Change
	for _, change := range r.pruning() {
		leads := ofCanary(change) && change.Kind == "IngressRoute"
		if (leads || slices.Contains(r.plan.options.DeleteFirst, change.Kind+"/"+change.Name)) && !r.isFreed(change.Ref) {
			named = append(named, change)
		}
	}
	return r.deleteAll(ctx, named)
}

// isFreed reports whether an object is deleted just before another one is written.
func (r *run) isFreed(ref schema.Ref) bool {
	return slices.ContainsFunc(r.plan.Changes, func(c Change) bool { return slices.Contains(c.after, ref) })
}

// free deletes what has what a wave takes over, and waits until it is gone. A run that
// is killed afterwards leaves an object missing, which the next one writes.
func (r *run) free(ctx context.Context, wave []*Change) error {
	r.freeing.Lock()
	defer r.freeing.Unlock()
	var going []*Change
	for i := range r.plan.Changes {
		holder := &r.plan.Changes[i]
		if holder.desired == nil && slices.ContainsFunc(wave, func(c *Change) bool { return slices.Contains(c.after, holder.Ref) }) {
			going = append(going, holder)
		}
	}
	if len(going) == 0 {
		return nil
	}
	deleted := slices.DeleteFunc(slices.Clone(going), func(c *Change) bool { return c.Action != Deleted || r.journal.has(c.Ref) })
	if err := joined(r.each(deleted, func(change *Change) error { return r.deleteOne(ctx, change) })); err != nil {
		return err
	}
	return r.awaitAbsence(ctx, going)
}

// pruneStage orders deletions: custom resources while their controllers can
// still finish them, then what would stand in the way without its server
// (webhooks, APIServices), then the rest from the traffic inwards, then
// definitions and at last Namespaces, which take with them what is inside.
func pruneStage(change *Change) int {
	gvk := change.GVK()
	if !managed.IsBuiltin(gvk.Group) {
		return 0
	}
	// Waves run from Namespaces to webhooks; the stages run back.
	return 1 + kinds.WaveWebhook - change.wave()
}

// deleteAll deletes objects side by side and waits until all are gone.
func (r *run) deleteAll(ctx context.Context, changes []*Change) error {
	if err := joined(r.each(changes, func(change *Change) error { return r.deleteOne(ctx, change) })); err != nil {
		return err
	}
	return r.awaitAbsence(ctx, changes)
}

// deleteOne deletes one object; one that moved since the plan is planned again
// and deleted only where that says the same.
func (r *run) deleteOne(ctx context.Context, change *Change) error {
	for attempt := 1; ; attempt++ {
		err := r.delete(ctx, change)
		switch {
		case err == nil, apierrors.IsNotFound(err):
			r.journal.wrote(PhasePrune, *change, nil)
			return nil
		case apierrors.IsConflict(err) && attempt < attemptsConflict:
			now, err := r.replanDeletion(ctx, change)
			if err != nil {
				return fmt.Errorf("%s: %w", change.Ref, err)
			}
			if now == nil {
				r.journal.wrote(PhasePrune, *change, nil)
				return nil
			}
			if !sameChange(change, now) {
				return fmt.Errorf("%s: it changed since the plan was made and is not deleted (now: %s); plan again", change.Ref, now.Action)
			}
			*change = *now
		case r.ended(ctx) != nil:
			return r.ended(ctx)
		default:
			return fmt.Errorf("%s: %w", change.Ref, err)
		}
	}
}

// replanDeletion looks again at an object whose version moved; nil says that it
// is gone, or is being deleted already, as by the TTL of a Job. What somebody wrote
// since the plan was made may be what it is needed for, so only writes of status
// and of managedFields are passed over.
func (r *run) replanDeletion(ctx context.Context, change *Change) (*Change, error) {
	live, gone, err := r.absent(ctx, change)
	if err != nil || gone || live.GetDeletionTimestamp() != nil {
		return nil, err
	}
	if !managed.Equal(withoutVersions(change.live), withoutVersions(live)) {
		return nil, errors.New("it was edited since the plan was made and is not deleted; plan again")
	}
	now := *change
	now.live = live
	return &now, newPruneRules(r.c, r.env, r.plan.options).decide(ctx, &now)
}

// withoutVersions is an object as somebody would write it.
func withoutVersions(u *unstructured.Unstructured) map[string]any {
	u = u.DeepCopy()
	delete(u.Object, "status")
	for _, field := range []string{"resourceVersion", "managedFields", "generation"} {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
	return u.Object
}

// withoutKept leaves out the Namespaces of a stage that must not be deleted.
func (r *run) withoutKept(ctx context.Context, stage []*Change) ([]*Change, error) {
	var out []*Change
	for _, change := range stage {
		if kinds.IsNamespace(change.live) {
			kept, err := r.keepNamespace(ctx, change)
			if err != nil {
				return nil, err
			}
			if kept {
				continue
			}
		}
		out = append(out, change)
	}
	return out, nil
}

// keepNamespace decides, when all else of the run is deleted, whether a
// Namespace stays: with it would go everything in it, whoever made that.
func (r *run) keepNamespace(ctx context.Context, change *Change) (bool, error) {
	reason, err := newPruneRules(r.c, r.env, r.plan.options).heldByOthers(ctx, change.Name)
	if err != nil {
		return false, fmt.Errorf("%s: %w", change.Ref, err)
	}
	if reason == "" {
		return false, nil
	}
	change.Action, change.Message = Kept, reason
	r.journal.tell(Event{Phase: PhasePrune, Unit: change.Unit, Ref: change.Ref, Action: Kept, Message: reason})
	return true, nil
}

// awaitAbsence waits until the API confirms that objects are gone. Those that
// stay are named with what holds them, and do not count as done.
func (r *run) awaitAbsence(ctx context.Context, changes []*Change) (err error) {
	defer func() {
		if err != nil {
			r.journal.stay(changes)
		}
	}()
	deadline := time.Now().Add(r.opts.Timeout)
	said := ""
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		var holding []string
		var left []*Change
		for _, change := range changes {
			live, gone, err := r.absent(ctx, change)
			switch {
			case r.ended(ctx) != nil:
				return r.ended(ctx)
			case err != nil:
				return fmt.Errorf("%s: %w", change.Ref, err)
			case !gone:
				left = append(left, change)
				holding = append(holding, stays(change.Ref, live))
			}
		}
		if changes = left; len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return &NotGone{After: r.opts.Timeout, Stay: holding}
		}
		message := "waiting until 1 object is gone, " + holding[0]
		if len(left) > 1 {
			message = fmt.Sprintf("waiting until %d objects are gone, %s", len(left), holding[0])
		}
		if message != said {
			r.journal.tell(Event{Phase: PhasePrune, Message: message})
			said = message
		}
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

// stays says what holds an object that was deleted.
func stays(ref schema.Ref, live *unstructured.Unstructured) string {
	switch finalizers := live.GetFinalizers(); {
	case ref.IsNamespace() && live.GetDeletionTimestamp() != nil:
		return fmt.Sprintf("%s: %s", ref, holdsNamespace(live))
	case ref.Kind == "CustomResourceDefinition" && slices.Contains(finalizers, apiextensionsv1.CustomResourceCleanupFinalizer):
		return fmt.Sprintf("%s: the API server deletes its objects first: %s", ref, holdsDefinition(live))
	case len(finalizers) > 0:
		return fmt.Sprintf("%s waits for the finalizer %s, which its controller must remove", ref, strings.Join(finalizers, ", "))
	case ref.IsNamespace():
		return fmt.Sprintf("%s waits until everything in it is gone", ref)
	}
	return fmt.Sprintf("%s is still there", ref)
}

// holdsDefinition is what the API server says of the deletion of a definition. After
// a failure, such as a storage that is only just made, it tries again ever later.
func holdsDefinition(live *unstructured.Unstructured) string {
	if _, why := health.Condition(live, string(apiextensionsv1.Terminating)); why != "" {
		return inOneLine(why)
	}
	return "it has not begun"
}
