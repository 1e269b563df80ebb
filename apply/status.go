package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

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
	UnitNotes
	Objects []ObjectHealth `json:"objects"`
}

// UnitNotes are what somebody, or a canary, does to a unit past git.
type UnitNotes struct {
	// Paused says that `rollout pause` stopped its rollout, Scaled that `scale`
	// set its replicas for a while.
	Paused *record.Paused `json:"paused,omitempty"`
	Scaled *record.Scaled `json:"scaled,omitempty"`
	// Canary is how far its canary is.
	Canary *CanaryNote `json:"canary,omitempty"`
}

// StatusOptions adjust a status.
type StatusOptions struct {
	Units []string
	// Timeout is how long to wait for health; zero means to look once.
	Timeout time.Duration
	// On is called at every change of an object's state, while waiting.
	On func(Event)
	// Silent is called by WatchStatus when the API server no longer answers, and with
	// nil when it does again.
	Silent func(error)
	// Noted is called by WatchStatus before it looks at objects, and when it changes,
	// with what it looks at, which has the canary that runs, and the notes by unit.
	Noted func(env *schema.Environment, notes map[string]UnitNotes)
}

// Status judges the objects of an environment by the same rules as the gate of
// Apply, and writes nothing. A cluster that env is not pinned to is *Refused.
func (c *Cluster) Status(ctx context.Context, env *schema.Environment, opts StatusOptions) (*Status, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if _, err := c.IdentityOf(ctx, env); err != nil {
		return nil, err
	}
	parent, err := c.NotedParent(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("health of environment %s: %w", env.Name, err)
	}
	if env, err = c.composed(ctx, env, parent); err != nil {
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
// of one, until ctx ends, and returns its cause. A canary that begins or ends is
// followed: its objects are looked at for as long as it runs.
func (c *Cluster) WatchStatus(ctx context.Context, env *schema.Environment, opts StatusOptions) error {
	if _, err := c.IdentityOf(ctx, env); err != nil {
		return err
	}
	notes, err := c.FollowNotes(ctx, env)
	if err != nil {
		return fmt.Errorf("health of environment %s: %w", env.Name, err)
	}
	for {
		err := c.watchComposed(ctx, env, notes, opts)
		if !errors.Is(err, errComposed) {
			return err
		}
	}
}

// errComposed ends a watch whose objects are no longer those of the environment.
var errComposed = errors.New("a canary has begun or ended")

// watchComposed watches an environment for as long as its canary neither begins nor
// ends, which is errComposed.
func (c *Cluster) watchComposed(ctx context.Context, env *schema.Environment, notes *record.FollowedNotes, opts StatusOptions) error {
	parent := notes.Last()
	composed, err := c.composed(ctx, env, parent)
	if err != nil {
		return fmt.Errorf("health of environment %s: %w", env.Name, err)
	}
	watching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if opts.Noted != nil {
		opts.Noted(composed, notesOf(env, parent))
	}
	var noting sync.WaitGroup
	defer noting.Wait()
	defer stop(nil)
	noting.Go(func() {
		for notes.Changed(watching) {
			parent := notes.Last()
			now, err := c.composed(watching, env, parent)
			if err == nil && !sameObjects(now, composed) {
				stop(errComposed)
				return
			}
			if opts.Noted != nil && watching.Err() == nil {
				opts.Noted(composed, notesOf(env, parent))
			}
		}
	})
	watcher, targets, on, err := c.observe(watching, composed, opts)
	if err == nil {
		err = watcher.Watch(watching, targets, on)
	}
	if errors.Is(context.Cause(watching), errComposed) {
		return errComposed
	}
	return err
}

// sameObjects reports whether two environments have the same objects by name.
func sameObjects(a, b *schema.Environment) bool {
	refs := func(env *schema.Environment) []schema.Ref {
		var all []schema.Ref
		for _, o := range env.Objects() {
			all = append(all, schema.RefOf(o.Unstructured))
		}
		return all
	}
	return a == b || slices.Equal(refs(a), refs(b))
}

// notesOf are the notes of an environment's parent, by unit.
func notesOf(env *schema.Environment, parent *unstructured.Unstructured) map[string]UnitNotes {
	all := map[string]UnitNotes{}
	paused, scaled, canaries := record.NotesIn[record.Paused](parent, record.AnnotationPaused), record.ScaledIn(parent, time.Now()), record.NotesIn[CanaryNote](parent, record.AnnotationCanary)
	for i := range env.Units {
		name := env.Units[i].Name
		var n UnitNotes
		if p, ok := paused[name]; ok {
			n.Paused = &p
		}
		if s, ok := scaled[name]; ok {
			n.Scaled = &s
		}
		if c, ok := canaries[name]; ok {
			n.Canary = &c
		}
		if n != (UnitNotes{}) {
			all[name] = n
		}
	}
	return all
}

// observe prepares to look at the selected objects without writing.
func (c *Cluster) observe(ctx context.Context, env *schema.Environment, opts StatusOptions) (*health.Watcher, []health.Target, func(health.Update), error) {
	state, err := c.FinishedIn(ctx, env)
	if err != nil {
		return nil, nil, nil, err
	}
	var targets []health.Target
	for i := range env.Units {
		if among(opts.Units, env.Units[i].Name) {
			targets = append(targets, targetsOf(&env.Units[i], state)...)
		}
	}
	j := newJournal(opts.On)
	return c.watcher(ctx, env, health.DefaultLasting, opts.Silent), targets, func(u health.Update) { j.tell(gateEvent(u)) }, nil
}

// statusOf groups judgements by unit, in the order of the environment, and adds
// what is noted on the parent.
func statusOf(env *schema.Environment, updates []health.Update, parent *unstructured.Unstructured) *Status {
	notes := notesOf(env, parent)
	s := &Status{Environment: env.Name, Healthy: true}
	for _, u := range updates {
		if n := len(s.Units); n == 0 || s.Units[n-1].Name != u.Unit {
			s.Units = append(s.Units, UnitStatus{Name: u.Unit, State: health.Healthy, UnitNotes: notes[u.Unit]})
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

// ObjectHealth is the judgement of one object of a unit.
type ObjectHealth struct {
	Unit string `json:"unit"`
	schema.Ref
	health.Result
	// Ready and Desired count the pods of a workload; Desired is zero for other
	// kinds.
	Ready   int `json:"ready,omitempty"`
	Desired int `json:"desired,omitempty"`
	// Wrote is who wrote the object last, and when: of a status alone.
	Wrote *health.Write `json:"wrote,omitempty"`
}

// objectHealth is a judgement as reports have it.
func objectHealth(u health.Update) ObjectHealth {
	return ObjectHealth{Unit: u.Unit, Ref: healthRef(u), Result: u.Result, Ready: u.Ready, Desired: u.Desired}
}

func healthRef(u health.Update) schema.Ref {
	return schema.Ref{APIVersion: u.GVK.GroupVersion().String(), Kind: u.GVK.Kind, Namespace: u.Namespace, Name: u.Name}
}

// gateEvent is what a change of an object's health looks like in the journal.
func gateEvent(u health.Update) Event {
	return Event{Phase: PhaseGate, Unit: u.Unit, Ref: healthRef(u), State: u.State, Rule: u.Rule, Message: u.Message, Ready: u.Ready, Desired: u.Desired, Wrote: u.Wrote}
}

// watcher watches the members of an environment's ApplySet. With a failAfter of
// zero a condition that names an error is waited for.
func (c *Cluster) watcher(ctx context.Context, env *schema.Environment, failAfter time.Duration, silent func(error)) *health.Watcher {
	c.known.Learn(env)
	selector := schema.LabelPartOf + "=" + schema.ApplySetID(env.Name, env.Namespace)
	names := map[string]bool{}
	for _, o := range env.Objects() {
		names[o.GetName()] = true
	}
	return health.NewWatcher(ctx, c.Dynamic, c.Mapper, selector, health.Options{
		Logs: c.logs, Hide: c.known.Text, Lasting: cmp.Or(failAfter, -1), Silent: silent,
		Named: func(name string) bool { return names[name] }, Most: roomOf(env),
	})
}

// targetsOf are the objects of a unit as a watcher is asked about them. A Job that has
// finished and expired need not be there.
func targetsOf(unit *schema.Unit, state *record.State) []health.Target {
	targets := make([]health.Target, len(unit.Objects))
	for i, o := range unit.Objects {
		targets[i] = health.Target{
			Unit: unit.Name, GVK: o.GroupVersionKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Ready: o.Ready,
			Done: state.HasFinished(o.Unstructured),
		}
	}
	return targets
}
