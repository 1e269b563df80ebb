package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/canary"
	"github.com/seed-428f4edd/evenkeel/apply/lock"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/rights"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// minimumMinor is the oldest 1.x that is supported: the first whose server-side
// apply, ValidatingAdmissionPolicy v1 and consistent LISTs from cache are all
// what the plan relies on.
const minimumMinor = 30

// guard refuses what must not be applied, before anything is written.
func (r *run) guard(ctx context.Context) error {
	if err := record.Runnable(r.env); err != nil {
		return err
	}
	if err := r.rightCluster(ctx); err != nil {
		return err
	}
	if err := r.supported(ctx); err != nil {
		return err
	}
	if err := r.protected(); err != nil {
		return err
	}
	if err := r.thawed(time.Now()); err != nil {
		return err
	}
	return r.possible(ctx)
}

// possible are the guards of what a plan says.
func (r *run) possible(ctx context.Context) error {
	for _, check := range []func() error{r.permitted, r.complete, r.limits} {
		if err := check(); err != nil {
			return err
		}
	}
	if err := r.rights(ctx); err != nil {
		return err
	}
	return r.creatable(ctx)
}

// rightCluster compares the cluster with the environment's pin, and with the
// cluster that the plan was made for.
func (r *run) rightCluster(ctx context.Context) error {
	is, err := r.c.IdentityOf(ctx, r.env)
	if err != nil {
		return err
	}
	pin := r.env.Cluster
	switch {
	case pin.UID == "" && pin.Server == "" && r.plan.parent == nil && !r.opts.Yes:
		return &hint.Refused{
			Reason: fmt.Sprintf("the first apply of environment %s to %s: it is not pinned to a cluster", r.env.Name, is.Server),
			Hints:  []string{fmt.Sprintf("add to the environment: cluster: uid: %q", is.UID), "or give --yes"},
		}
	case r.plan.Cluster.UID != is.UID:
		return &hint.Refused{Reason: fmt.Sprintf("the plan was made for the cluster %s, this one is %s", r.plan.Cluster.UID, is.UID)}
	}
	return nil
}

// supported checks the version of the server.
func (r *run) supported(ctx context.Context) error {
	version, err := r.c.Discovery.ServerVersionWithContext(ctx)
	if err != nil {
		return fmt.Errorf("version of the server: %w", err)
	}
	minor, err := strconv.Atoi(strings.TrimRight(version.Minor, "+"))
	if err != nil {
		return fmt.Errorf("version of the server: %q: %w", version.GitVersion, err)
	}
	if version.Major == "1" && minor < minimumMinor {
		return &hint.Refused{Reason: fmt.Sprintf("evenkeel needs Kubernetes 1.%d or newer, the server is %s", minimumMinor, version.GitVersion)}
	}
	return nil
}

// protected holds the rules of a protected environment.
func (r *run) protected() error {
	switch {
	case !r.env.Protected:
		return nil
	case r.opts.Git.Dirty && r.opts.Hold == "": // a rollback takes nothing from the tree
		return &hint.Refused{
			Reason: fmt.Sprintf("environment %s is protected, and the working tree is not what is committed", r.env.Name),
			Hints:  []string{"commit, and apply again"},
		}
	case r.opts.NoWait:
		return &hint.Refused{Reason: fmt.Sprintf("environment %s is protected: it always waits for health", r.env.Name)}
	case !r.opts.Yes:
		return &hint.Refused{
			Reason: fmt.Sprintf("environment %s is protected", r.env.Name),
			Hints:  []string{"confirm with the environment's name, or give --yes"},
		}
	}
	return nil
}

// permitted refuses a plan with changes that were refused, and names them all.
func (r *run) permitted() error {
	if !slices.Equal(r.plan.options.Units, r.opts.Units) {
		return fmt.Errorf("the plan was made for the units %q, the apply is for %q", r.plan.options.Units, r.opts.Units)
	}
	var lines, hints []string
	for _, change := range r.plan.Refused() {
		lines = append(lines, fmt.Sprintf("%s: %s", change.Ref, change.Refused))
		if change.Hint != "" && !slices.Contains(hints, change.Hint) {
			hints = append(hints, change.Hint)
		}
	}
	for _, change := range r.changes(Adopted) {
		if change.Restarts && !r.opts.Yes {
			lines = append(lines, fmt.Sprintf("%s: adopting it replaces its pods", change.Ref))
			hints = append(hints, "look at the plan, and give --yes")
		}
	}
	if rest := r.plan.withoutRejected(r.env.Units); rest != "" {
		hints = append(hints, rest)
	}
	if r.plan.options.ListOnly {
		lines = append(lines, "the plan was made without asking the server")
	}
	if len(r.pruning()) == 0 {
		for _, change := range r.changes(Deleted) {
			if r.isFreed(change.Ref) {
				lines = append(lines, fmt.Sprintf("%s must be deleted first, and this run deletes nothing", change.Ref))
			}
		}
	}
	if len(lines) > 0 {
		return &hint.Refused{Reason: strings.Join(lines, "\n"), Hints: hints}
	}
	return nil
}

