package apply

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-428f4edd/evenkeel/apply/lock"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Apply brings the cluster level with env: what plan says, and only that.
//
// The errors are *Refused (a guard said no), *Interrupted (ctx ended; nothing
// was in flight), *health.NotHealthy (written, but a unit did not become
// healthy), *NotGone (a deletion does not end), or what the API said about each
// object of a failed wave. The report is there in every case.
func (c *Cluster) Apply(ctx context.Context, env *schema.Environment, plan *Plan, opts ApplyOptions) (*Report, error) {
	r := newRun(c, env, plan, opts)
	err := r.apply(ctx)
	if err != nil && ctx.Err() != nil {
		err = r.interrupted(ctx, err)
	}
	return r.finish(), err
}

func (r *run) apply(ctx context.Context) (err error) {
	if err := r.guard(ctx); err != nil {
		return err
	}
	if err := r.home(ctx); err != nil {
		return err
	}
	if err := r.take(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.lock.Release(ctx)) }()
	if err := r.current(ctx); err != nil {
		return err
	}
	if err := r.widen(ctx); err != nil {
		return err
	}
	r.keepHelmOut(ctx)
	if err := r.foundations(ctx); err != nil {
		return err
	}
	if err := r.deleteFirst(ctx); err != nil {
		return err
	}
	if err := r.units(ctx); err != nil {
		return r.withFinished(ctx, err)
	}
	if err := r.prune(ctx); err != nil {
		return err
	}
	return r.record(ctx)
}

// home writes the environment's own Namespace where it does not exist yet: the
// lock and the parent live there.
func (r *run) home(ctx context.Context) error {
	for _, change := range r.changes(Created) {
		if change.IsNamespace() && change.Name == r.env.Namespace {
			return r.write(ctx, change)
		}
	}
	return nil
}

// take takes the lock, for every run: one that has nothing to write still
// promises that what it saw was not being changed.
func (r *run) take(ctx context.Context) error {
	if i := slices.IndexFunc(r.plan.Changes, func(c Change) bool { return c.Action == Terminating && r.isHome(&c) }); i >= 0 {
		return going(namespaceGoing(r.plan.Changes[i].live))
	}
	held, err := lock.Acquire(ctx, r.c.Dynamic, lock.Request{
		Environment: r.env.Name, Namespace: r.env.Namespace,
		Holder: r.me, Duration: r.opts.LockDuration, Wait: r.opts.LockTimeout,
		Waiting: func(other lock.Held) {
			message := "waiting for the lock, held by " + other.By()
			if other.Absurd {
				message += ", by a Lease that no run writes; " + unlock(r.env)
			}
			r.journal.tell(Event{Phase: PhaseLock, Message: message})
		},
	})
	r.lock = held
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		if why, asked := r.c.terminating(ctx, r.env.Namespace); asked == nil && why != "" {
			return going(why)
		}
	}
	if other, ok := errors.AsType[*lock.Held](err); ok {
		return isLocked(other, r.env)
	}
	return err
}

// widen makes the parent name every kind and namespace that the run may write
// to, before the first write: were the run killed, the next one looks there. It
// also marks the parent with this run, so that a plan made before knows that it
// is out of date.
func (r *run) widen(ctx context.Context) error {
	if r.pending = r.isPending(); !r.pending {
		return nil
	}
	if err := r.mayWrite(ctx); err != nil {
		return err
	}
	if err := r.signer.EnsureKey(ctx); err != nil {
		return err
	}
	r.keepCanary()
	s := record.ScopeOf(r.env)
	maps.Copy(s, r.plan.places)
	annotations, err := r.scopeAnnotations(ctx, s)
	if err != nil {
		return err
	}
	annotations[record.AnnotationRun], annotations[record.AnnotationUnfinished] = r.me.Run, r.me.Run
	if note := r.canaryNote(); note != "" { // of one that is over it stays until its objects are gone
		annotations[record.AnnotationCanary] = note
	}
	if r.opts.Release || r.opts.Hold != "" {
		annotations[record.AnnotationHold] = r.opts.Hold
		if err := r.signer.Note(ctx, func(n *record.Noted) { n.Hold = r.opts.Hold }); err != nil {
			return err
		}
	}
	r.journal.tell(Event{Phase: PhaseWiden})
	ctx, cancel := r.request(ctx)
	defer cancel()
	if err := r.keepState(ctx); err != nil {
		return err
	}
	return r.parent.Write(ctx, annotations)
}

// isPending reports whether there is anything to write and record: changes, or a
// former run that ended before it could record.
func (r *run) isPending() bool {
	return !reflect.DeepEqual(unfinished(r.plan.state.Canary), unfinished(r.canaryAfter())) ||
		len(r.writing())+len(r.pruning()) > 0 || len(r.opts.Units) == 0 && r.plan.former != nil ||
		r.opts.Hold != "" || r.opts.Release && r.parent.Annotation(record.AnnotationHold) != "" ||
		len(r.opts.Units) == 0 && r.parent.Annotation(record.AnnotationRendered) != r.plan.Rendered ||
		!record.ScopeOf(r.env).Within(r.parent) ||
		r.parent.Annotation(record.AnnotationUnconfirmed) != "" && r.parent.Annotation(record.AnnotationUnconfirmed) != r.plan.unconfirmed.Places()
}

// interrupted says what was done before the context ended.
func (r *run) interrupted(ctx context.Context, err error) error {
	i := &Interrupted{Cause: context.Cause(ctx)}
	i.Done, i.NotDone = r.journal.parted(r.plan.Changes)
	if errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()) {
		return i
	}
	return errors.Join(i, err)
}

// finish is the report of the run, however it ended.
func (r *run) finish() *Report {
	report := &Report{Plan: r.journal.settled(*r.plan), Health: r.health, Revision: r.revision}
	report.Done, report.NotDone = r.journal.parted(r.plan.Changes)
	report.Requests = r.plan.Requests.Plus(r.c.Requests().Since(r.before))
	report.Durations.Apply = time.Since(r.started).Seconds()
	report.Durations.Gate = r.gating.Seconds()
	return report
}
