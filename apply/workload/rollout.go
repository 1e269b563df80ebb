package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// rolloutManager is the field manager of restarts and pauses. Plans leave alone
// what evenkeel's own verbs write.
const rolloutManager = schema.Manager + "-rollout"

// RolloutStatus waits until the workloads of an app are rolled out, by the rules
// of the gate, or for opts.Timeout; with none it looks once. It writes nothing.
func RolloutStatus(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string, opts apply.StatusOptions) (*apply.Status, error) {
	// The whole unit tells which version it is, its workloads alone do not.
	env, err := c.WithCanary(ctx, env)
	if err != nil {
		return nil, err
	}
	only, err := Of(env, app)
	if err != nil {
		return nil, err
	}
	return c.Status(ctx, only, opts)
}

// Restart replaces the pods of an app's workloads, as `kubectl rollout restart`
// does: a time in an annotation of the pod template begins a rollout. It returns
// what it restarted. A paused Deployment is refused, because nothing would happen
// before it is resumed.
func Restart(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string) ([]schema.Ref, error) {
	r, err := newRollout(ctx, c, env, app)
	if err != nil {
		return nil, err
	}
	for _, w := range r.workloads {
		if isPaused(w.live) {
			return nil, &hint.Refused{
				Reason: fmt.Sprintf("%s is paused: it would not restart before it is resumed", w.ref),
				Hints:  []string{fmt.Sprintf("evenkeel rollout resume %s %s", env.Name, app)},
			}
		}
	}
	annotations := map[string]any{restartedAt: time.Now().UTC().Format(time.RFC3339)}
	return r.patchAll(ctx, r.workloads, rolloutManager, map[string]any{
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": annotations}}},
	})
}

// restartedAt is what kubectl rollout restart writes too
// (k8s.io/kubectl/pkg/polymorphichelpers/objectrestarter.go).
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// Pause stops the rollout of an app's Deployments where it stands, until Resume:
// an apply still writes them, and their pods stay as they are. The pause is
// recorded on the ApplySet parent, where status reads it. It returns what it
// paused. Only Deployments can be paused.
func Pause(ctx context.Context, c *apply.Cluster, env *schema.Environment, app, who string) ([]schema.Ref, error) {
	r, err := newRollout(ctx, c, env, app)
	if err != nil {
		return nil, err
	}
	deployments, err := r.deployments()
	if err != nil {
		return nil, err
	}
	// The record comes first: a pause that nobody can see is worse than a
	// record of one that did not come about.
	if err := r.notes.SetPaused(ctx, app, &record.Paused{At: time.Now().UTC().Truncate(time.Second), By: who}); err != nil {
		return nil, err
	}
	return r.patchAll(ctx, deployments, rolloutManager, map[string]any{"spec": map[string]any{"paused": true}})
}

// Resume ends a pause, whoever began it, and its record. It returns what it
// resumed.
func Resume(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string) ([]schema.Ref, error) {
	r, err := newRollout(ctx, c, env, app)
	if err != nil {
		return nil, err
	}
	deployments, err := r.deployments()
	if err != nil {
		return nil, err
	}
	done, err := r.patchAll(ctx, deployments, rolloutManager, map[string]any{"spec": map[string]any{"paused": nil}})
	if err != nil {
		return done, err
	}
	return done, r.notes.SetPaused(ctx, app, nil)
}

// Of is the environment with one unit, and of it only what runs pods.
func Of(env *schema.Environment, app string) (*schema.Environment, error) {
	unit := env.Unit(app)
	if unit == nil {
		return nil, fmt.Errorf("environment %s has no unit %q", env.Name, app)
	}
	only := *unit
	only.Objects = nil
	for _, o := range unit.Objects {
		if _, ok := workloadKind(o.Unstructured); ok {
			only.Objects = append(only.Objects, o)
		}
	}
	if len(only.Objects) == 0 {
		return nil, fmt.Errorf("unit %s has no workload", app)
	}
	out := *env
	out.Units = []schema.Unit{only}
	return &out, nil
}

