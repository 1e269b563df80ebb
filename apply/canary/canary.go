// Package canary says what an environment is while the new version of an app is
// tried: the app as it was applied last, and beside it a few pods of the new one. It
// is pure: what git says, what was applied last and where the canary stands go in, the
// environment to apply comes out. It knows no cluster; package apply walks from step
// to step with it.
//
// The canary is a Deployment of its own, named NAME-canary. Its pods have the labels
// of the app's pods, so the Service of the app leads to them, and one more, which its
// own selector asks for. The selector of the app's Deployment matches these pods too:
// it cannot be changed on a Deployment that runs. Nothing comes of that, because a
// Deployment owns its ReplicaSets, and these their pods, by ownerReference; what goes
// by selectors alone counts the pods of both (a PodDisruptionBudget, as it should; an
// autoscaler, which sees more pods, and so asks for rather more than for too few).
//
// Where routes share out requests by weights, its pods are not behind the Service of the
// app, but behind one of their own: see weigh.go.
//
// ConfigMaps and Secrets that differ between the two versions have copies for the
// canary, NAME-canary too. All else of the unit stays as it was until the last step,
// which applies the unit as git says; then the canary is no longer desired, and is
// pruned as any other object.
//
// One canary runs at a time: the apps take their turns in the order of the units. So
// what is applied is always the recorded revision, and one app that differs from it.
package canary

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

const (
	// Label stands on the pods of a canary, and in its selector.
	Label = "evenkeel.dev/canary"
	// suffix is what the objects of a canary are named by.
	suffix = "-canary"
)

// State is where a canary stands. The cluster keeps it.
type State struct {
	App     string `json:"app"`
	Version string `json:"version"` // see Version
	// Step counts from zero. Replicas are those that the app had when it began.
	Step     int `json:"step"`
	Replicas int `json:"replicas"`
	// Last says that the steps are over, and the app itself takes the new version.
	Last  bool      `json:"last,omitempty"`
	Began time.Time `json:"began"`
	By    string    `json:"by,omitempty"`
}

// Next is the state behind a step that went well.
func (s State) Next(steps int) State {
	if s.Step++; s.Step >= steps {
		s.Step, s.Last = steps, true
	}
	return s
}

// Composed is what is to be applied now.
type Composed struct {
	Environment *schema.Environment
	// State is the canary that it holds; nil where it is what git says, and no app is
	// in turn. Begun says that the canary is one that the cluster knows.
	State *State
	Begun bool
	// Unit is the app as git has it.
	Unit *schema.Unit
	was  *schema.Unit
	// Waiting are the apps whose turn comes later.
	Waiting []string
}

// Compose is what git says, desired, where the apps of which a new version is to be
// tried are as base has them, which was applied last; the one whose turn it is has its
// canary, as state says. A state of another version, or of an app that is level, is as
// none: the canary begins. Only units that are selected get their turn.
func Compose(desired, base *schema.Environment, state *State, selected func(unit string) bool) (*Composed, error) {
	out := *desired
	c := &Composed{Environment: &out}
	var turns []string
	for i := range desired.Units {
		u := &desired.Units[i]
		if selected(u.Name) && Needed(u, base.Unit(u.Name)) {
			turns = append(turns, u.Name)
		}
	}
	if len(turns) == 0 {
		return c, nil
	}
	turn := turns[0]
	if state != nil && slices.Contains(turns, state.App) {
		turn = state.App
	}
	c.Waiting = slices.DeleteFunc(turns, func(app string) bool { return app == turn })
	out.Units = slices.Clone(desired.Units)
	for i := range out.Units {
		u := &out.Units[i]
		was := base.Unit(u.Name)
		switch {
		case u.Name == turn:
			if err := c.take(desired.Unit(turn), was, state); err != nil {
				return nil, err
			}
			if !c.State.Last {
				unit, err := beside(was, c.Unit, c.Pods(), c.State.Replicas)
				if err != nil {
					return nil, err
				}
				*u = *unit
			}
		case slices.Contains(c.Waiting, u.Name):
			*u = keeping(was, u)
		}
	}
	if err := distinct(&out); err != nil {
		return nil, err
	}
	return c, nil
}

