package apply

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// isScaled reports whether an autoscaler targets an object whose replicas somebody
// changed through the scale subresource: one of the environment, or one that
// somebody else made. One that this plan prunes no longer counts.
func (p *planner) isScaled(ctx context.Context, it *item, diffs []managed.Difference) (bool, error) {
	if p.targets[it.ref.String()] {
		return true, nil
	}
	if !slices.ContainsFunc(diffs, managed.Difference.WasScaled) {
		return false, nil
	}
	found, err := p.hasScaler(ctx, it)
	if apierrors.IsForbidden(err) {
		return true, nil // better a conflict too many
	}
	return found, err
}

// hasScaler asks the cluster for an autoscaler that targets an object.
func (p *planner) hasScaler(ctx context.Context, it *item) (bool, error) {
	m, err := p.cluster.Mapping(ctx, kschema.GroupVersionKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"})
	if err != nil {
		return false, err
	}
	found := &scalerOf{planner: p, target: it.ref.String()}
	err = p.cluster.List(ctx, m, it.ref.Namespace, "", found)
	return found.found, err
}

// scalerOf looks for the autoscaler of a target.
type scalerOf struct {
	planner *planner
	target  string
	found   bool
}

func (s *scalerOf) Restart() { s.found = false }

func (s *scalerOf) Visit(scaler *unstructured.Unstructured) {
	mine := slices.Contains(s.planner.rules.sets, scaler.GetLabels()[schema.LabelPartOf])
	if mine && s.planner.desired[schema.IDOf(scaler)] == nil {
		return
	}
	s.found = s.found || kinds.ScaleTarget(scaler).String() == s.target
}

// replicasPointer is the field that autoscalers write through the scale
// subresource of every built-in workload.
const replicasPointer = "/spec/replicas"

// handsOver reports whether this apply stops rendering replicas that are still
// ours alone while an autoscaler takes over, of the environment or of somebody else:
// plain server-side apply would reset them to 1 for a moment. Where nobody takes
// over, that is what it does, and it is said.
func (p *planner) handsOver(ctx context.Context, it *item, diffs []managed.Difference) (bool, error) {
	if _, rendered, _ := unstructured.NestedFieldNoCopy(it.obj.Object, "spec", "replicas"); rendered || !managed.Sets(it.live, "spec", "replicas") {
		return false, nil
	}
	if p.targets[it.ref.String()] {
		return true, nil
	}
	if !slices.ContainsFunc(diffs, func(d managed.Difference) bool { return d.Path.Fields() == "spec.replicas" }) {
		return false, nil
	}
	switch found, err := p.hasScaler(ctx, it); {
	case apierrors.IsForbidden(err):
		p.warn(fmt.Sprintf("%s: replicas are no longer set in git and go back to the default of 1, as far as can be seen: autoscalers may not be listed", it.ref))
		return false, nil
	case err != nil || found:
		return found, err
	}
	p.warn(fmt.Sprintf("%s: replicas are no longer set in git and go back to the default of 1; no autoscaler targets it", it.ref))
	return false, nil
}

// keepsReplicas reports whether an object that is made anew starts with the replicas that
// it has: git does not say how many, an autoscaler does, and would begin at 1.
func (p *planner) keepsReplicas(ctx context.Context, it *item) (bool, error) {
	_, rendered, _ := unstructured.NestedFieldNoCopy(it.obj.Object, "spec", "replicas")
	n, live, err := unstructured.NestedInt64(it.live.Object, "spec", "replicas")
	if err != nil || rendered || !live || n == 1 {
		return false, nil
	}
	if p.targets[it.ref.String()] {
		return true, nil
	}
	found, err := p.hasScaler(ctx, it)
	if apierrors.IsForbidden(err) {
		return true, nil
	}
	return found, err
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
