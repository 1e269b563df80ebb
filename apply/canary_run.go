package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-428f4edd/evenkeel/apply/canary"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// CanaryNote is how far the canary of an app is.
type CanaryNote struct {
	Version string `json:"version"`
	Step    int    `json:"step"` // from 1
	Of      int    `json:"of"`
	Pods    int    `json:"pods"`
	// Since is when the pods were healthy and the hold began; Until is when it ends,
	// zero where somebody has to say so.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Resumed says that somebody did.
	Resumed bool   `json:"resumed,omitempty"`
	By      string `json:"by,omitempty"`
	// Checks are how they stand, where somebody has looked; they are not recorded.
	Checks []string `json:"checks,omitempty"`
}

// String is how far it is, for people.
func (n CanaryNote) String() string {
	text := fmt.Sprintf("canary: step %d of %d, %s", n.Step, n.Of, count(n.Pods, "pod"))
	switch {
	case n.Resumed:
		return text + ", may go on"
	case n.Since.IsZero():
		return text + ", coming up"
	case n.Until.IsZero():
		return text + ", waits for somebody since " + n.Since.Format(time.RFC3339)
	}
	return text + ", watched until " + n.Until.Format(time.RFC3339)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// CanaryFailed says that a new version was tried and did not pass. A command exits 3,
// as for what was written and is not healthy.
type CanaryFailed struct {
	App  string
	Step int // from 1
	Why  string
}

// Error has the check with its numbers.
func (f *CanaryFailed) Error() string { return fmt.Sprintf("canary, step %d: %s", f.Step, f.Why) }

// Canaries walks through the canaries of an environment, one apply after the other.
type Canaries struct {
	// Composed is what is to be applied now.
	*canary.Composed

	c       *Cluster
	desired *schema.Environment
	base    *schema.Environment
	last    *record.Revision // that base is of, nil where none is recorded
	opts    ApplyOptions
	key     []byte        // of the digests
	held    string        // the digest of what git says
	running *canary.State // of the cluster, nil: none
	passed  bool          // the hold of the step is over
}

// Canaries reads where the canary of an environment stands, and composes what is to be
// applied now; nil where the apps take their new versions at once. A version that was
// aborted is *Refused.
func (c *Cluster) Canaries(ctx context.Context, env *schema.Environment, opts ApplyOptions) (*Canaries, error) {
	if !hasCanary(env) {
		return nil, nil
	}
	if err := c.renamedMeanwhile(ctx, env); err != nil {
		return nil, err
	}
	k := &Canaries{c: c, desired: env, opts: opts}
	if err := k.look(ctx); err != nil {
		return nil, err
	}
	if k.State == nil {
		return nil, nil
	}
	if r := k.running; r != nil && !k.selected(r.App) {
		return nil, &hint.Refused{
			Reason: fmt.Sprintf("unit %s: the canary of %s runs, and one runs at a time", k.State.App, r.App),
			Hints: []string{
				fmt.Sprintf("evenkeel rollout resume or abort %s %s ends it; apply without --unit goes on with it", env.Name, word(r.App)),
				"--no-canary brings the new version in at once",
			},
		}
	}
	p, err := c.Parent(ctx, env)
	if err != nil {
		return nil, err
	}
	if !opts.Release && k.held != "" && p.Annotation(record.AnnotationHold) == k.held {
		hold, err := p.Held(ctx, c.Reader(env))
		if err != nil {
			return nil, err
		}
		if hold == k.held {
			return nil, onHold(env)
		}
	}
	return k, nil
}

// renamedMeanwhile refuses to apply under a new name what has a canary under the former
// one: what it was compared with is recorded there.
func (c *Cluster) renamedMeanwhile(ctx context.Context, env *schema.Environment) error {
	if env.Was == "" {
		return nil
	}
	former := *env
	former.Name, former.Was = env.Was, ""
	p, err := c.Parent(ctx, &former)
	if err != nil {
		return err
	}
	for app := range record.NotesIn[CanaryNote](p.Live, record.AnnotationCanary) {
		return &hint.Refused{
			Reason: fmt.Sprintf("environment %s is to be named %s, and the canary of %s runs in it", env.Was, env.Name, plain.Line(app, record.MostNamed)),
			Hints: []string{
				fmt.Sprintf("take the new name back, end the canary with evenkeel rollout resume or abort %s %s, then rename", env.Was, word(app)),
				"--no-canary brings the new version in at once",
			},
		}
	}
	return nil
}

// word is a name of a note as an argument of a command that is proposed. Who may write the
// parent chose it.
func word(name string) string {
	name = plain.Line(name, record.MostNamed)
	if len(validation.IsDNS1123Label(name)) > 0 {
		return plain.Word(name)
	}
	return name
}

func hasCanary(env *schema.Environment) bool {
	for i := range env.Units {
		if c := env.Units[i].Canary; c != nil && len(c.Steps) > 0 {
			return true
		}
	}
	return false
}

// look reads what was applied last and the state, and composes.
func (k *Canaries) look(ctx context.Context) error {
	k.Composed = &canary.Composed{Environment: k.desired}
	last, err := k.c.Revision(ctx, k.desired.Name, k.desired.Namespace, 0)
	if errors.Is(err, record.ErrNoRevision) || apierrors.IsForbidden(err) {
		return nil // nothing that the app could go back to, or not for this caller to see
	}
	if err != nil {
		return err
	}
	signer := k.c.Reader(k.desired)
	state, err := k.c.LoadState(ctx, k.desired, signer)
	if err != nil {
		return err
	}
	k.key, k.running = state.Key, state.Canary
	if k.held, err = mask.Digest(k.desired, state.Key); err != nil {
		return err
	}
	k.base = last.Environment
	k.Composed, err = canary.Compose(k.desired, k.base, state.Canary, k.selected)
	if err != nil {
		return fmt.Errorf("environment %s: %w", k.desired.Name, err)
	}
	if k.last = last; k.State == nil {
		return nil
	}
	return k.believed(k.State.App)
}

// believed refuses to go back to what was applied last where that is not whole, or may
// be what a tenant wrote.
func (k *Canaries) believed(app string) error {
	if k.last.Authenticated && k.last.Secrets {
		return nil
	}
	why := "was recorded without its Secrets"
	if !k.last.Authenticated {
		why = "is not signed"
	}
	return &hint.Refused{
		Reason: fmt.Sprintf("unit %s: a canary needs what was applied last, and %s %s", app, k.last, why),
		Hints:  []string{"give --no-canary: the new version comes in at once"},
	}
}

func (k *Canaries) selected(unit string) bool { return among(k.opts.Units, unit) }

// Next composes what follows: the next step where the hold of the last one is over,
// else what the cluster says. It returns false where nothing is left. Where another
// run has replaced or ended the canary since, that is *Refused.
func (k *Canaries) Next(ctx context.Context) (bool, error) {
	was := *k.State
	steps := len(k.Unit.Canary.Steps)
	if was.Last {
		err := k.look(ctx)
		return k.State != nil, err
	}
	if err := k.look(ctx); err != nil {
		return false, err
	}
	if k.State == nil || !k.Begun || k.State.App != was.App || k.State.Version != was.Version {
		return false, overtaken(was.App)
	}
	if k.passed && k.State.Step == was.Step && !k.State.Last {
		next := k.State.Next(steps)
		return true, k.compose(next)
	}
	return true, nil
}

// compose composes with another state.
func (k *Canaries) compose(state canary.State) error {
	k.passed = false
	var err error
	k.Composed, err = canary.Compose(k.desired, k.base, &state, k.selected)
	return err
}

// Begin measures the app before the first step, where an autoscaler decides how many
// pods it has.
func (k *Canaries) Begin(ctx context.Context, who string) error {
	if k.Begun {
		return nil
	}
	state := *k.State
	state.Began, state.By = time.Now().UTC().Truncate(time.Second), who
	was := k.base.Unit(state.App)
	for _, o := range was.Objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		mapping, err := k.c.Mapping(ctx, o.GroupVersionKind())
		if err != nil {
			return err
		}
		live, err := k.c.Get(ctx, mapping, o.GetNamespace(), o.GetName())
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if n, ok, _ := unstructured.NestedInt64(live.Object, "spec", "replicas"); ok {
			state.Replicas = max(state.Replicas, int(min(n, record.ReplicasLimit)))
		}
	}
	return k.compose(state)
}