// workloadKind names the kinds that run pods; rolls says that a changed pod
// template replaces them.
func workloadKind(obj *unstructured.Unstructured) (rolls, ok bool) {
	switch obj.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps":
		return true, true
	case "ReplicaSet.apps", "Job.batch", "CronJob.batch":
		return false, true
	}
	return false, false
}

// rollout is one verb on the workloads of one app.
type rollout struct {
	c         *apply.Cluster
	env       *schema.Environment
	app       string
	notes     *record.Notes
	workloads []workload
}

// workload is an object that runs pods, as it is rendered and as it is live.
type workload struct {
	ref  schema.Ref
	live *unstructured.Unstructured
}

// newRollout reads the workloads that roll, and refuses the wrong cluster.
func newRollout(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string) (*rollout, error) {
	only, err := Of(env, app)
	if err != nil {
		return nil, err
	}
	notes, err := c.Notes(ctx, env)
	if err != nil {
		return nil, err
	}
	if notes == nil {
		return nil, notApplied(env)
	}
	workloads, err := liveWorkloads(ctx, c, only)
	if err != nil {
		return nil, err
	}
	r := &rollout{c: c, env: env, app: app, notes: notes}
	for _, w := range workloads {
		if rolls, _ := workloadKind(w.live); rolls {
			r.workloads = append(r.workloads, w)
		}
	}
	if len(r.workloads) == 0 {
		return nil, fmt.Errorf("unit %s has nothing that rolls out", app)
	}
	return r, nil
}

// liveWorkloads reads an environment's workloads. One that is not there, or not
// the environment's, is refused.
func liveWorkloads(ctx context.Context, c *apply.Cluster, env *schema.Environment) ([]workload, error) {
	var all []workload
	for _, o := range env.Objects() {
		ref := schema.RefOf(o.Unstructured)
		mapping, err := c.Mapping(ctx, o.GroupVersionKind())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
		live, err := c.Get(ctx, mapping, ref.Namespace, ref.Name)
		switch {
		case apierrors.IsNotFound(err):
			return nil, notApplied(env)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", ref, err)
		case live.GetLabels()[schema.LabelPartOf] != schema.ApplySetID(env.Name, env.Namespace):
			return nil, &hint.Refused{
				Reason: fmt.Sprintf("%s is not of environment %s", ref, env.Name),
				Hints:  []string{"evenkeel apply " + env.Name + " adopts it"},
			}
		}
		all = append(all, workload{ref: ref, live: live})
	}
	return all, nil
}

func notApplied(env *schema.Environment) error {
	return &hint.Refused{
		Reason: fmt.Sprintf("environment %s is not in this cluster, or not all of it", env.Name),
		Hints:  []string{"evenkeel apply " + env.Name},
	}
}

func (r *rollout) deployments() ([]workload, error) {
	var out []workload
	for _, w := range r.workloads {
		if w.ref.Kind == "Deployment" {
			out = append(out, w)
		}
	}
	if len(out) == 0 {
		return nil, &hint.Refused{Reason: fmt.Sprintf("%s cannot be paused: only a Deployment can", r.workloads[0].ref)}
	}
	return out, nil
}

func isPaused(live *unstructured.Unstructured) bool {
	paused, _, _ := unstructured.NestedBool(live.Object, "spec", "paused")
	return paused
}

// patchAll sends one merge patch to each workload: of the object that was read,
// not of another one by that name.
func (r *rollout) patchAll(ctx context.Context, workloads []workload, manager string, patch map[string]any) ([]schema.Ref, error) {
	var done []schema.Ref
	for _, w := range workloads {
		patch["metadata"] = map[string]any{"uid": string(w.live.GetUID())}
		body, err := json.Marshal(patch)
		if err != nil {
			return done, err
		}
		mapping, err := r.c.Mapping(ctx, w.live.GroupVersionKind())
		if err != nil {
			return done, fmt.Errorf("%s: %w", w.ref, err)
		}
		client := r.c.Dynamic.Resource(mapping.Resource).Namespace(w.ref.Namespace)
		if _, err := client.Patch(ctx, w.ref.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: manager}); err != nil {
			return done, fmt.Errorf("%s: %w", w.ref, err)
		}
		done = append(done, w.ref)
	}
	return done, nil
}
