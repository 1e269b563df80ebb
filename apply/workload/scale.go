package workload

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// scaleManager is the field manager of a scale.
const scaleManager = schema.Manager + "-scale"

// Scale sets the replicas of one workload of an app past git, until the time in
// to. The note on the ApplySet parent makes plans leave them alone until then;
// the first apply afterwards brings back what is rendered. to.Workload may be
// empty where the app has one workload with replicas.
func Scale(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string, to record.Scaled) (schema.Ref, error) {
	if !to.Lasts(time.Now()) {
		return schema.Ref{}, &hint.Refused{
			Reason: fmt.Sprintf("unit %s: scaled until %s: a scale lasts %d days at most", app, to.Until.Format(time.RFC3339), record.LongestNote/(24*time.Hour)),
			Hints:  []string{"for good, change the replicas in the source"},
		}
	}
	r, err := newRollout(ctx, c, env, app)
	if err != nil {
		return schema.Ref{}, err
	}
	w, err := r.scalable(to.Workload)
	if err != nil {
		return schema.Ref{}, err
	}
	to.Workload = w.ref.Kind + "/" + w.ref.Name
	// The note comes first: a scale that the next apply takes back is worse
	// than a note of one that did not come about.
	if err := r.notes.SetScaled(ctx, app, &to); err != nil {
		return w.ref, err
	}
	_, err = r.patchAll(ctx, []workload{w}, scaleManager, map[string]any{"spec": map[string]any{"replicas": to.Replicas}})
	return w.ref, err
}

// EndScale ends a scale before its time: the next apply brings back what is
// rendered.
func EndScale(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string) error {
	r, err := newRollout(ctx, c, env, app)
	if err != nil {
		return err
	}
	if _, ok := r.notes.Scaled(app); !ok {
		return &hint.Refused{Reason: fmt.Sprintf("unit %s is not scaled past git", app)}
	}
	return r.notes.SetScaled(ctx, app, nil)
}

// scalable picks the workload that a scale is for.
func (r *rollout) scalable(name string) (workload, error) {
	var found []workload
	var names []string
	for _, w := range r.workloads {
		if _, ok, _ := unstructured.NestedInt64(w.live.Object, "spec", "replicas"); !ok {
			continue
		}
		names = append(names, w.ref.Name)
		if name == "" || name == w.ref.Name {
			found = append(found, w)
		}
	}
	switch {
	case len(found) == 0 && name != "":
		return workload{}, fmt.Errorf("unit %s has no workload %q with replicas", r.app, name)
	case len(found) == 0:
		return workload{}, &hint.Refused{Reason: fmt.Sprintf("unit %s has no workload with replicas", r.app)}
	case len(found) > 1:
		return workload{}, &hint.Refused{
			Reason: fmt.Sprintf("unit %s has %d workloads with replicas: %s", r.app, len(found), strings.Join(names, ", ")),
			Hints:  []string{fmt.Sprintf("name one: %s/%s=N", r.app, names[0])},
		}
	}
	if kinds.Autoscaled(r.env)[found[0].ref.String()] {
		return workload{}, &hint.Refused{
			Reason: fmt.Sprintf("an autoscaler decides about the replicas of %s", found[0].ref),
			Hints:  []string{"set its minReplicas in the environment"},
		}
	}
	return found[0], nil
}