// Says is what this step does, for people.
func (k *Canaries) Says() string {
	if k.State.Last {
		return fmt.Sprintf("canary of %s: passed, the app takes the new version", k.State.App)
	}
	text := fmt.Sprintf("canary of %s: step %d of %d: %s of the new version", k.State.App, k.State.Step+1, len(k.Unit.Canary.Steps), count(k.Pods(), "pod"))
	if canary, all := k.Share(); canary > 0 {
		text += fmt.Sprintf(", %d of %d requests", canary, all)
	}
	return text
}

// Options are apply options for this step.
func (k *Canaries) Options(opts ApplyOptions) ApplyOptions {
	opts.Canary = k.State
	if !k.State.Last {
		opts.Checks = k.watch
	}
	return opts
}

// Blames reports whether an error of an apply means that the canary is no good.
func (k *Canaries) Blames(err error) bool {
	var unhealthy *health.NotHealthy
	if k.State.Last || !errors.As(err, &unhealthy) {
		return false
	}
	for _, u := range unhealthy.Updates {
		if u.Unit == k.State.App {
			return true
		}
	}
	return false
}

// Aborted is what to apply to end a canary, and the options for that: the app stays as
// it was applied last, and what git says is on hold.
func (k *Canaries) Aborted(opts ApplyOptions) (*schema.Environment, ApplyOptions) {
	opts.Canary, opts.Checks, opts.Back, opts.Release, opts.Hold = nil, nil, true, false, k.held
	return k.Without(k.desired, k.base), opts
}

