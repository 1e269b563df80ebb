package ui

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// board is what is known of one environment. Changes are numbered, so that whoever
// looks on asks for what came after the last one.
type board struct {
	*Environment
	name string

	mu      sync.Mutex
	cluster *apply.Cluster
	units   []*unitBoard
	byName  map[string]*unitBoard
	number  uint64        // of the last change
	head    uint64        // of the last change of what stands above the units
	changed chan struct{} // closed at the next change
	seen    bool          // the cluster has answered
	trouble string        // why nothing new is known; empty while it is
	since   time.Time     // of the trouble
	// unreached says that no watch has begun since the trouble did.
	unreached bool
	planned   *planned
}

// unitBoard is one unit.
type unitBoard struct {
	name    string
	total   int
	objects map[schema.Ref]*apply.ObjectHealth
	order   []schema.Ref
	notes   apply.UnitNotes
	number  uint64 // of its last change
}

func newBoard(env *Environment) *board {
	b := &board{Environment: env, name: env.Desired.Name, byName: map[string]*unitBoard{}, changed: make(chan struct{})}
	for _, u := range env.Desired.Units {
		unit := &unitBoard{name: u.Name, total: len(u.Objects), objects: map[schema.Ref]*apply.ObjectHealth{}, order: refsOf(&u)}
		b.units = append(b.units, unit)
		b.byName[u.Name] = unit
	}
	return b
}

func refsOf(u *schema.Unit) []schema.Ref {
	refs := make([]schema.Ref, len(u.Objects))
	for i, o := range u.Objects {
		refs[i] = schema.RefOf(o.Unstructured)
	}
	return refs
}

// noted takes over which objects the units have, with those of a canary that runs, and
// what is noted of them.
func (b *board) noted(env *schema.Environment, notes map[string]apply.UnitNotes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.number
	for i := range env.Units {
		u := b.byName[env.Units[i].Name]
		if u == nil {
			continue
		}
		order, notes := refsOf(&env.Units[i]), notes[u.name]
		if slices.Equal(order, u.order) && reflect.DeepEqual(notes, u.notes) {
			continue
		}
		u.order, u.total, u.notes = order, len(order), notes
		maps.DeleteFunc(u.objects, func(ref schema.Ref, _ *apply.ObjectHealth) bool { return !slices.Contains(order, ref) })
		b.number = before + 1
		u.number, b.head = b.number, b.number
	}
	if b.number > before {
		b.tell()
	}
}

// How long to wait before a cluster that could not be reached is tried again.
const (
	againLeast = time.Second
	againMost  = 15 * time.Second
)

// run watches until ctx ends. A cluster that goes away is come back to.
func (b *board) run(ctx context.Context) {
	if len(b.Wrong) > 0 {
		return // there is nothing to look for
	}
	wait := againLeast
	for ctx.Err() == nil {
		began := time.Now()
		err := contain.Call(func() error { return b.watch(ctx) })
		if ctx.Err() != nil {
			return
		}
		b.troubled(err, true)
		if time.Since(began) > time.Minute {
			wait = againLeast
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, againMost)
	}
}

func (b *board) watch(ctx context.Context) error {
	cluster, err := b.connected()
	if err != nil {
		return err
	}
	return cluster.WatchStatus(ctx, b.Desired, apply.StatusOptions{On: b.event, Noted: b.noted, Silent: func(err error) { b.troubled(err, false) }})
}

// connected is the connection to the cluster, made on first use.
func (b *board) connected() (*apply.Cluster, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cluster != nil {
		return b.cluster, nil
	}
	cluster, err := b.Connect()
	if err != nil {
		return nil, err
	}
	cluster.Learn(b.Desired)
	b.cluster = cluster
	return cluster, nil
}

// hide takes what must not be seen out of a text of others.
func (b *board) hide(text string) string {
	b.mu.Lock()
	cluster := b.cluster
	b.mu.Unlock()
	if cluster == nil {
		return text
	}
	return cluster.Hide(text)
}

// event notes what a watch says of an object.
func (b *board) event(e apply.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	unit := b.byName[e.Unit]
	if unit == nil || e.State == "" {
		return
	}
	unit.objects[e.Ref] = &apply.ObjectHealth{
		Unit: e.Unit, Ref: e.Ref, Ready: e.Ready, Desired: e.Desired, Wrote: e.Wrote,
		Result: health.Result{State: e.State, Message: e.Message},
	}
	if e.Message != health.NotRead {
		b.seen = true
		if b.unreached {
			b.trouble, b.unreached = "", false
		}
	}
	b.number++
	unit.number, b.head = b.number, b.number
	b.tell()
}

// troubled notes that the cluster does not answer, or with nil that it does again.
// Where no watch began (unreached), the first thing seen says so, too.
func (b *board) troubled(err error, unreached bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unreached = unreached
	if err != nil && b.trouble == "" {
		b.since = time.Now()
	}
	b.trouble = ""
	if err != nil {
		b.trouble = err.Error()
	}
	if refused, ok := errors.AsType[*hint.Refused](err); ok {
		b.trouble = refused.Error()
	}
	b.number++
	b.head = b.number
	b.tell()
}

func (b *board) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// after waits for a change after the one with a number.
func (b *board) after(ctx context.Context, number uint64) error {
	for {
		b.mu.Lock()
		now, changed := b.number, b.changed
		b.mu.Unlock()
		if now > number {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// statuses are the units as `evenkeel status` has them.
func (b *board) statuses() []apply.UnitStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []apply.UnitStatus
	for _, u := range b.units {
		all = append(all, u.status())
	}
	return all
}

// status is a unit with its objects in the order of the environment, those that
// nothing is known of yet left out.
func (u *unitBoard) status() apply.UnitStatus {
	s := apply.UnitStatus{Name: u.name, State: health.Healthy, UnitNotes: u.notes}
	for _, ref := range u.order {
		o := u.objects[ref]
		if o == nil || o.Message == health.NotRead {
			s.State = worse(s.State, "")
			continue
		}
		s.Objects = append(s.Objects, *o)
		s.State = worse(s.State, o.State)
	}
	return s
}

// worse is the worse of two states; none is between healthy and progressing: nothing
// is known yet.
func worse(a, b health.State) health.State {
	order := []health.State{health.Healthy, "", health.Progressing, health.Unknown, health.Failed}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// last is the number of the last change.
func (b *board) last() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.number
}
