package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/lock"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// ApplyOptions bend an apply. The zero value applies the whole environment,
// waits for health, prunes, and refuses what is doubtful.
type ApplyOptions struct { //nolint:revive // it stands beside PlanOptions and StatusOptions
	// Units limits the run, pruning included, to these units; the plan must
	// have been made for the same ones.
	Units []string
	// Timeout bounds the wait for each unit's health, and for the end of what
	// is pruned, where the unit names no other; zero means ten minutes.
	Timeout time.Duration
	// FailAfter is how long a condition of an object may name the same error before
	// its unit has failed; zero means until the timeout.
	FailAfter time.Duration
	// LockTimeout is how long to wait for another apply to end; zero means not
	// at all.
	LockTimeout time.Duration
	// LockDuration is how long the lock outlives a run that was killed; zero
	// means 45 seconds. A third of it bounds each write.
	LockDuration time.Duration
	// NoWait leaves out the gates and NoPrune the pruning.
	NoWait, NoPrune bool
	// ForceConflicts takes fields from other managers, TakeOwnership whole
	// objects from other tools, Release lifts the hold that a rollback set.
	ForceConflicts, TakeOwnership, Release bool
	// Yes answers the questions of a guard: an environment without a pin, a
	// protected one, an adoption that restarts pods.
	Yes bool
	// YesCount allows pruning that many objects where there are more than the
	// limit allows.
	YesCount int
	// Recreate and AllowPrune name objects, as Kind/name.
	Recreate   []string
	AllowPrune []string
	// LookIn is PlanOptions.LookIn, for Delete, which makes its own plan.
	LookIn []string
	// NoSecrets leaves Secrets out of the recorded revision, LeaveSecrets keeps
	// those that are not rendered: a revision without them is rolled back to.
	NoSecrets, LeaveSecrets bool
	// Hold is the rendered digest that a rollback leaves: it is not applied
	// again until the environment renders to another one, or with Release.
	Hold string
	// Git and Who are recorded with the revision; Who also names the holder of
	// the lock.
	Git GitInfo
	Who string
	// Unconfirmed says that nobody was shown the plan and agreed to it. Where another
	// run changed the environment meanwhile, it is then made again and applied, with
	// all guards; else the run is refused.
	Unconfirmed bool
	// Concurrency bounds the writes in flight; zero means 32.
	Concurrency int
	// On is called, by one goroutine at a time, with everything that happens.
	On func(Event)
}

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

// run is one apply.
type run struct {
	c       *Cluster
	env     *schema.Environment
	plan    *Plan
	opts    ApplyOptions
	signer  *signer
	journal *journal
	slots   chan struct{} // one for each write in flight

	me      lock.Holder
	lock    *lock.Lock
	parent  *parent
	pending bool // there is something to write and record

	started time.Time
	before  kube.Requests

	mu       sync.Mutex
	gating   time.Duration
	health   []ObjectHealth
	revision int
}

