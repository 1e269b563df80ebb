package apply

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Notes of what people did to single apps, on the ApplySet parent: each a JSON
// object by the name of the unit. They are written without the lock, so that
// nobody waits for an apply in an emergency.
const (
	annotationPaused = "evenkeel.dev/paused"
	annotationScaled = "evenkeel.dev/scaled"
)

// longestNote is how far ahead the end of a note is believed. Who may write the
// parent could else have something left alone for ever.
const longestNote = 31 * 24 * time.Hour

// notesIn reads the notes of one sort. Those that cannot be read are none.
func notesIn[T any](parent *unstructured.Unstructured, annotation string) map[string]T {
	var all map[string]T
	if parent == nil || json.Unmarshal([]byte(parent.GetAnnotations()[annotation]), &all) != nil || all == nil {
		return map[string]T{} // a "null" is no map to write to
	}
	return all
}

// lasts reports whether a note that ends at until still holds.
func lasts(until, now time.Time) bool {
	return now.Before(until) && !until.After(now.Add(longestNote))
}

// note sets the note of the app, or with nil removes it, and forgets apps that
// the environment no longer has.
func note[T any](ctx context.Context, r *rollout, annotation string, value *T) error {
	var err error
	for range conflictTries {
		all := notesIn[T](r.parent.live, annotation)
		delete(all, r.app)
		if value != nil {
			all[r.app] = *value
		}
		maps.DeleteFunc(all, func(app string, _ T) bool { return r.env.Unit(app) == nil })
		text := ""
		if len(all) > 0 {
			body, err := json.Marshal(all)
			if err != nil {
				return err
			}
			text = string(body)
		}
		if err = r.parent.write(ctx, map[string]string{annotation: text}); !apierrors.IsConflict(err) {
			return err
		}
		// An apply or another verb wrote meanwhile.
		if r.parent, err = readParent(ctx, r.parent.client, r.env); err != nil {
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
	for _, a := range []string{annotationPaused, annotationScaled, annotationFights} {
		delete(out, a)
		if text, ok := notes[a]; ok {
			out[a] = text
		}
	}
	return out
}

// notedParent reads the parent for its notes. Who may not read it is not told.
func (c *Cluster) notedParent(ctx context.Context, env *schema.Environment) (*unstructured.Unstructured, error) {
	p, err := readParent(ctx, c.Dynamic.Resource(configMapResource()).Namespace(env.Namespace), env)
	switch {
	case apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return p.live, nil
}
