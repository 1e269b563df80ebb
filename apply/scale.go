package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// scaleManager is the field manager of a scale.
const scaleManager = schema.Manager + "-scale"

// Scaled is the note of a scale: until then plans leave the replicas of that
// workload as they are.
type Scaled struct {
	Workload string    `json:"workload"` // Kind/name
	Replicas int64     `json:"replicas"`
	Until    time.Time `json:"until"`
	By       string    `json:"by,omitempty"`
}

// String is to what, until when and by whom, for people.
func (s Scaled) String() string {
	text := fmt.Sprintf("%s to %d until %s", s.Workload, s.Replicas, s.Until.Format(time.RFC3339))
	if s.By != "" {
		text += " by " + s.By
	}
	return text
}

// Scale sets the replicas of one workload of an app past git, until the time in
// to. The note on the ApplySet parent makes plans leave them alone until then;
// the first apply afterwards brings back what is rendered. to.Workload may be
// empty where the app has one workload with replicas.
func (c *Cluster) Scale(ctx context.Context, env *schema.Environment, app string, to Scaled) (schema.Ref, error) {
	if !lasts(to.Until, time.Now()) {
		return schema.Ref{}, &Refused{
			Reason: fmt.Sprintf("unit %s: scaled until %s: a scale lasts %d days at most", app, to.Until.Format(time.RFC3339), longestNote/(24*time.Hour)),
			Hints:  []string{"for good, change the replicas in the source"},
		}
	}
	r, err := c.newRollout(ctx, env, app)
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
	if err := note(ctx, r, annotationScaled, &to); err != nil {
		return w.ref, err
	}
	_, err = r.patchAll(ctx, []workload{w}, scaleManager, map[string]any{"spec": map[string]any{"replicas": to.Replicas}})
	return w.ref, err
}

// EndScale ends a scale before its time: the next apply brings back what is
// rendered.
func (c *Cluster) EndScale(ctx context.Context, env *schema.Environment, app string) error {
	r, err := c.newRollout(ctx, env, app)
	if err != nil {
		return err
	}
	if _, ok := notesIn[Scaled](r.parent.live, annotationScaled)[app]; !ok {
		return &Refused{Reason: fmt.Sprintf("unit %s is not scaled past git", app)}
	}
	return note[Scaled](ctx, r, annotationScaled, nil)
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
		return workload{}, &Refused{Reason: fmt.Sprintf("unit %s has no workload with replicas", r.app)}
	case len(found) > 1:
		return workload{}, &Refused{
			Reason: fmt.Sprintf("unit %s has %d workloads with replicas: %s", r.app, len(found), strings.Join(names, ", ")),
			Hints:  []string{fmt.Sprintf("name one: %s/%s=N", r.app, names[0])},
		}
	}
	if autoscaled(r.env)[found[0].ref.String()] {
		return workload{}, &Refused{
			Reason: fmt.Sprintf("an autoscaler decides about the replicas of %s", found[0].ref),
			Hints:  []string{"set its minReplicas in the environment"},
		}
	}
	return found[0], nil
}

// scaledIn are the scales that have not expired, by unit.
func scaledIn(parent *unstructured.Unstructured, now time.Time) map[string]Scaled {
	all := notesIn[Scaled](parent, annotationScaled)
	maps.DeleteFunc(all, func(_ string, s Scaled) bool { return !lasts(s.Until, now) })
	return all
}

// leaveScaled leaves replicas to somebody who scaled past git for a while.
func (p *planner) leaveScaled(it *item) {
	s, ok := p.scaled[it.unit]
	if !ok || s.Workload != it.ref.Kind+"/"+it.ref.Name {
		return
	}
	left := *it.obj
	left.Ignore = append(slices.Clone(left.Ignore), replicasPointer)
	it.obj = &left
	p.warn(fmt.Sprintf("unit %s: scaled past git: %s; its replicas are left alone", it.unit, s))
}
