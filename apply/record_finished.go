package apply

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

// expires reports whether an object is such a Job.
func expires(u *unstructured.Unstructured) bool {
	_, ok, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "ttlSecondsAfterFinished")
	return ok && u.GroupVersionKind().GroupKind().String() == "Job.batch"
}

// finish notes that a Job as it is rendered has succeeded.
func (s *state) finish(job *unstructured.Unstructured) {
	if rendered, err := hashOf(job.Object); err == nil {
		s.finished[schema.RefOf(job).String()] = rendered
	}
}

// hasFinished reports whether a Job that expires has succeeded as it is rendered.
func (s *state) hasFinished(u *unstructured.Unstructured) bool {
	noted, ok := s.finished[schema.RefOf(u).String()]
	if !ok || !expires(u) {
		return false
	}
	rendered, err := hashOf(u.Object)
	return err == nil && rendered == noted
}

// renew takes over what was noted of Jobs before they bore a hash of what they read:
// those that have succeeded do not run again for having one.
func (s *state) renew(env *schema.Environment) {
	for _, o := range env.Objects() {
		noted, ok := s.finished[schema.RefOf(o.Unstructured).String()]
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
		if hash, err := hashOf(former.Object); err == nil && hash == noted {
			s.finish(o.Unstructured)
		}
	}
}

// finishedIn reads which Jobs of an environment have succeeded, if it has any
// that expire.
func (c *Cluster) finishedIn(ctx context.Context, env *schema.Environment) (*state, error) {
	for _, o := range env.Objects() {
		if expires(o.Unstructured) {
			return c.loadState(ctx, env, c.reader(env))
		}
	}
	return newState(), nil
}

// hashOf is a short digest of a JSON value.
func hashOf(v ...any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16]), nil
}
