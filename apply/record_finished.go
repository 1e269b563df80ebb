package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/health"
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

// rerun forgets that a Job has succeeded which is to run again: how that ends is not
// known yet.
func (p *planner) rerun(it *item) {
	if slices.Contains(p.opts.Recreate, it.ref.Kind+"/"+it.ref.Name) {
		delete(p.plan.state.finished, it.ref.String())
	}
}

// isGone finds that a Job that has succeeded is not there, and need not be.
func (p *planner) isGone(ctx context.Context, it *item) (bool, error) {
	if it.live != nil || !p.plan.state.hasFinished(it.obj.Unstructured) {
		return false, nil
	}
	_, err := p.cluster.Get(ctx, it.mapping, it.ref.Namespace, it.ref.Name)
	if !apierrors.IsNotFound(err) {
		return false, err
	}
	it.change = p.newChange(it, Unchanged)
	return true, nil
}

// noteFinished keeps for later plans which Jobs of a unit succeeded. The updates
// are those of its objects, in their order.
func (r *run) noteFinished(unit *schema.Unit, updates []health.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, u := range updates {
		if job := unit.Objects[i].Unstructured; u.State == health.Healthy && u.Rule == health.RuleJobComplete && expires(job) {
			r.plan.state.finish(job)
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
