package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// gate waits until every object of a unit is healthy.
type gate func(ctx context.Context, unit *schema.Unit) error

// openGate starts what watches the health of the run's objects. All units share
// the watches, and they end when the gate is closed. A run that has lost its lock
// can write no more: its gate ends.
func (r *run) openGate(ctx context.Context) (gate, func()) {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	watcher := r.c.watcher(watching, r.env, r.opts.FailAfter)
	return func(ctx context.Context, unit *schema.Unit) error {
		timeout := unit.Timeout
		if timeout == 0 {
			timeout = r.opts.Timeout
		}
		ctx, stop := r.lock.During(ctx)
		defer stop()
		started := time.Now()
		updates, err := watcher.Wait(ctx, r.targets(unit), timeout, func(u health.Update) {
			r.journal.tell(gateEvent(u))
		})
		r.judged(updates, time.Since(started))
		r.noteFinished(unit, updates)
		return err
	}, stop
}

// watcher watches the members of an environment's ApplySet. With a failAfter of
// zero a condition that names an error is waited for.
func (c *Cluster) watcher(ctx context.Context, env *schema.Environment, failAfter time.Duration) *health.Watcher {
	c.known.Learn(env)
	selector := schema.LabelPartOf + "=" + schema.ApplySetID(env.Name, env.Namespace)
	return health.NewWatcher(ctx, c.Dynamic, c.Mapper, selector, health.Options{Logs: c.logs, Hide: c.known.Text, Lasting: cmp.Or(failAfter, -1)})
}

