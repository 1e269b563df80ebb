package apply

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// A webhook that nobody answers for keeps from being made what it is asked about, the
// pods of its own server among it. So the workloads behind the Service of a new one are
// healthy before it is written: those of its unit, and those of other units that do not
// wait for this one.

// awaitServers waits for what answers for the new webhooks of a wave. done waits for
// another unit to come to its end.
func (r *run) awaitServers(ctx context.Context, unit *schema.Unit, wave []*Change, gate gateFunc, done func(unit string) error) error {
	own := serversIn(r.env, unit, wave)
	if len(own.Objects) > 0 {
		if err := gate(ctx, own); err != nil {
			return err
		}
		r.unjudged(unit.Name)
	}
	for _, name := range r.servers[unit.Name] {
		other := serversIn(r.env, r.env.Unit(name), wave)
		if len(other.Objects) == 0 {
			continue // those of another wave
		}
		if err := done(name); err != nil {
			r.journal.tell(Event{Phase: PhaseWrite, Unit: unit.Name, Message: fmt.Sprintf("%s is not written: unit %s, which answers for it, is not healthy", wave[0].Ref, name)})
			return errSkipped
		}
		if r.opts.NoWait {
			if err := gate(ctx, other); err != nil {
				return err
			}
			r.unjudged(name)
		}
	}
	return nil
}

// serversIn is a unit with nothing but its workloads that answer for new webhooks.
func serversIn(env *schema.Environment, unit *schema.Unit, webhooks []*Change) *schema.Unit {
	servers := *unit
	servers.Objects = slices.DeleteFunc(slices.Clone(unit.Objects), func(o schema.Object) bool {
		return !slices.ContainsFunc(webhooks, func(c *Change) bool { return c.live == nil && answersFor(env, o, c) })
	})
	return &servers
}

// tooEarly is a new webhook whose server is in a unit that waits for that of the
// webhook.
type tooEarly struct {
	webhook, server schema.Ref
	unit            string // of the server
}

// serversOf finds, for each unit with new webhooks, the other units whose workloads
// answer for them, which come first. What would wait for itself then is left out, and
// returned beside them.
func serversOf(env *schema.Environment, changes []*Change, selected func(unit string) bool) (map[string][]string, []tooEarly) {
	waits := map[string][]string{}
	for i := range env.Units {
		waits[env.Units[i].Name] = slices.Clone(behind(env, &env.Units[i]))
	}
	servers := map[string][]string{}
	var left []tooEarly
	for _, c := range changes {
		if c.live != nil || c.desired == nil || c.wave() != kinds.WaveWebhook {
			continue
		}
		for i := range env.Units {
			other := &env.Units[i]
			found := serversIn(env, other, []*Change{c}).Objects
			if other.Name == c.Unit || len(found) == 0 || !selected(other.Name) {
				continue
			}
			switch {
			case waitsFor(waits, c.Unit, other.Name): // already, as for another webhook
			case waitsFor(waits, other.Name, c.Unit):
				left = append(left, tooEarly{webhook: c.Ref, server: schema.RefOf(found[0].Unstructured), unit: other.Name})
				continue
			default:
				waits[c.Unit] = append(waits[c.Unit], other.Name)
			}
			if !slices.Contains(servers[c.Unit], other.Name) {
				servers[c.Unit] = append(servers[c.Unit], other.Name)
			}
		}
	}
	return servers, left
}

// waitsFor reports whether one unit comes after another, by however many between them.
func waitsFor(waits map[string][]string, unit, other string) bool {
	seen := map[string]bool{}
	var reach func(string) bool
	reach = func(name string) bool {
		if seen[name] {
			return false
		}
		seen[name] = true
		return slices.ContainsFunc(waits[name], func(next string) bool { return next == other || reach(next) })
	}
	return reach(unit)
}

// warnOfWebhooks names the webhooks that are written before what answers for them.
func (p *planner) warnOfWebhooks() {
	var changes []*Change
	for i := range p.plan.Changes {
		changes = append(changes, &p.plan.Changes[i])
	}
	_, left := serversOf(p.env, changes, p.selected)
	for _, u := range left {
		if it := p.desired[u.server.ID()]; it == nil || it.change.Action == Unchanged {
			continue // it answers already
		}
		p.warn(fmt.Sprintf("%s is written before %s, which answers for it: unit %s comes after its unit, and until it is healthy what the webhook is asked about is refused; put the webhook into unit %s, or into one that comes after it",
			u.webhook, u.server, u.unit, u.unit))
	}
}

// answersFor reports whether a workload is behind the Service of a webhook.
func answersFor(env *schema.Environment, workload schema.Object, change *Change) bool {
	if kinds.Wave(workload.GroupVersionKind().GroupKind()) != kinds.WaveWorkload || change.wave() != kinds.WaveWebhook {
		return false
	}
	webhooks, _, _ := unstructured.NestedSlice(change.desired.Object, "webhooks")
	for _, item := range webhooks {
		webhook, _ := item.(map[string]any)
		name, _, _ := unstructured.NestedString(webhook, "clientConfig", "service", "name")
		namespace, _, _ := unstructured.NestedString(webhook, "clientConfig", "service", "namespace")
		for _, service := range env.Objects() {
			if service.GetKind() != "Service" || service.GetName() != name || service.GetNamespace() != namespace || workload.GetNamespace() != namespace {
				continue
			}
			selector, _, err := unstructured.NestedStringMap(service.Object, "spec", "selector")
			if err == nil && len(selector) > 0 && hasLabels(workload.Unstructured, selector) {
				return true
			}
		}
	}
	return false
}