// newRun makes a run of a plan of its own: what becomes of the changes is not written
// into the caller's.
func newRun(c *Cluster, env *schema.Environment, plan *Plan, opts ApplyOptions) *run {
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Minute
	}
	if opts.LockDuration == 0 {
		opts.LockDuration = lock.DefaultDuration
	}
	if opts.Concurrency == 0 {
		opts.Concurrency = 32
	}
	return &run{
		c: c, env: env, plan: plan.copied(), opts: opts,
		signer:  c.signerOf(env, plan),
		journal: newJournal(opts.On),
		slots:   make(chan struct{}, opts.Concurrency),
		me:      lock.ThisProcess(opts.Who),
		started: time.Now(),
		before:  c.Requests(),
	}
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
	if err := r.foundations(ctx); err != nil {
		return err
	}
	if err := r.units(ctx); err != nil {
		return err
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
		if change.Kind == "Namespace" && change.Name == r.env.Namespace {
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
			r.journal.tell(Event{Phase: PhaseLock, Message: "waiting for the lock, held by " + other.By()})
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

// isLocked refuses to run beside another run.
func isLocked(other *lock.Held, env *schema.Environment) *Refused {
	return &Refused{
		Reason: other.Error(),
		Hints: []string{
			"wait until it has ended, or give --lock-timeout",
			fmt.Sprintf("if nobody runs it any more: kubectl delete lease -n %s %s", env.Namespace, schema.ParentName(env.Name)),
		},
		Guard: GuardLock,
	}
}

// going refuses to write to an environment whose Namespace is being deleted.
func going(why string) *Refused {
	return &Refused{Reason: why, Hints: []string{"apply again when it is gone"}}
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
	if err := r.signer.ensure(ctx); err != nil {
		return err
	}
	s := scopeOf(r.env)
	maps.Copy(s, r.plan.places)
	annotations, err := r.scopeAnnotations(ctx, s)
	if err != nil {
		return err
	}
	annotations[annotationRun] = r.me.Run
	if r.opts.Release || r.opts.Hold != "" {
		annotations[annotationHold] = r.opts.Hold
	}
	r.journal.tell(Event{Phase: PhaseWiden})
	ctx, cancel := r.request(ctx)
	defer cancel()
	if err := r.keepState(ctx); err != nil {
		return err
	}
	return r.parent.write(ctx, annotations)
}

// keepState stores the key of keyed hashes and the receipts of the plan, where
// they are new. With the key, which the first apply makes, the values of Secrets
// enter the digest.
func (r *run) keepState(ctx context.Context) error {
	unsigned := r.plan.state.signature == "" && r.signer.hasKey()
	if !r.plan.state.changed() && !unsigned {
		return nil
	}
	if err := r.c.saveState(ctx, r.plan.state, r.env, r.signer); err != nil {
		return err
	}
	rendered, err := mask.Digest(r.env, r.plan.state.key)
	r.plan.Rendered = rendered
	return err
}

// record writes the revision and narrows the parent to what is there now. The
// parent comes last: it names the revision, and a run that was killed between
// the two finds that the environment was not recorded yet.
func (r *run) record(ctx context.Context) error {
	if err := r.mayWrite(ctx); err != nil {
		return err
	}
	if !r.pending {
		return r.keepState(ctx)
	}
	ctx = context.WithoutCancel(ctx) // all is applied: a revision makes it a success
	r.plan.state.members = r.members()
	r.plan.state.marked = r.marked()
	if err := r.keepState(ctx); err != nil {
		return err
	}
	revision, err := r.newRevision(ctx)
	if err != nil {
		return err
	}
	if revision, err = r.c.record(ctx, revision, r.signer); err != nil {
		return err
	}
	r.revision = revision.Number
	r.journal.tell(Event{Phase: PhaseRecord, Message: revision.String()})
	if err := r.lock.Check(); err != nil {
		return err
	}
	if err := r.narrow(ctx, revision); err != nil {
		return err
	}
	return r.forgetFormer(ctx)
}

// members are the objects that the environment has now: those that it renders,
// and where only some units were applied or pruned, those that were there.
func (r *run) members() []schema.Ref {
	deleted := map[schema.ID]bool{}
	for _, change := range r.changes(Deleted) {
		if r.journal.has(change.Ref) {
			deleted[change.ID()] = true
		}
	}
	var members []schema.Ref
	seen := map[schema.ID]bool{}
	add := func(ref schema.Ref) {
		if !seen[ref.ID()] && !deleted[ref.ID()] {
			seen[ref.ID()] = true
			members = append(members, ref)
		}
	}
	for _, o := range r.env.Objects() {
		add(schema.RefOf(o.Unstructured))
	}
	if len(r.opts.Units) > 0 || r.opts.NoPrune {
		for _, ref := range r.plan.state.members {
			add(ref)
		}
	}
	return members
}

// marked are the fields of members whose values are not shown.
func (r *run) marked() []markedObject {
	marks := mask.Marks(r.env)
	for _, m := range r.plan.state.marked {
		if len(r.opts.Units) > 0 || r.opts.NoPrune {
			marks[m.ref.ID()] = mask.Merge(marks[m.ref.ID()], m.marks)
		}
	}
	var all []markedObject
	for _, ref := range r.plan.state.members {
		if m := marks[ref.ID()]; len(m) > 0 {
			all = append(all, markedObject{ref, m})
		}
	}
	slices.SortFunc(all, func(a, b markedObject) int { return strings.Compare(a.ref.String(), b.ref.String()) })
	return all
}

// isPending reports whether there is anything to write and record: changes, or a
// former run that ended before it could record.
func (r *run) isPending() bool {
	return len(r.writing())+len(r.pruning()) > 0 || len(r.opts.Units) == 0 && r.plan.former != nil ||
		r.opts.Hold != "" || r.opts.Release && r.parent.annotation(annotationHold) != "" ||
		len(r.opts.Units) == 0 && r.parent.annotation(annotationRendered) != r.plan.Rendered ||
		!scopeOf(r.env).within(r.parent) ||
		r.parent.annotation(annotationUnconfirmed) != "" && r.parent.annotation(annotationUnconfirmed) != r.plan.unconfirmed.places()
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

// changes are the changes of the plan with one of the actions. The plan was made
// for the units of the run; of others it has the environment's Namespace, where
// that is not there.
func (r *run) changes(actions ...Action) []*Change {
	var out []*Change
	for i := range r.plan.Changes {
		if change := &r.plan.Changes[i]; slices.Contains(actions, change.Action) {
			out = append(out, change)
		}
	}
	return out
}

// selected reports whether the run is about a unit.
func (r *run) selected(unit string) bool {
	return len(r.opts.Units) == 0 || slices.Contains(r.opts.Units, unit)
}
