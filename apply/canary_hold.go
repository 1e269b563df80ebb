package apply

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// unanswered is how long a check may give no answer in a row: nobody knows then
// whether the new version is any good.
const unanswered = 30 * time.Second

// Hold watches the canary in its step, which is healthy: until the time is over and
// every check has passed at the last look, or somebody resumed it. It returns true
// where somebody has to, and did not within wait. A check that fails is *CanaryFailed,
// and so is one that does not answer. A canary that another run has ended is *Refused.
//
// A hold begins anew where a run goes on with the canary of one that was killed: what
// nobody watched does not count.
func (k *Canaries) Hold(ctx context.Context, wait time.Duration, on func(string)) (waits bool, err error) {
	if k.State.Last {
		return false, nil
	}
	canary, step := k.Unit.Canary, k.Unit.Canary.Steps[k.State.Step]
	began := time.Now().UTC().Truncate(time.Second)
	until := began.Add(step.Hold)
	if err := k.noteHold(ctx, began, until, step.Manual); err != nil {
		return false, err
	}
	said := k.heldText(step, until)
	if step.Hold > 0 || step.Manual {
		on(said)
	}
	checks := newChecker(k)
	for {
		pending, err := checks.look(ctx)
		if err != nil {
			return false, fmt.Errorf("unit %s: %w", k.State.App, err)
		}
		note, err := k.note(ctx)
		if err != nil {
			return false, err
		}
		switch now := time.Now(); {
		case pending != "":
		case note.Resumed, !step.Manual && !now.Before(until):
			k.passed = true
			return false, nil
		case step.Manual && !now.Before(began.Add(wait)):
			return true, nil
		}
		if err := pause.For(ctx, max(canary.Every, time.Second)); err != nil {
			return false, err
		}
	}
}

func (k *Canaries) heldText(step schema.CanaryStep, until time.Time) string {
	checks := count(len(k.Unit.Canary.Checks), "check")
	if step.Manual {
		return fmt.Sprintf("canary of %s: healthy, %s; goes on after: evenkeel rollout resume %s %s", k.State.App, checks, k.desired.Name, k.State.App)
	}
	return fmt.Sprintf("canary of %s: healthy, watched until %s by %s", k.State.App, until.Format(time.RFC3339), checks)
}

// noteHold notes that the hold of the step began. That somebody resumed it stays.
func (k *Canaries) noteHold(ctx context.Context, began, until time.Time, manual bool) error {
	r, n, err := k.readNote(ctx)
	if err != nil {
		return err
	}
	n.Since, n.Until = began, until
	if manual {
		n.Until = time.Time{}
	}
	return record.SetNote(ctx, r, record.AnnotationCanary, k.State.App, &n)
}

// note reads the note of the canary. Another version's, or none, means that another run
// has ended this one.
func (k *Canaries) note(ctx context.Context) (CanaryNote, error) {
	_, n, err := k.readNote(ctx)
	return n, err
}

func (k *Canaries) readNote(ctx context.Context) (*record.Notes, CanaryNote, error) {
	p, err := k.c.Parent(ctx, k.desired)
	if err != nil {
		return nil, CanaryNote{}, err
	}
	n, ok := record.NotesIn[CanaryNote](p.Live, record.AnnotationCanary)[k.State.App]
	if !ok || n.Version != k.State.Version || n.Step != k.State.Step+1 {
		return nil, n, overtaken(k.State.App)
	}
	return k.c.NotesAt(k.desired, p), n, nil
}

// ResumeCanary lets the canary of an app go on to its next step, whatever time is left.
// It returns false where none runs.
func (c *Cluster) ResumeCanary(ctx context.Context, env *schema.Environment, app, who string) (bool, error) {
	p, err := c.Parent(ctx, env)
	if err != nil {
		return false, err
	}
	n, ok := record.NotesIn[CanaryNote](p.Live, record.AnnotationCanary)[app]
	if !ok {
		return false, nil
	}
	if _, err := c.IdentityOf(ctx, env); err != nil {
		return true, err
	}
	if n.Since.IsZero() {
		return true, &hint.Refused{Reason: fmt.Sprintf("unit %s: its canary is not healthy yet", app), Hints: []string{"evenkeel rollout status " + env.Name + " " + app}}
	}
	n.Resumed, n.By = true, who
	return true, record.SetNote(ctx, c.NotesAt(env, p), record.AnnotationCanary, app, &n)
}

// Checks looks once at the checks of a canary, and says of each how it stands.
func (k *Canaries) Checks(ctx context.Context) ([]string, error) {
	checks := newChecker(k)
	pods, err := checks.pods(ctx)
	if err != nil {
		return nil, err
	}
	said := make([]string, len(k.Unit.Canary.Checks))
	for i, check := range k.Unit.Canary.Checks {
		a := checks.ask(ctx, check, pods)
		said[i] = a.state() + ": " + a.says
	}
	return said, nil
}