// onHold refuses what was rolled back from.
func onHold(env *schema.Environment) *hint.Refused {
	return &hint.Refused{
		Reason: fmt.Sprintf("environment %s was rolled back from exactly this content and is held", env.Name),
		Hints:  []string{"change the environment, or lift the hold with --release"},
		Guard:  hint.GuardHold,
	}
}

// canaryAfter is where the canary stands after the run: a run of other units leaves it.
func (r *run) canaryAfter() *canary.State {
	if known := r.plan.state.Canary; r.opts.Canary == nil && known != nil && !r.selected(known.App) {
		return known
	}
	return r.opts.Canary
}

// keepCanary notes where the canary stands before the first write of a step: a run that
// is killed goes on with it.
func (r *run) keepCanary() { r.plan.state.Canary = r.canaryAfter() }

// unfinished is a canary that runs: one whose app has taken the new version is over.
func unfinished(s *canary.State) *canary.State {
	if s != nil && s.Last {
		return nil
	}
	return s
}

// canaryNote is the note about the canary of the run. What people said of the same
// step stays.
func (r *run) canaryNote() string {
	state := r.canaryAfter()
	if state == nil {
		return ""
	}
	unit := r.env.Unit(state.App)
	if unit == nil || unit.Canary == nil {
		return r.parent.Annotation(record.AnnotationCanary)
	}
	n := CanaryNote{Version: state.Version, Step: state.Step + 1, Of: len(unit.Canary.Steps), By: state.By}
	if known, ok := record.NotesIn[CanaryNote](r.parent.Live, record.AnnotationCanary)[state.App]; ok && known.Version == n.Version && known.Step == n.Step {
		n = known
	}
	if state.Last {
		n.Step = n.Of
	}
	if r.opts.Canary != nil { // else the run is about other units, and unit is as git says
		n.Pods = canaryPods(unit)
	}
	return noteText(state.App, n)
}

