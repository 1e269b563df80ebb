package record

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/seed-428f4edd/evenkeel/apply/follow"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Notes of what people did to single apps, on the ApplySet parent: each a JSON
// object by the name of the unit. They are written without the lock, so that
// nobody waits for an apply in an emergency.
const (
	AnnotationPaused = "evenkeel.dev/paused"
	annotationScaled = "evenkeel.dev/scaled"
)

// LongestNote is how far ahead the end of a note is believed. Who may write the
// parent could else have something left alone for ever.
const LongestNote = 31 * 24 * time.Hour

// Paused is the note of a pause.
type Paused struct {
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"`
}

// MostNamed bounds what is shown of a name in a note, in bytes.
const MostNamed = 200

// String is when and by whom, for people, on one line.
func (p Paused) String() string {
	return strings.TrimSpace(fmt.Sprintf("since %s by %s", p.At.Format(time.RFC3339), plain.Line(p.By, MostNamed)))
}

// Scaled is the note of a scale: until then plans leave the replicas of that
// workload as they are.
type Scaled struct {
	Workload string    `json:"workload"` // Kind/name
	Replicas int64     `json:"replicas"`
	Until    time.Time `json:"until"`
	By       string    `json:"by,omitempty"`
}

// String is to what, until when and by whom, for people, on one line.
func (s Scaled) String() string {
	text := fmt.Sprintf("%s to %d until %s", plain.Line(s.Workload, MostNamed), s.Replicas, s.Until.Format(time.RFC3339))
	if s.By != "" {
		text += " by " + plain.Line(s.By, MostNamed)
	}
	return text
}

// Lasts reports whether the scale still holds.
func (s Scaled) Lasts(now time.Time) bool {
	return now.Before(s.Until) && !s.Until.After(now.Add(LongestNote))
}

// ScaledIn are the scales that still hold, by unit.
func ScaledIn(parent *unstructured.Unstructured, now time.Time) map[string]Scaled {
	all := NotesIn[Scaled](parent, annotationScaled)
	maps.DeleteFunc(all, func(_ string, s Scaled) bool { return !s.Lasts(now) })
	return all
}

// NotesIn reads the notes of one sort. Those that cannot be read are none.
func NotesIn[T any](parent *unstructured.Unstructured, annotation string) map[string]T {
	var all map[string]T
	if parent == nil || json.Unmarshal([]byte(parent.GetAnnotations()[annotation]), &all) != nil || all == nil {
		return map[string]T{} // a "null" is no map to write to
	}
	return all
}

// Notes are what people did to the apps of one environment.
type Notes struct {
	c      *Store
	env    *schema.Environment
	parent *Parent
}

// Notes reads the notes of an environment; nil is one that was never applied to
// this cluster. A cluster that env is not pinned to is *Refused.
func (c *Store) Notes(ctx context.Context, env *schema.Environment) (*Notes, error) {
	p, err := c.Parent(ctx, env)
	if err != nil || p.Live == nil {
		return nil, err
	}
	if _, err := c.IdentityOf(ctx, env); err != nil {
		return nil, err
	}
	return c.NotesAt(env, p), nil
}

// NotesAt are the notes on a parent that was read.
func (c *Store) NotesAt(env *schema.Environment, p *Parent) *Notes {
	return &Notes{c: c, env: env, parent: p}
}

// Scaled is the scale of an app that is noted, over or not.
func (n *Notes) Scaled(app string) (Scaled, bool) {
	s, ok := NotesIn[Scaled](n.parent.Live, annotationScaled)[app]
	return s, ok
}

// SetPaused notes the pause of an app, or with nil forgets it.
func (n *Notes) SetPaused(ctx context.Context, app string, p *Paused) error {
	return SetNote(ctx, n, AnnotationPaused, app, p)
}

// SetScaled notes the scale of an app, or with nil forgets it.
func (n *Notes) SetScaled(ctx context.Context, app string, s *Scaled) error {
	return SetNote(ctx, n, annotationScaled, app, s)
}

// SetNote sets a note of an app, or with nil removes it, and forgets apps that the
// environment no longer has.
func SetNote[T any](ctx context.Context, n *Notes, annotation, app string, value *T) error {
	var err error
	for range conflictTries {
		all := NotesIn[T](n.parent.Live, annotation)
		delete(all, app)
		if value != nil {
			all[app] = *value
		}
		maps.DeleteFunc(all, func(app string, _ T) bool { return n.env.Unit(app) == nil })
		text := ""
		if len(all) > 0 {
			body, err := json.Marshal(all)
			if err != nil {
				return err
			}
			text = string(body)
		}
		if err = n.parent.Write(ctx, map[string]string{annotation: text}); !apierrors.IsConflict(err) {
			return err
		}
		// An apply or another verb wrote meanwhile.
		if n.parent, err = n.c.Parent(ctx, n.env); err != nil {
			return err
		}
	}
	return err
}

// conflictTries bounds how often a note is written again.
const conflictTries = 5

// withNotes is annotations with the notes that other annotations have.
func withNotes(annotations, notes map[string]string) map[string]string {
	out := maps.Clone(annotations)
	for _, a := range []string{AnnotationPaused, annotationScaled, annotationFights, annotationFightsBy, AnnotationCanary} {
		delete(out, a)
		if text, ok := notes[a]; ok {
			out[a] = text
		}
	}
	return out
}

// NotedParent reads the parent for its notes. Who may not read it is not told.
func (c *Store) NotedParent(ctx context.Context, env *schema.Environment) (*unstructured.Unstructured, error) {
	p, err := c.Parent(ctx, env)
	switch {
	case apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return p.Live, nil
}

// FollowedNotes are the notes of an environment as they change.
type FollowedNotes struct {
	mu     sync.Mutex
	parent *unstructured.Unstructured
	signal chan struct{} // holds one where there is something new
}

// FollowNotes reads the parent of an environment, and follows it until ctx ends. Who may
// not read it is told of no notes, who may not watch it of those that there were.
func (c *Store) FollowNotes(ctx context.Context, env *schema.Environment) (*FollowedNotes, error) {
	n := &FollowedNotes{signal: make(chan struct{}, 1)}
	parent, err := c.NotedParent(ctx, env)
	if err != nil {
		return nil, err
	}
	n.parent = parent
	client := c.Dynamic.Resource(ConfigMaps()).Namespace(env.Namespace)
	stream := &follow.Stream{
		Client: client, Fields: "metadata.name=" + schema.ParentName(env.Name), Most: time.Minute, Denied: 10 * time.Minute,
		Read: func(ctx context.Context) (string, error) {
			list, err := client.List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + schema.ParentName(env.Name)})
			if err != nil {
				return "", err
			}
			n.see(nil)
			for i := range list.Items {
				n.see(&list.Items[i])
			}
			return list.GetResourceVersion(), nil
		},
		Seen: func(what watch.EventType, o *unstructured.Unstructured) {
			if what == watch.Deleted {
				o = nil
			}
			n.see(o)
		},
	}
	if parent != nil {
		stream.Version = parent.GetResourceVersion()
	}
	go stream.Run(ctx)
	return n, nil
}

// see notes what the parent is now.
func (n *FollowedNotes) see(parent *unstructured.Unstructured) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parent = parent
	select {
	case n.signal <- struct{}{}:
	default:
	}
}

// Last is the parent as it was seen last; nil is none.
func (n *FollowedNotes) Last() *unstructured.Unstructured {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.parent
}

// Changed waits until the parent is another one; false is the end of ctx.
func (n *FollowedNotes) Changed(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-n.signal:
		return true
	}
}