// limits refuses an apply that would take away too much at once: usually a
// render that lost half of its units.
func (r *run) limits() error {
	objects := 0
	for i := range r.env.Units {
		objects += len(r.env.Units[i].Objects)
	}
	if objects == 0 {
		return &hint.Refused{
			Reason: fmt.Sprintf("environment %s renders no object", r.env.Name),
			Hints:  []string{fmt.Sprintf("evenkeel delete %s removes an environment", r.env.Name)},
		}
	}
	if r.opts.NoPrune {
		return nil
	}
	pruned := slices.DeleteFunc(r.pruning(), ofCanary)
	return pruneLimit(len(pruned), objects, r.opts.YesCount)
}

// pruneLimit allows ten objects, or five or a third of all if that is less,
// unless the exact number was confirmed.
func pruneLimit(pruned, remaining, confirmed int) error {
	const most, few = 10, 6
	if pruned <= most && (pruned < few || 3*pruned <= pruned+remaining) || pruned == confirmed {
		return nil
	}
	return &hint.Refused{
		Reason: fmt.Sprintf("%d objects would be deleted, %d remain", pruned, remaining),
		Hints:  []string{fmt.Sprintf("if that is right, give --yes=%d", pruned)},
	}
}

// rights refuses when the caller lacks a right that the run will need, and
// lists all that are missing.
func (r *run) rights(ctx context.Context) error {
	needed, err := r.needed(ctx)
	if err != nil {
		return err
	}
	missing, err := rights.Missing(ctx, r.c.Client, needed)
	if err != nil || len(missing) == 0 {
		return err
	}
	return lacks(r.env, missing)
}

// needed are the rights that the run will use.
func (r *run) needed(ctx context.Context) ([]rights.Right, error) {
	needed := slices.Concat(LockingRights(r.env), externalRights(r.env))
	writing, pruning := r.writing(), r.pruning()
	if len(writing)+len(pruning) > 0 {
		needed = append(needed, RecordingRights(r.env)...)
	}
	var errs []error
	for _, change := range slices.Concat(writing, pruning) {
		resource, err := r.c.resource(ctx, r.env, change.Ref)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		needed.Add(resource.Group, resource.Resource, change.Namespace, change.Name, change.Action.Verbs()...)
		if change.Action == Recreated && !slices.Contains(r.opts.Recreate, change.Kind+"/"+change.Name) {
			needed.Add(resource.Group, resource.Resource, change.Namespace, ProbeName(change.Name), "patch", "create")
		}
	}
	return needed, errors.Join(errs...)
}

// current reads the parent under the lock. An environment that was rolled back
// from what is to be applied is on hold. A parent that another run has written
// since the plan was made means that the plan is out of date: it is made again
// and must say the same.
func (r *run) current(ctx context.Context) error {
	parent, err := r.c.Parent(ctx, r.env)
	if err != nil {
		return err
	}
	r.parent, r.completes = parent, parent.Annotation(record.AnnotationUnfinished) != ""
	if !r.opts.Release && parent.Annotation(record.AnnotationHold) == r.plan.Rendered {
		hold, err := parent.Held(ctx, r.c.Reader(r.env)) // another run may have noted it since
		if err != nil {
			return err
		}
		if hold == r.plan.Rendered {
			return onHold(r.env)
		}
	}
	planned := ""
	if r.plan.parent != nil {
		planned = r.plan.parent.GetResourceVersion()
	}
	if planned == parent.ResourceVersion() {
		return nil
	}
	return r.again(ctx)
}

