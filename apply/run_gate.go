package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// gateFunc waits until every object of a unit is healthy.
type gateFunc func(ctx context.Context, unit *schema.Unit) error

// openGate starts what watches the health of the run's objects. All units share
// the watches, and they end when the gate is closed. A run that has lost its lock
// can write no more: its gate ends.
func (r *run) openGate(ctx context.Context) (gateFunc, func()) {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	watcher := r.c.watcher(watching, r.env, r.opts.FailAfter, nil)
	return func(ctx context.Context, unit *schema.Unit) error {
		timeout := unit.Timeout
		if timeout == 0 {
			timeout = r.opts.Timeout
		}
		asking := ctx
		ctx, stop := r.lock.During(ctx)
		defer stop()
		started := time.Now()
		updates, err := watcher.Wait(ctx, r.targets(unit), timeout, func(u health.Update) {
			r.journal.tell(gateEvent(u))
		})
		r.judged(updates, time.Since(started))
		r.noteFinished(unit, updates)
		if unhealthy := (*health.NotHealthy)(nil); errors.As(err, &unhealthy) { // others may be waited for still
			r.journal.tell(Event{Phase: PhaseGate, Unit: unit.Name, Message: "not healthy"})
		}
		if ctx.Err() != nil && asking.Err() == nil { // the lock is lost: perhaps with all the rest
			return r.withoutSpace(asking, err, r.env.Namespace)
		}
		return r.withoutSpace(asking, err, spaces(updates)...)
	}, stop
}

// spaces are the namespaces of objects that are not there.
func spaces(updates []health.Update) []string {
	var names []string
	for _, u := range updates {
		if u.Missing() && u.Namespace != "" && !slices.Contains(names, u.Namespace) {
			names = append(names, u.Namespace)
		}
	}
	return names
}

// spaceWait bounds asking why a gate failed: the failure itself is known.
const spaceWait = 10 * time.Second

// withoutSpace adds to the failure of a gate that namespaces are being deleted, or are
// gone.
func (r *run) withoutSpace(ctx context.Context, err error, namespaces ...string) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, spaceWait)
	defer cancel()
	for _, name := range namespaces {
		switch ns, asked := r.c.Dynamic.Resource(kube.Namespaces()).Get(ctx, name, metav1.GetOptions{}); {
		case apierrors.IsNotFound(asked):
			err = fmt.Errorf("%w\n  namespace %s is not there: somebody deleted it", err, name)
		case asked == nil && ns.GetDeletionTimestamp() != nil:
			err = fmt.Errorf("%w\n  %s", err, namespaceGoing(ns))
		}
	}
	return err
}

// targets are the objects of a unit as they stand after its writes.
func (r *run) targets(unit *schema.Unit) []health.Target {
	r.mu.Lock()
	defer r.mu.Unlock()
	targets := targetsOf(unit, r.plan.state)
	for i, o := range unit.Objects {
		ref, target := schema.RefOf(o.Unstructured), &targets[i]
		if live := r.journal.written(ref); live != nil {
			target.MinGeneration, target.UID, target.Done = live.GetGeneration(), live.GetUID(), false
		} else {
			target.MinGeneration = r.plan.generations[ref]
		}
	}
	return targets
}

// judged keeps what a gate saw for the report.
func (r *run) judged(updates []health.Update, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gating += took
	for _, u := range updates {
		r.health = append(r.health, objectHealth(u))
	}
}

// unjudged forgets what a gate saw of a unit, as another one looks at it again.
func (r *run) unjudged(unit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.health = slices.DeleteFunc(r.health, func(h ObjectHealth) bool { return h.Unit == unit })
}

// withFinished stores which Jobs succeeded before a run failed: those whose TTL has
// deleted them do not run again.
func (r *run) withFinished(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	ctx, stop := r.lock.During(ctx)
	defer stop()
	ctx, cancel := r.request(ctx)
	defer cancel()
	if unkept := r.keepState(ctx); unkept != nil {
		return errors.Join(err, unkept)
	}
	return err
}

// noteFinished keeps for later plans which Jobs of a unit succeeded. The updates
// are those of its objects, in their order.
func (r *run) noteFinished(unit *schema.Unit, updates []health.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, u := range updates {
		if job := unit.Objects[i].Unstructured; u.State == health.Healthy && u.Rule == health.RuleJobComplete && record.Expires(job) {
			r.plan.state.Finish(job)
		}
	}
}
