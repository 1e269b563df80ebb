package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// gate waits until every object of a unit is healthy.
type gate func(ctx context.Context, unit *schema.Unit) error

// openGate starts what watches the health of the run's objects. All units share
// the watches, and they end when the gate is closed.
func (r *run) openGate(ctx context.Context) (gate, func()) {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	watcher := r.c.watcher(watching, r.env)
	return func(ctx context.Context, unit *schema.Unit) error {
		timeout := unit.Timeout
		if timeout == 0 {
			timeout = r.opts.Timeout
		}
		started := time.Now()
		updates, err := watcher.Wait(ctx, r.targets(unit), timeout, func(u health.Update) {
			r.journal.tell(Event{Phase: PhaseGate, Unit: unit.Name, ObjectRef: healthRef(u), State: u.State, Message: u.Message})
		})
		r.judged(updates, time.Since(started))
		return err
	}, stop
}

// watcher watches the members of an environment's ApplySet.
func (c *Cluster) watcher(ctx context.Context, env *schema.Environment) *health.Watcher {
	selector := schema.LabelPartOf + "=" + schema.ApplySetID(env.Name, env.Namespace)
	return health.NewWatcher(ctx, c.Dynamic, c.Mapper, selector, health.Options{Logs: c.logs})
}

// targets are the objects of a unit as they stand after its writes.
func (r *run) targets(unit *schema.Unit) []health.Target {
	targets := targetsOf(unit)
	for i := range targets {
		ref := healthRef(health.Update{Target: targets[i]})
		if live := r.journal.written(ref); live != nil {
			targets[i].MinGeneration, targets[i].UID = live.GetGeneration(), live.GetUID()
		} else {
			targets[i].MinGeneration = r.plan.generations[ref]
		}
	}
	return targets
}

func targetsOf(unit *schema.Unit) []health.Target {
	targets := make([]health.Target, len(unit.Objects))
	for i, o := range unit.Objects {
		targets[i] = health.Target{
			Unit: unit.Name, GVK: o.GroupVersionKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Ready: o.Ready,
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
		r.health = append(r.health, ObjectHealth{Unit: u.Unit, ObjectRef: healthRef(u), Result: u.Result})
	}
}

func healthRef(u health.Update) ObjectRef {
	return ObjectRef{APIVersion: u.GVK.GroupVersion().String(), Kind: u.GVK.Kind, Namespace: u.Namespace, Name: u.Name}
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
	Name    string         `json:"name"`
	State   health.State   `json:"state"`
	Objects []ObjectHealth `json:"objects"`
}

// StatusOptions bend a status.
type StatusOptions struct {
	Units []string
	// Timeout is how long to wait for health; zero means to look once, for as
	// long as it takes to see each object.
	Timeout time.Duration
	// On is called at every change of an object's state.
	On func(Event)
}

// Status judges the objects of an environment by the same rules as the gate of
// Apply, and writes nothing.
func (c *Cluster) Status(ctx context.Context, env *schema.Environment, opts StatusOptions) (*Status, error) {
	timeout := opts.Timeout
	if timeout == 0 {
		timeout = statusGrace
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watcher := c.watcher(ctx, env)
	r := newRun(c, env, &Plan{}, ApplyOptions{Units: opts.Units, On: opts.On})
	var targets []health.Target
	for i := range env.Units {
		if r.selected(env.Units[i].Name) {
			targets = append(targets, targetsOf(&env.Units[i])...)
		}
	}
	updates, err := watcher.Wait(ctx, targets, timeout, func(u health.Update) {
		r.journal.tell(Event{Phase: PhaseGate, Unit: u.Unit, ObjectRef: healthRef(u), State: u.State, Message: u.Message})
	})
	var unhealthy *health.NotHealthy
	if err != nil && !errors.As(err, &unhealthy) {
		return nil, fmt.Errorf("health of environment %s: %w", env.Name, err)
	}
	return statusOf(env, updates), nil
}

// statusGrace is how long a status looks at objects that are on their way: the
// first answer of every watch must be in, and a failure must last to count.
const statusGrace = 5 * time.Second

// statusOf groups judgements by unit, in the order of the environment.
func statusOf(env *schema.Environment, updates []health.Update) *Status {
	s := &Status{Environment: env.Name, Healthy: true}
	for _, u := range updates {
		if n := len(s.Units); n == 0 || s.Units[n-1].Name != u.Unit {
			s.Units = append(s.Units, UnitStatus{Name: u.Unit, State: health.Healthy})
		}
		unit := &s.Units[len(s.Units)-1]
		unit.Objects = append(unit.Objects, ObjectHealth{Unit: u.Unit, ObjectRef: healthRef(u), Result: u.Result})
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
