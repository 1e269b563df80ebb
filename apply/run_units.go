package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// foundations writes the Namespaces and the CustomResourceDefinitions of all
// units, and waits until the definitions are served: objects of any unit may
// stand on them, and no unit need name another one for that.
func (r *run) foundations(ctx context.Context) error {
	var namespaces, definitions []*Change
	for _, change := range r.writing() {
		switch change.wave() {
		case kinds.WaveNamespace:
			namespaces = append(namespaces, change)
		case kinds.WaveDefinition:
			definitions = append(definitions, change)
		}
	}
	if err := r.writeAll(ctx, namespaces); err != nil {
		return err
	}
	if err := r.writeAll(ctx, definitions); err != nil {
		return err
	}
	if len(definitions) == 0 {
		return nil
	}
	for _, change := range definitions {
		if err := r.established(ctx, change); err != nil {
			return err
		}
	}
	r.c.Mapper.Reset()
	return nil
}

// established waits until a CustomResourceDefinition is served.
func (r *run) established(ctx context.Context, change *Change) error {
	deadline := time.Now().Add(r.opts.Timeout)
	for {
		live, err := r.get(ctx, change)
		if err != nil {
			return fmt.Errorf("%s: %w", change.Ref, err)
		}
		if status, _ := health.Condition(live, "Established"); status == "True" {
			return nil
		}
		if status, why := health.Condition(live, "NamesAccepted"); status == "False" {
			return fmt.Errorf("%s: its names are not accepted: %s", change.Ref, why)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not served after %s", change.Ref, r.opts.Timeout)
		}
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// units writes and gates unit by unit. A unit starts when all that it stands
// behind are healthy; those that do not depend on each other run side by side,
// and go on when one of them fails. What stands behind a failed unit is left.
func (r *run) units(ctx context.Context) error {
	gate, closeGate := r.openGate(ctx)
	defer closeGate()
	checked := r.newCanaryGate(ctx)
	gate = checked.over(gate)

	type outcome struct {
		done chan struct{}
		err  error
	}
	outcomes := map[string]*outcome{}
	for _, u := range r.env.Units {
		if r.selected(u.Name) {
			outcomes[u.Name] = &outcome{done: make(chan struct{})}
		}
	}
	r.servers, _ = serversOf(r.env, r.writing(), r.selected)
	done := func(name string) error {
		<-outcomes[name].done
		return outcomes[name].err
	}
	changes := map[string][]*Change{}
	for _, change := range r.writing() {
		if change.wave() > kinds.WaveDefinition {
			changes[change.Unit] = append(changes[change.Unit], change)
		}
	}
	var wg sync.WaitGroup
	for i := range r.env.Units {
		unit := &r.env.Units[i]
		mine, ok := outcomes[unit.Name]
		if !ok {
			continue
		}
		wg.Go(func() {
			defer close(mine.done)
			for _, name := range behind(r.env, unit) {
				before, ok := outcomes[name]
				if !ok {
					continue
				}
				<-before.done
				if before.err != nil {
					mine.err = errSkipped
					return
				}
			}
			mine.err = contain.Call(func() error { return r.unit(ctx, unit, changes[unit.Name], gate, done) })
		})
	}
	wg.Wait()
	errs := []error{checked.end(r)}
	for _, u := range r.env.Units {
		if o, ok := outcomes[u.Name]; ok && o.err != nil && !errors.Is(o.err, errSkipped) {
			errs = append(errs, fmt.Errorf("unit %s: %w", u.Name, o.err))
		}
	}
	return errors.Join(errs...)
}

// errSkipped is the outcome of a unit whose foundation failed: the report shows
// it as not done, the error is the other unit's.
var errSkipped = errors.New("a unit that it stands on failed")

// behind are the units that one stands behind. All stand on the unit that every
// environment has.
func behind(env *schema.Environment, unit *schema.Unit) []string {
	if unit.Name == schema.UnitEnvironment || slices.Contains(unit.After, schema.UnitEnvironment) {
		return unit.After
	}
	if first := env.Unit(schema.UnitEnvironment); first == nil || slices.Contains(first.After, unit.Name) {
		return unit.After
	}
	return append([]string{schema.UnitEnvironment}, unit.After...)
}

// unit writes one unit, stage by stage and wave by wave, and waits until it is
// healthy. What comes in a later stage stands on the health of those before it, also
// where nobody waits for the last.
func (r *run) unit(ctx context.Context, unit *schema.Unit, changes []*Change, gate gateFunc, done func(unit string) error) error {
	for _, stage := range stages(unit, changes) {
		if later(unit, stage) {
			if err := gate(ctx, upTo(unit, stage[0])); err != nil {
				return err
			}
			r.unjudged(unit.Name)
		}
		for _, wave := range waves(stage) {
			if err := r.free(ctx, wave); err != nil {
				return err
			}
			if err := r.awaitServers(ctx, unit, wave, gate, done); err != nil {
				return err
			}
			if err := r.writeAll(ctx, wave); err != nil {
				return err
			}
		}
	}
	if r.opts.NoWait {
		return nil
	}
	return gate(ctx, unit)
}