// targets are the objects of a unit as they stand after its writes.
func (r *run) targets(unit *schema.Unit) []health.Target {
	r.mu.Lock()
	defer r.mu.Unlock()
	targets := make([]health.Target, len(unit.Objects))
	for i, o := range unit.Objects {
		ref := schema.RefOf(o.Unstructured)
		targets[i] = health.Target{Unit: unit.Name, GVK: o.GroupVersionKind(), Namespace: ref.Namespace, Name: ref.Name, Ready: o.Ready}
		if live := r.journal.written(ref); live != nil {
			targets[i].MinGeneration, targets[i].UID = live.GetGeneration(), live.GetUID()
		} else {
			targets[i].MinGeneration = r.plan.generations[ref]
			targets[i].Done = r.plan.state.hasFinished(o.Unstructured)
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

func healthRef(u health.Update) schema.Ref {
	return schema.Ref{APIVersion: u.GVK.GroupVersion().String(), Kind: u.GVK.Kind, Namespace: u.Namespace, Name: u.Name}
}

// Status is the health of an environment: whether all of its objects are
// healthy, and which of them are not.
type Status struct {
	Environment string       `json:"environment"`
	Healthy     bool         `json:"healthy"`
	Units       []UnitStatus `json:"units"`
}

// UnitStatus is the health of one unit: its worst object's.
type UnitStatus struct {
	Name  string       `json:"name"`
	State health.State `json:"state"`
	// Paused says that `rollout pause` stopped its rollout, Scaled that `scale`
	// set its replicas for a while.
	Paused  *Paused        `json:"paused,omitempty"`
	Scaled  *Scaled        `json:"scaled,omitempty"`
	Objects []ObjectHealth `json:"objects"`
}

// StatusOptions bend a status.
type StatusOptions struct {
	Units []string
	// Timeout is how long to wait for health; zero means to look once.
	Timeout time.Duration
	// On is called at every change of an object's state, while waiting.
	On func(Event)
}

// Status judges the objects of an environment by the same rules as the gate of
// Apply, and writes nothing. A cluster that env is not pinned to is *Refused.
func (c *Cluster) Status(ctx context.Context, env *schema.Environment, opts StatusOptions) (*Status, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if _, err := c.identityOf(ctx, env); err != nil {
		return nil, err
	}
	parent, err := c.notedParent(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("health of environment %s: %w", env.Name, err)
	}
	watcher, targets, on, err := c.observe(ctx, env, opts)
	if err != nil {
		return nil, err
	}
	if opts.Timeout == 0 {
		updates, err := watcher.Snapshot(ctx, targets)
		if err != nil {
			return nil, fmt.Errorf("health of environment %s: %w", env.Name, err)
		}
		return statusOf(env, updates, parent), nil
	}
	updates, err := watcher.Wait(ctx, targets, opts.Timeout, on)
	var unhealthy *health.NotHealthy
	if err != nil && !errors.As(err, &unhealthy) {
		return nil, fmt.Errorf("health of environment %s: %w", env.Name, err)
	}
	return statusOf(env, updates, parent), nil
}

// WatchStatus calls opts.On with the state of every object, and at every change
// of one, until ctx ends, and returns its cause.
func (c *Cluster) WatchStatus(ctx context.Context, env *schema.Environment, opts StatusOptions) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	if _, err := c.identityOf(ctx, env); err != nil {
		return err
	}
	watcher, targets, on, err := c.observe(watching, env, opts)
	if err != nil {
		return err
	}
	return watcher.Watch(ctx, targets, on)
}

// observe prepares to look at the selected objects without writing.
func (c *Cluster) observe(ctx context.Context, env *schema.Environment, opts StatusOptions) (*health.Watcher, []health.Target, func(health.Update), error) {
	state, err := c.finishedIn(ctx, env)
	if err != nil {
		return nil, nil, nil, err
	}
	r := newRun(c, env, &Plan{state: state}, ApplyOptions{Units: opts.Units, On: opts.On})
	var targets []health.Target
	for i := range env.Units {
		if r.selected(env.Units[i].Name) {
			targets = append(targets, r.targets(&env.Units[i])...)
		}
	}
	return c.watcher(ctx, env, statusFailAfter), targets, func(u health.Update) { r.journal.tell(gateEvent(u)) }, nil
}

// statusFailAfter is how long a condition has named an error when status calls it
// a failure.
const statusFailAfter = time.Minute

// gateEvent is what a change of an object's health looks like in the journal.
func gateEvent(u health.Update) Event {
	return Event{Phase: PhaseGate, Unit: u.Unit, Ref: healthRef(u), State: u.State, Message: u.Message, Ready: u.Ready, Desired: u.Desired, Wrote: u.Wrote}
}

// objectHealth is a judgement as reports have it.
func objectHealth(u health.Update) ObjectHealth {
	return ObjectHealth{Unit: u.Unit, Ref: healthRef(u), Result: u.Result, Ready: u.Ready, Desired: u.Desired}
}

// statusOf groups judgements by unit, in the order of the environment, and adds
// what is noted on the parent.
func statusOf(env *schema.Environment, updates []health.Update, parent *unstructured.Unstructured) *Status {
	paused, scaled := notesIn[Paused](parent, annotationPaused), scaledIn(parent, time.Now())
	s := &Status{Environment: env.Name, Healthy: true}
	for _, u := range updates {
		if n := len(s.Units); n == 0 || s.Units[n-1].Name != u.Unit {
			unit := UnitStatus{Name: u.Unit, State: health.Healthy}
			if p, ok := paused[u.Unit]; ok {
				unit.Paused = &p
			}
			if s, ok := scaled[u.Unit]; ok {
				unit.Scaled = &s
			}
			s.Units = append(s.Units, unit)
		}
		unit := &s.Units[len(s.Units)-1]
		o := objectHealth(u)
		o.Wrote = u.Wrote
		unit.Objects = append(unit.Objects, o)
		if severity(u.State) > severity(unit.State) {
			unit.State = u.State
		}
		s.Healthy = s.Healthy && u.State == health.Healthy
	}
	return s
}

// severity orders states from good to bad.
func severity(s health.State) int {
	switch s {
	case health.Healthy:
		return 0
	case health.Progressing:
		return 1
	case health.Unknown:
		return 2
	}
	return 3
}

// noteFinished keeps for later plans which Jobs of a unit succeeded. The updates
// are those of its objects, in their order.
func (r *run) noteFinished(unit *schema.Unit, updates []health.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, u := range updates {
		if job := unit.Objects[i].Unstructured; u.State == health.Healthy && u.Rule == health.RuleJobComplete && expires(job) {
			r.plan.state.finish(job)
		}
	}
}