// again makes the plan anew and goes on with it where it says the same, or where nobody
// had agreed to the old one. Whether a sibling wants what would be deleted is known only
// to whoever made the first plan.
func (r *run) again(ctx context.Context) error {
	plan, err := r.c.Plan(ctx, r.env, r.plan.options)
	if err != nil {
		return err
	}
	same := slices.EqualFunc(r.plan.Changes, plan.Changes, func(a, b Change) bool {
		return a.Ref == b.Ref && sameChange(&a, &b)
	})
	if blind := plan.options.Siblings == nil && (plan.Summary[Deleted] > 0 || len(plan.Refused()) > 0); !same && r.opts.Unconfirmed && !blind {
		r.goOnWith(plan)
		r.journal.tell(Event{Phase: PhaseLock, Message: "another run changed the environment: planned again"})
		return r.possible(ctx)
	}
	if !same {
		return &hint.Refused{
			Reason: fmt.Sprintf("environment %s was changed by another run since the plan was made", r.env.Name),
			Hints:  []string{fmt.Sprintf("evenkeel diff %s shows what differs now; then apply again", r.env.Name)},
		}
	}
	r.goOnWith(plan)
	return nil
}

// goOnWith takes a newer plan for the one that the run began with.
func (r *run) goOnWith(plan *Plan) { r.plan, r.signer = plan, r.c.signerOf(r.env, plan) }

// complete refuses a run whose environment needs what is not there.
func (r *run) complete() error {
	var lines, hints []string
	newSpaces := map[string]bool{}
	for _, change := range r.changes(Created) {
		newSpaces[change.Name] = newSpaces[change.Name] || change.IsNamespace()
	}
	for _, m := range r.plan.missing {
		if m.forbidden {
			continue // the missing right is reported with the others
		}
		lines = append(lines, m.reason())
		if newSpaces[m.Namespace] {
			hints = append(hints, fmt.Sprintf("kubectl create namespace %s comes first; the environment adopts it", m.Namespace))
			delete(newSpaces, m.Namespace)
		}
		hints = append(hints, m.hint())
	}
	if len(lines) == 0 {
		return nil
	}
	return &hint.Refused{Reason: strings.Join(lines, "\n"), Hints: hints}
}

// thawed refuses new content in a freeze. What was applied last may always be written
// again, and an older revision.
func (r *run) thawed(now time.Time) error {
	f, until, frozen := r.env.Frozen(now)
	applied := &record.Parent{Live: r.plan.parent}
	if !frozen || r.opts.Back || r.opts.DespiteFreeze != "" ||
		applied.Annotation(record.AnnotationRendered) == r.plan.Rendered || len(r.writing())+len(r.pruning()) == 0 {
		return nil
	}
	return Frozen(r.env.Name, f, until)
}

// Frozen refuses new content for an environment in a freeze.
func Frozen(env string, f schema.Freeze, until time.Time) *hint.Refused {
	reason := fmt.Sprintf("environment %s is frozen: %s", env, f)
	if !until.IsZero() {
		zone, err := time.LoadLocation(f.Zone)
		if err == nil {
			until = until.In(zone)
		}
		reason = fmt.Sprintf("environment %s is frozen until %s: %s", env, until.Format("2006-01-02 15:04 MST"), f)
	}
	return &hint.Refused{
		Reason: reason,
		Hints:  []string{"wait, or give --despite-freeze REASON, which is recorded; a rollback and the correction of drift are always allowed"},
		Guard:  hint.GuardFreeze,
	}
}

// ofCanary reports whether a change is about an object that a canary had for itself:
// that it goes is no loss.
func ofCanary(change *Change) bool {
	return change.live != nil && change.live.GetLabels()[canary.Label] != ""
}

// isLocked refuses to run beside another run.
func isLocked(other *lock.Held, env *schema.Environment) *hint.Refused {
	return &hint.Refused{
		Reason: other.Error(),
		Hints: []string{
			"wait until it has ended, or give --lock-timeout",
			unlock(env),
		},
		Guard: hint.GuardLock,
	}
}

// unlock says how a lock is removed that nobody has any more.
func unlock(env *schema.Environment) string {
	return fmt.Sprintf("if nobody runs it any more: kubectl delete lease -n %s %s", env.Namespace, schema.ParentName(env.Name))
}

// going refuses to write to an environment whose Namespace is being deleted.
func going(why string) *hint.Refused {
	return &hint.Refused{Reason: why, Hints: []string{"apply again when it is gone"}}
}