// canaryPods counts the pods that the canary of a unit asks for.
func canaryPods(unit *schema.Unit) int {
	pods := 0
	for _, o := range unit.Objects {
		if o.GetKind() == "Deployment" && o.GetLabels()[canary.Label] != "" {
			n, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
			pods += int(n)
		}
	}
	return pods
}

func noteText(app string, n CanaryNote) string {
	raw, err := json.Marshal(map[string]CanaryNote{app: n})
	if err != nil {
		return ""
	}
	return string(raw)
}

// overtaken refuses to go on with a canary that is another run's.
func overtaken(app string) *hint.Refused {
	return &hint.Refused{Reason: fmt.Sprintf("unit %s: another run has ended its canary, or replaced it, or gone on with it", app)}
}

// AbortCanary is what to apply to end the canary of an app, and the options for that:
// the app stays as it was applied last. Where git still says that version, it is on hold.
func (c *Cluster) AbortCanary(ctx context.Context, env *schema.Environment, app string, opts ApplyOptions) (*schema.Environment, ApplyOptions, error) {
	p, err := c.Parent(ctx, env)
	if err != nil {
		return nil, opts, err
	}
	if _, ok := record.NotesIn[CanaryNote](p.Live, record.AnnotationCanary)[app]; !ok {
		return nil, opts, errors.Join(c.UnlockLeft(ctx, env, opts.Who), &hint.Refused{Reason: fmt.Sprintf("unit %s: no canary runs", app)})
	}
	k := &Canaries{c: c, desired: env, opts: opts}
	if err := k.look(ctx); err != nil {
		return nil, opts, err
	}
	begun := k.State != nil && k.Begun && k.State.App == app
	if begun && k.State.Last {
		return nil, opts, &hint.Refused{
			Reason: fmt.Sprintf("unit %s: its canary has passed, and the app takes the new version", app),
			Hints:  []string{"evenkeel rollback " + env.Name},
		}
	}
	if begun {
		composed, err := mask.Digest(k.Environment, k.key)
		if err != nil {
			return nil, opts, err
		}
		restored, opts := k.Aborted(opts)
		if composed != p.Annotation(record.AnnotationRendered) {
			opts.Units = []string{app} // git says more that is not applied yet
		}
		return restored, opts, nil
	}
	if k.base == nil || k.base.Unit(app) == nil {
		return nil, opts, fmt.Errorf("environment %s: unit %s is not in what was applied last", env.Name, app)
	}
	if err := k.believed(app); err != nil {
		return nil, opts, err
	}
	opts.Units, opts.Back = []string{app}, true
	if opts.Hold, err = p.Held(ctx, k.c.Reader(k.desired)); err != nil { // of a run that was killed while it aborted
		return nil, opts, err
	}
	return record.Restored(env, k.base, func(unit string) bool { return unit == app }), opts, nil
}

// composed is an environment with the canary that runs in it, as the cluster says; the
// environment itself where none does.
func (c *Cluster) composed(ctx context.Context, env *schema.Environment, parent *unstructured.Unstructured) (*schema.Environment, error) {
	if parent == nil || parent.GetAnnotations()[record.AnnotationCanary] == "" || !hasCanary(env) {
		return env, nil
	}
	k := &Canaries{c: c, desired: env}
	if err := k.look(ctx); err != nil || !k.Begun {
		return env, err
	}
	return k.Environment, nil
}

// WithCanary is an environment with the canary that runs in it; the environment itself
// where none does, or where the caller may not see it.
func (c *Cluster) WithCanary(ctx context.Context, env *schema.Environment) (*schema.Environment, error) {
	parent, err := c.NotedParent(ctx, env)
	if err != nil {
		return nil, err
	}
	return c.composed(ctx, env, parent)
}
