package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Delete removes an environment from its cluster: its members, in the reverse
// of the order in which they were written, its revisions, the ApplySet parent
// and the lock, and then its Namespace if nothing else is in it. The guards of
// Apply hold, and what they keep (PersistentVolumeClaims, definitions,
// Namespaces that are not named in opts.AllowPrune) stays, with the parent and
// the revisions, so that it is not forgotten.
func (c *Cluster) Delete(ctx context.Context, env *schema.Environment, opts ApplyOptions) (*Report, error) {
	empty := *env
	empty.Units, empty.External = nil, nil
	plan, err := c.Plan(ctx, &empty, PlanOptions{
		Prune: opts.AllowPrune, LookIn: opts.LookIn, Concurrency: opts.Concurrency, ToApply: true, rendered: env,
	})
	if err != nil {
		return nil, err
	}
	r := newRun(c, &empty, plan, opts)
	err = r.deleteEnvironment(ctx)
	if err != nil && ctx.Err() != nil {
		err = r.interrupted(ctx, err)
	}
	return r.finish(), err
}

func (r *run) deleteEnvironment(ctx context.Context) (err error) {
	if err := r.guardDelete(ctx); err != nil {
		return err
	}
	home, err := r.c.Dynamic.Resource(kube.Namespaces()).Get(ctx, r.env.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // parent, lock and revisions went with it
	}
	if err != nil {
		return err
	}
	if home.GetDeletionTimestamp() != nil {
		// No lock can be made in there, by nobody, and with it go parent and revisions.
		if err := r.prune(ctx); err != nil {
			return err
		}
		return r.awaitAbsence(ctx, []*Change{{Ref: schema.RefOf(home), live: home}})
	}
	if err := r.take(ctx); err != nil {
		return err
	}
	released := false
	defer func() {
		if !released {
			err = errors.Join(err, r.lock.Release(ctx))
		}
	}()
	if err := r.current(ctx); err != nil {
		return err
	}
	if err := r.prune(ctx); err != nil {
		return err
	}
	if kept := r.keptMembers(); len(kept) > 0 {
		for _, change := range r.changes(Kept) {
			r.journal.tell(Event{Phase: PhasePrune, Unit: change.Unit, Ref: change.Ref, Action: Kept, Message: change.Message})
		}
		r.journal.tell(Event{Phase: PhaseNarrow, Message: r.stays(kept)})
		return nil
	}
	if err := r.deleteRecords(ctx, r.env.Name); err != nil {
		return err
	}
	released = true
	if err := r.lock.Remove(ctx); err != nil {
		return err
	}
	return r.deleteHome(ctx)
}

// guardDelete are the guards of a deletion.
func (r *run) guardDelete(ctx context.Context) error {
	for _, check := range []func(context.Context) error{r.rightCluster, r.supported} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	if err := r.protected(); err != nil {
		return err
	}
	if names := r.plan.unconfirmedNames(); len(names) > 0 {
		return &hint.Refused{
			Reason: fmt.Sprintf("environment %s may have objects where neither git nor a signed record says so: %s", r.env.Name, strings.Join(names, ", ")),
			Hints: []string{
				"if it had, give --look-in NAME for each",
				fmt.Sprintf("if not: kubectl annotate configmap -n %s %s %s- %s- %s- %s-", r.env.Namespace, schema.ParentName(r.env.Name),
					record.AnnotationUnconfirmed, record.AnnotationPlaces, record.AnnotationKinds, record.AnnotationNamespaces),
			},
		}
	}
	if len(r.plan.Incomplete) > 0 {
		return &hint.Refused{Reason: fmt.Sprintf("the server does not answer for %v: what is in there cannot be seen", r.plan.Incomplete)}
	}
	if n := len(r.pruning()); !r.opts.Yes && n > 0 && n != r.opts.YesCount {
		return &hint.Refused{
			Reason: fmt.Sprintf("%d objects of environment %s would be deleted", n, r.env.Name),
			Hints:  []string{fmt.Sprintf("if that is right, give --yes or --yes=%d", n)},
		}
	}
	return r.rights(ctx)
}

// stays says that an environment is not forgotten while something of it is kept.
func (r *run) stays(kept []*Change) string {
	are, them := "are", "them"
	if len(kept) == 1 {
		are, them = "is", "it"
	}
	return fmt.Sprintf("%s %s kept, and with %s the environment's parent and revisions", count(len(kept), "object"), are, them)
}

// keptMembers are the members that a guard keeps. The environment's own
// Namespace is not among them: it is looked at last.
func (r *run) keptMembers() []*Change {
	return slices.DeleteFunc(r.changes(Kept), r.isHome)
}

func (r *run) isHome(change *Change) bool {
	return change.IsNamespace() && change.Name == r.env.Namespace
}

// deleteHome deletes the environment's Namespace if nothing else is in it.
func (r *run) deleteHome(ctx context.Context) error {
	change := &Change{Ref: schema.Ref{APIVersion: "v1", Kind: "Namespace", Name: r.env.Namespace}}
	if i := slices.IndexFunc(r.plan.Changes, func(c Change) bool { return r.isHome(&c) }); i >= 0 {
		change = &r.plan.Changes[i]
	}
	live, err := r.get(ctx, change)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if live.GetLabels()[schema.LabelPartOf] != schema.ApplySetID(r.env.Name, r.env.Namespace) {
		return nil
	}
	change.Action, change.Message, change.live = Deleted, "", live
	if kept, err := r.keepNamespace(ctx, change); err != nil || kept {
		return err
	}
	r.lock = nil // it is gone, and the Namespace with nothing in it is the last write
	if err := r.delete(ctx, change); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: %w", change.Ref, err)
	}
	r.journal.wrote(PhasePrune, *change, nil)
	return r.awaitAbsence(ctx, []*Change{change})
}
