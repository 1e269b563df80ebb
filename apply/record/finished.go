package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// A Job with ttlSecondsAfterFinished is deleted by the cluster once it has ended
// (KEP-592). One that succeeded is no drift when it is gone: it is level until it
// is rendered otherwise, or asked for with Recreate. Of a run that nobody waits for
// it is not known how it ended.

// Expires reports whether an object is such a Job.
func Expires(u *unstructured.Unstructured) bool {
	_, ok, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "ttlSecondsAfterFinished")
	return ok && u.GroupVersionKind().GroupKind().String() == "Job.batch"
}

// Finish notes that a Job as it is rendered has succeeded.
func (s *State) Finish(job *unstructured.Unstructured) {
	if rendered, err := HashOf(job.Object); err == nil {
		s.Finished[schema.RefOf(job).String()] = rendered
	}
}

// HasFinished reports whether a Job that expires has succeeded as it is rendered.
func (s *State) HasFinished(u *unstructured.Unstructured) bool {
	noted, ok := s.Finished[schema.RefOf(u).String()]
	if !ok || !Expires(u) {
		return false
	}
	rendered, err := HashOf(u.Object)
	return err == nil && rendered == noted
}

// renew takes over what was noted of Jobs before they bore a hash of what they read:
// those that have succeeded do not run again for having one.
func (s *State) renew(env *schema.Environment) {
	for _, o := range env.Objects() {
		noted, ok := s.Finished[schema.RefOf(o.Unstructured).String()]
		if !ok || o.GetAnnotations()[schema.AnnotationConfigHash] == "" {
			continue
		}
		former := o.DeepCopy()
		annotations := former.GetAnnotations()
		delete(annotations, schema.AnnotationConfigHash)
		former.SetAnnotations(annotations)
		if len(annotations) == 0 {
			unstructured.RemoveNestedField(former.Object, "metadata", "annotations")
		}
		if hash, err := HashOf(former.Object); err == nil && hash == noted {
			s.Finish(o.Unstructured)
		}
	}
}

// FinishedIn reads which Jobs of an environment have succeeded, if it has any
// that expire.
func (c *Store) FinishedIn(ctx context.Context, env *schema.Environment) (*State, error) {
	for _, o := range env.Objects() {
		if Expires(o.Unstructured) {
			return c.LoadState(ctx, env, c.Reader(env))
		}
	}
	return NewState(), nil
}

// HashOf is a short digest of a JSON value.
func HashOf(v ...any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16]), nil
}
