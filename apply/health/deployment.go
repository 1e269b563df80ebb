package health

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	contract "github.com/seed-428f4edd/evenkeel/schema"
)

// judgeDeployment follows `kubectl rollout status`
// (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go).
func judgeDeployment(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	d, err := as[appsv1.Deployment](obj)
	if err != nil {
		return unreadable(err)
	}
	desired := int(ptr.Deref(d.Spec.Replicas, 1))
	if v, ok := behind(obj, d.Status.ObservedGeneration); ok {
		v.ready, v.desired = int(d.Status.ReadyReplicas), desired
		return v
	}
	s := d.Status
	rs := related.newestReplicaSet(d)
	v := progressing("deployment-rollout", "")
	v.ready, v.desired = min(int(s.UpdatedReplicas), int(s.AvailableReplicas)), desired
	if rs != nil {
		v.ready = min(int(rs.Status.AvailableReplicas), desired)
	}
	if d.Spec.Paused {
		return judgePaused(d, v, pausedBy(obj), related, now)
	}
	if desired == 0 {
		if s.Replicas == 0 {
			return healthy("deployment-scaled-to-zero", "scaled to zero")
		}
		v.Rule, v.Message = "deployment-scaled-to-zero", fmt.Sprintf("%d %s still to end", s.Replicas, plural(int(s.Replicas), "pod"))
		return v
	}
	updated := int(s.UpdatedReplicas) >= desired && int(s.AvailableReplicas) >= int(s.UpdatedReplicas)
	if updated && int(s.Replicas) <= int(s.UpdatedReplicas) {
		v.State, v.ready = Healthy, int(s.AvailableReplicas)
		return v
	}
	v.Message = rolloutWords(d, v.ready, rs != nil)
	deadline := deadlineExceeded(d)
	if deadline != "" {
		v.State, v.Rule = Failed, "deployment-progress-deadline"
	}
	// The Deployment counts the old pods as available: only the new ReplicaSet
	// tells whether it is the new ones that are missing.
	if c, ok := deploymentCause(d, rs, related, now); ok && (v.ready < desired || !updated) {
		return v.because(c, ok, related)
	}
	v.Message = join(v.Message, deadline)
	return v
}

// RulePaused is the Rule of a Deployment that is told to stand still: its pods may be of
// an older version than it asks for.
const RulePaused = "deployment-paused"

// HoldsBack reports whether a workload is healthy with pods of an older version than it
// asks for, because it is told not to replace them: it is worth a line, and no proof of
// the new version.
func (r Result) HoldsBack() bool {
	switch r.Rule {
	case RulePaused, ruleSetOnDelete, rulePartition, ruleDaemonOnDelete:
		return r.State == Healthy && r.Message != ""
	}
	return false
}

// judgePaused answers for a Deployment that is told to stand still: that it does
// so is health, as long as the pods that it had are available. by is who told it so,
// past git.
func judgePaused(d *appsv1.Deployment, v verdict, by string, related Related, now time.Time) verdict {
	s := d.Status
	v.Rule = RulePaused
	v.ready = int(s.AvailableReplicas)
	paused := "paused"
	if by != "" {
		paused = fmt.Sprintf("paused by %s (kubectl rollout resume -n %s deployment/%s)", by, d.Namespace, d.Name)
	}
	switch {
	case s.Replicas == 0:
		v.State, v.Message = Healthy, paused+" before its first rollout: no pods until it is resumed"
	case int(s.AvailableReplicas) >= v.desired:
		v.State, v.Message = Healthy, paused
		if s.UpdatedReplicas < s.Replicas {
			v.Message = fmt.Sprintf("%s: %d of %d updated", paused, s.UpdatedReplicas, v.desired)
		}
	default:
		v.Message = paused + ": " + ofReady(v.ready, v.desired)
		c, ok := deploymentCause(d, related.newestReplicaSet(d), related, now)
		return v.because(c, ok, related)
	}
	return v
}

// pausedBy is the manager that paused a Deployment; "" where that is evenkeel, for git or
// for rollout pause, or nobody on record.
func pausedBy(obj *unstructured.Unstructured) string {
	for _, m := range obj.GetManagedFields() {
		var owned struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if m.FieldsV1 == nil || json.Unmarshal(m.FieldsV1.GetRawBytes(), &owned) != nil {
			continue
		}
		if _, ok := owned.Spec["f:paused"]; !ok {
			continue
		}
		if strings.HasPrefix(m.Manager, contract.Manager) {
			return ""
		}
		return oneLine(m.Manager, 100)
	}
	return ""
}

// rolloutWords says how far a rollout has come.
func rolloutWords(d *appsv1.Deployment, ready int, known bool) string {
	s, desired := d.Status, int(ptr.Deref(d.Spec.Replicas, 1))
	words := ofReady(ready, desired)
	if !known && int(s.UpdatedReplicas) < desired {
		words = fmt.Sprintf("%d of %d updated, %d available", s.UpdatedReplicas, desired, s.AvailableReplicas)
	}
	if old := int(s.Replicas) - int(s.UpdatedReplicas); old > 0 {
		words += fmt.Sprintf(", %d old %s still to go", old, plural(old, "pod"))
	}
	return words
}

func deadlineExceeded(d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
			return fmt.Sprintf("no progress within %ds (progressDeadlineSeconds)", ptr.Deref(d.Spec.ProgressDeadlineSeconds, 600))
		}
	}
	return ""
}

// deploymentCause looks at the new ReplicaSet and its pods; without it, at what
// the Deployment itself repeats of it.
func deploymentCause(d *appsv1.Deployment, rs *appsv1.ReplicaSet, related Related, now time.Time) (cause, bool) {
	if rs != nil {
		if c, ok := podsCause(related.podsOf(rs.UID), related, now); ok {
			return c, true
		}
		if c, ok := replicaFailure(rs.Status.Conditions, related, now); ok {
			return c, true
		}
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return creationCause(c.Reason, c.Message, c.LastTransitionTime.Time, related, now), true
		}
	}
	return cause{}, false
}
