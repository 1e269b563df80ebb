package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply/canary"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/lock"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// ApplyOptions adjust an apply. The zero value applies the whole environment,
// waits for health, prunes, and refuses what is doubtful.
type ApplyOptions struct { //nolint:revive // it stands beside PlanOptions and StatusOptions
	// Units limits the run, pruning included, to these units; the plan must
	// have been made for the same ones.
	Units []string
	// Timeout bounds the wait for each unit's health, and for the end of what
	// is pruned, where the unit names no other; zero means ten minutes.
	Timeout time.Duration
	// FailAfter is how long an object may report the same error, by a condition or a
	// word such as Failed, before its unit has failed; zero means until the timeout.
	FailAfter time.Duration
	// LockTimeout is how long to wait for another apply to end; zero means not
	// at all.
	LockTimeout time.Duration
	// LockDuration is how long the lock outlives a run that was killed; zero
	// means 45 seconds. A write may take twice as long while it is renewed.
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
	// Recreate, AllowPrune and DeleteFirst name objects, as Kind/name, as in
	// PlanOptions.
	Recreate    []string
	AllowPrune  []string
	DeleteFirst []string
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
	Git record.GitInfo
	Who string
	// Message says why, in the history.
	Message string
	// DespiteFreeze is the reason to apply new content in a freeze; it is recorded. Back
	// says that the content is that of a revision: a freeze does not keep it.
	DespiteFreeze string
	Back          bool
	// Canary is where the canary of an app stands in the environment that is applied;
	// nil: none runs, and one that did is over. Until its last step nothing is recorded
	// as a revision: what was applied last is what the app goes back to.
	Canary *canary.State
	// Checks looks at the checks of that canary while units are waited for, until ctx ends;
	// nil where nobody does. What it returns ends the wait.
	Checks func(ctx context.Context) error
	// Unconfirmed says that nobody was shown the plan and agreed to it. Where another
	// run changed the environment meanwhile, it is then made again and applied, with
	// all guards; else the run is refused.
	Unconfirmed bool
	// Concurrency bounds the writes in flight; zero means 32.
	Concurrency int
	// On is called, by one goroutine at a time, with everything that happens.
	On func(Event)
}

// run is one apply.
type run struct {
	c       *Cluster
	env     *schema.Environment
	plan    *Plan
	opts    ApplyOptions
	signer  *record.Signer
	journal *journal
	slots   chan struct{} // one for each write in flight

	me      lock.Holder
	lock    *lock.Lock
	parent  *record.Parent
	pending bool // there is something to write and record
	// completes says that a former run has written, and ended before it recorded that.
	completes bool

	started time.Time
	before  kube.Requests

	// servers are, by unit, the other units that answer for its new webhooks.
	servers map[string][]string

	freeing  sync.Mutex // held by the unit that deletes what stands in its way
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
func (r *run) selected(unit string) bool { return among(r.opts.Units, unit) }

// among reports whether a run, a plan or a status that is limited to some units is
// about this one; none means all.
func among(units []string, unit string) bool {
	return len(units) == 0 || slices.Contains(units, unit)
}

// writing are the changes that the run writes.
func (r *run) writing() []*Change {
	return slices.DeleteFunc(r.changes(writeActions()...), func(change *Change) bool { return change.desired == nil })
}

// writeActions are those that an apply sends an apply request for. Foreign
// fields are reported and left where they are.
func writeActions() []Action {
	return []Action{
		Created, Configured, Adopted, Reowned, Recreated, Terminating, Conflict, UnverifiedCreated, UnverifiedChanged,
	}
}

// get reads the live object of a change.
func (r *run) get(ctx context.Context, change *Change) (*unstructured.Unstructured, error) {
	client, err := r.client(ctx, change)
	if err != nil {
		return nil, err
	}
	return client.Get(ctx, change.Name, metav1.GetOptions{})
}

// absent reports whether the object of a change is gone: not there, or another
// one of that name.
func (r *run) absent(ctx context.Context, change *Change) (live *unstructured.Unstructured, gone bool, err error) {
	live, err = r.get(ctx, change)
	if apierrors.IsNotFound(err) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	return live, change.live != nil && live.GetUID() != change.live.GetUID(), nil
}

// each does something for every change side by side, as many at a time as the
// whole run may have in flight, and returns the errors in their order.
func (r *run) each(changes []*Change, do func(*Change) error) []error {
	errs := make([]error, len(changes))
	var wg sync.WaitGroup
	for i, change := range changes {
		wg.Go(func() {
			r.slots <- struct{}{}
			defer func() { <-r.slots }()
			errs[i] = contain.Call(func() error { return do(change) })
		})
	}
	wg.Wait()
	return errs
}

// joined is errors.Join with each text once: a lock that was lost is the same
// error for every object of a wave.
func joined(errs []error) error {
	var out []error
	seen := map[string]bool{}
	for _, err := range errs {
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			out = append(out, err)
		}
	}
	return errors.Join(out...)
}

// mayWrite reports why no write may start: the run was told to stop, or its lock
// may no longer be its own. Before the lock is taken only the environment's
// Namespace is written.
func (r *run) mayWrite(ctx context.Context) error {
	if err := r.ended(ctx); err != nil {
		return err
	}
	if r.lock == nil {
		return nil
	}
	return r.lock.Check()
}

func (r *run) ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// writesLong is how many durations of its lock one write may take: the lock is
// renewed meanwhile.
const writesLong = 2

// request is the context of one write: it goes on for a while when the run is told
// to stop, so that the report knows what was done, and ends when the lock is not
// renewed, before that could end.
func (r *run) request(ctx context.Context) (context.Context, context.CancelFunc) {
	one, cancel := context.WithTimeout(context.WithoutCancel(ctx), writesLong*r.opts.LockDuration)
	heard := context.AfterFunc(ctx, func() {
		select {
		case <-one.Done():
		case <-time.After(r.opts.LockDuration / 3):
			cancel()
		}
	})
	ended := func() {}
	if r.lock != nil {
		one, ended = r.lock.During(one)
	}
	return one, func() {
		heard()
		ended()
		cancel()
	}
}

// unanswered says of a write that was given up why it was.
func (r *run) unanswered(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if r.lock != nil {
		if lost := r.lock.Check(); lost != nil {
			return lost
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the API server did not answer within %s: %w", writesLong*r.opts.LockDuration, context.DeadlineExceeded)
	}
	return err
}

// mapping is the resource of a change's object.
func (r *run) mapping(ctx context.Context, change *Change) (*meta.RESTMapping, error) {
	return r.c.Mapping(ctx, change.GVK())
}

// client is the dynamic client for the object of a change.
func (r *run) client(ctx context.Context, change *Change) (dynamic.ResourceInterface, error) {
	mapping, err := r.mapping(ctx, change)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return r.c.Dynamic.Resource(mapping.Resource).Namespace(change.Namespace), nil
	}
	return r.c.Dynamic.Resource(mapping.Resource), nil
}