// take makes the state of the app whose turn it is: the known one, or the beginning.
func (c *Composed) take(unit, was *schema.Unit, state *State) error {
	version, err := Version(unit)
	if err != nil {
		return err
	}
	c.Unit, c.was = unit, was
	if state != nil && state.App == unit.Name && state.Version == version {
		taken := *state
		if steps := len(unit.Canary.Steps); taken.Step >= steps {
			taken.Step, taken.Last = steps, true
		}
		c.State, c.Begun = &taken, true
		return nil
	}
	c.State = &State{App: unit.Name, Version: version, Replicas: replicasOf(was)}
	return nil
}

// Pods is how many pods the canary has in its step.
func (c *Composed) Pods() int {
	step := c.Unit.Canary.Steps[c.State.Step]
	if step.Pods > 0 {
		return step.Pods
	}
	return max(1, (c.State.Replicas*step.Percent+99)/100)
}

// Share is how many of so many requests the routes of the app lead to its canary; zero
// where they lead to its Service, and so to all pods alike.
func (c *Composed) Share() (canary, all int64) {
	for _, o := range changed(c.Unit, c.was) {
		if len(routesOf(c.Unit, c.was, o)) > 0 {
			return weights(c.Unit.Canary.Weight, c.Pods(), c.State.Replicas)
		}
	}
	return 0, 0
}

// Without is what git says, where the app and those that wait are as base has them: a
// canary that was aborted.
func (c *Composed) Without(desired, base *schema.Environment) *schema.Environment {
	out := *desired
	out.Units = slices.Clone(desired.Units)
	for i := range out.Units {
		u := &out.Units[i]
		if was := base.Unit(u.Name); was != nil && (u.Name == c.State.App || slices.Contains(c.Waiting, u.Name)) {
			*u = keeping(was, u)
		}
	}
	return &out
}

// keeping is a unit as it was, with what is not recorded of it.
func keeping(was, now *schema.Unit) schema.Unit {
	unit := *was
	unit.Canary = now.Canary
	return unit
}

// Needed reports whether a unit has a new version to be tried: a Deployment of it has
// another pod template.
func Needed(unit, was *schema.Unit) bool {
	return unit != nil && was != nil && unit.Canary != nil && len(unit.Canary.Steps) > 0 && len(changed(unit, was)) > 0
}

// changed are the Deployments of a unit whose pods are of another version.
func changed(unit, was *schema.Unit) []*schema.Object {
	var out []*schema.Object
	for i := range unit.Objects {
		o := &unit.Objects[i]
		if !isDeployment(o) {
			continue
		}
		old := find(was, o)
		if old != nil && !same(templateOf(o), templateOf(old)) {
			out = append(out, o)
		}
	}
	return out
}

// Version identifies what a unit renders.
func Version(unit *schema.Unit) (string, error) {
	sum := sha256.New()
	out := json.NewEncoder(sum)
	for _, o := range unit.Objects {
		if err := out.Encode(o.Object); err != nil {
			return "", fmt.Errorf("unit %s: %s: %w", unit.Name, schema.RefOf(o.Unstructured), err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

// replicasOf are the pods that the Deployments of a unit ask for; 1 where an
// autoscaler decides, until somebody has looked.
func replicasOf(unit *schema.Unit) int {
	most := 1
	for i := range unit.Objects {
		if o := &unit.Objects[i]; isDeployment(o) {
			if n, ok, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); ok {
				most = max(most, int(min(n, 10000)))
			}
		}
	}
	return most
}

func isDeployment(o *schema.Object) bool {
	return o.GetKind() == "Deployment" && o.GroupVersionKind().Group == "apps"
}

func templateOf(o *schema.Object) map[string]any {
	template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	return template
}

// find is the object of a unit with the name of another one, or nil.
func find(unit *schema.Unit, o *schema.Object) *schema.Object {
	id := schema.IDOf(o.Unstructured)
	for i := range unit.Objects {
		if schema.IDOf(unit.Objects[i].Unstructured) == id {
			return &unit.Objects[i]
		}
	}
	return nil
}

// same compares as JSON: what was read from a record has other types of numbers.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// distinct refuses a canary whose name is taken.
func distinct(env *schema.Environment) error {
	seen := map[schema.ID]string{}
	for unit, o := range env.Objects() {
		id := schema.IDOf(o.Unstructured)
		if other, taken := seen[id]; taken {
			return fmt.Errorf("unit %s: %s, the name of a canary, is taken by unit %s", unit, schema.RefOf(o.Unstructured), other)
		}
		seen[id] = unit
	}
	return nil
}
