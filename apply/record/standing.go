package record

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-428f4edd/evenkeel/apply/lock"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Standing is what a cluster remembers of an environment beside its objects: why
// a run may have to leave it, or parts of it, alone.
type Standing struct {
	// Applied says that the environment was applied before, Rendered the digest of
	// what was applied last as a whole, Hold the digest that was rolled back from.
	Applied  bool
	Rendered string
	Hold     string
	// Locked names who holds the lock and since when; empty where nobody does.
	Locked string
	// Left says that a run on this machine ended without giving the lock back.
	Left bool
	// Paused are the pauses by unit, Scaled the scales past git that have not
	// expired, Fights those by object (Kind/namespace/name).
	Paused map[string]Paused
	Scaled map[string]Scaled
	Fights map[string]Fight
}

// Fight is a field that evenkeel and somebody else set in turn.
type Fight struct {
	Field string    `json:"field"`
	By    string    `json:"by,omitempty"` // the other field manager
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // when it is tried again
}

// annotationFights records on the parent which objects are left alone: a JSON
// object by Kind/namespace/name.
const annotationFights = "evenkeel.dev/fights"

// Standing reads the environment's parent and its lock. Who may not read the lock
// is told that nobody holds it.
func (c *Store) Standing(ctx context.Context, env *schema.Environment) (*Standing, error) {
	p, err := c.Parent(ctx, env)
	if err != nil {
		return nil, err
	}
	s := &Standing{
		Applied: p.Live != nil, Rendered: p.Annotation(AnnotationRendered),
		Paused: NotesIn[Paused](p.Live, AnnotationPaused), Scaled: ScaledIn(p.Live, time.Now()),
	}
	signer := c.Reader(env)
	if s.Hold, err = p.Held(ctx, signer); err != nil {
		return nil, err
	}
	if s.Fights, err = p.fights(ctx, signer); err != nil {
		return nil, err
	}
	held, left, err := lock.Look(ctx, c.Dynamic, env.Name, env.Namespace)
	switch {
	case apierrors.IsForbidden(err):
	case err != nil:
		return nil, err
	case held != nil:
		s.Locked = held.By()
	}
	s.Left = left
	return s, nil
}

// Held is the digest that is on hold; "" is none. One that is not noted beside the key
// too was not rolled back from, or is over: whoever may write to the parent could keep
// what they changed from being corrected. Where there is no key, or it may not be read,
// the parent is believed: writing over a rollback is what must not happen.
func (p *Parent) Held(ctx context.Context, by *Signer) (string, error) {
	digest := p.Annotation(AnnotationHold)
	if digest == "" {
		return "", nil
	}
	if _, err := by.Newest(ctx); err != nil {
		return "", err
	}
	if by.HasKey() && by.Known().Noted.Hold != digest {
		by.c.Warn(fmt.Sprintf("environment %s: its hold does not count, as no rollback noted it in Secret/%s/%s: evenkeel.dev/hold in ConfigMap/%s/%s was written by somebody else, or by an older evenkeel",
			p.Env.Name, KeyNamespace, KeyName(p.Env.Name, p.Env.Namespace), p.Env.Namespace, schema.ParentName(p.Env.Name)))
		return "", nil
	}
	return digest, nil
}

// fights are the objects that are left alone, by Kind/namespace/name: those that a
// reconcile signed, and none for longer than a note may last.
func (p *Parent) fights(ctx context.Context, by *Signer) (map[string]Fight, error) {
	all := NotesIn[Fight](p.Live, annotationFights)
	maps.DeleteFunc(all, func(_ string, f Fight) bool { return f.Until.After(time.Now().Add(LongestNote)) })
	if len(all) == 0 {
		return all, nil
	}
	ok, err := by.vouched(ctx, p.Annotation(annotationFightsBy), signedFights, p.Annotation(annotationFights))
	if err != nil || !ok {
		return map[string]Fight{}, err
	}
	return all, nil
}

// AppliedCommit is the commit that was applied last, "" where none is known. It is noted
// where no tenant of the namespace can write; before it was, the newest revision that is
// authenticated says it.
func (c *Store) AppliedCommit(ctx context.Context, env *schema.Environment) (string, error) {
	signer := c.Signer(env.Name, env.Namespace)
	if _, err := signer.Newest(ctx); err != nil {
		return "", err
	}
	if commit := signer.Known().Noted.Commit; commit != "" {
		return commit, nil
	}
	history, err := c.HistoryBy(ctx, signer)
	if err != nil {
		return "", err
	}
	for _, r := range history {
		if r.Authenticated && r.Git.Commit != "" {
			return r.Git.Commit, nil
		}
	}
	return "", nil
}

// UnlockLeft gives back the lock where a run that was killed had nothing left to do but
// that.
func (c *Store) UnlockLeft(ctx context.Context, env *schema.Environment, who string) error {
	_, left, err := lock.Look(ctx, c.Dynamic, env.Name, env.Namespace)
	if err != nil || !left {
		return err
	}
	return c.Unlock(ctx, env, who)
}

// Unlock takes the lock of an environment and gives it back, where a run on this
// machine has ended and left it held.
func (c *Store) Unlock(ctx context.Context, env *schema.Environment, who string) error {
	held, err := lock.Acquire(ctx, c.Dynamic, lock.Request{
		Environment: env.Name, Namespace: env.Namespace, Holder: lock.ThisProcess(who), Duration: lock.DefaultDuration, Waiting: func(lock.Held) {},
	})
	if err != nil {
		return err
	}
	return held.Release(ctx)
}

// RecordFights writes down which objects are left alone, by Kind/namespace/name,
// so that every other reconcile leaves them alone too. Those that are over are
// dropped.
func (c *Store) RecordFights(ctx context.Context, env *schema.Environment, fights map[string]Fight) error {
	record := ""
	if len(fights) > 0 {
		body, err := json.Marshal(fights)
		if err != nil {
			return err
		}
		record = string(body)
	}
	signature, err := "", error(nil)
	if record != "" {
		if signature, err = c.Signer(env.Name, env.Namespace).Sign(ctx, signedFights, record); err != nil {
			return err
		}
	}
	for range conflictTries {
		var p *Parent
		if p, err = c.Parent(ctx, env); err != nil || p.Live == nil {
			return err
		}
		if err = p.Write(ctx, map[string]string{annotationFights: record, annotationFightsBy: signature}); !apierrors.IsConflict(err) {
			return err
		}
	}
	return err
}
