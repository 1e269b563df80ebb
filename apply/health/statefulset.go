package health

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

// The rules of a StatefulSet that keeps pods of its former revision.
const (
	ruleSetOnDelete = "statefulset-on-delete"
	rulePartition   = "statefulset-partition"
)

// judgeStatefulSet follows kubectl, which does not know OnDelete.
func judgeStatefulSet(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	set, err := as[appsv1.StatefulSet](obj)
	if err != nil {
		return unreadable(err)
	}
	s, desired := set.Status, int(ptr.Deref(set.Spec.Replicas, 1))
	if v, ok := behind(obj, s.ObservedGeneration); ok {
		v.ready, v.desired = int(s.ReadyReplicas), desired
		return v
	}
	v := progressing("statefulset-rollout", "")
	v.ready, v.desired = int(s.ReadyReplicas), desired
	onDelete := set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType
	partition := 0
	if r := set.Spec.UpdateStrategy.RollingUpdate; r != nil {
		partition = int(ptr.Deref(r.Partition, 0))
	}
	// The controller moves currentRevision only when a rollout without a
	// partition is complete; updatedReplicas is 0 then on old servers.
	current := s.UpdateRevision == "" || s.CurrentRevision == s.UpdateRevision
	updated := int(s.UpdatedReplicas)
	switch {
	case desired == 0:
		v.Rule = "statefulset-scaled-to-zero"
		if s.Replicas > 0 {
			v.Message = fmt.Sprintf("%d %s still to end", s.Replicas, plural(int(s.Replicas), "pod"))
			return v
		}
		v.State, v.Message = Healthy, "scaled to zero"
		return v
	case v.ready < desired, set.Spec.MinReadySeconds > 0 && int(s.AvailableReplicas) < desired:
		v.ready = min(v.ready, max(int(s.AvailableReplicas), 0))
		if set.Spec.MinReadySeconds == 0 {
			v.ready = int(s.ReadyReplicas)
		}
		v.Message = ofReady(v.ready, desired)
	case onDelete:
		v.State, v.Rule = Healthy, ruleSetOnDelete
		if old := desired - updated; !current && old > 0 {
			v.Message = fmt.Sprintf("%d of %d pods run the former revision until they are deleted (OnDelete)", old, desired)
		}
		return v
	case int(s.Replicas) > desired:
		v.Message = fmt.Sprintf("%s, %d %s still to end", ofReady(v.ready, desired), int(s.Replicas)-desired, plural(int(s.Replicas)-desired, "pod"))
	case partition > 0:
		v.Rule = rulePartition
		want := max(desired-partition, 0)
		if current || updated >= want {
			v.State, v.Message = Healthy, fmt.Sprintf("%d of %d updated, partition %d holds the rest", min(updated, desired), desired, partition)
			if current {
				v.Message = ""
			}
			return v
		}
		v.Message = fmt.Sprintf("%d of %d updated (partition %d)", updated, want, partition)
	case !current:
		v.Message = fmt.Sprintf("%d of %d updated", updated, desired)
	default:
		v.State = Healthy
		return v
	}
	c, ok := statefulSetCause(set, related, now)
	return v.because(c, ok, related)
}

// statefulSetCause prefers the pods of the update revision. A pod of the former
// one that is not ready stops the rollout for good: the controller waits for it
// (kubernetes.io/docs/concepts/workloads/controllers/statefulset, forced rollback).
func statefulSetCause(set *appsv1.StatefulSet, related Related, now time.Time) (cause, bool) {
	var fresh, former []*corev1.Pod
	for _, p := range related.podsOf(set.UID) {
		if hash := p.Labels[appsv1.ControllerRevisionHashLabelKey]; set.Status.UpdateRevision == "" || hash == set.Status.UpdateRevision {
			fresh = append(fresh, p)
		} else {
			former = append(former, p)
		}
	}
	if c, ok := podsCause(fresh, related, now); ok {
		return c, true
	}
	if c, ok := creationEvents(set.UID, related, now); ok {
		return c, true
	}
	if c, ok := deletingCause(append(fresh, former...), now); ok {
		return c, true
	}
	c, ok := podsCause(former, related, now)
	if ok {
		// It is not what was just applied, and the controller of the set does not
		// replace it: a rollout in order waits for it as long as it is there.
		c.sure = c.sure && rollsInOrder(set) && related.elapsed(set.CreationTimestamp.Time, now) >= stuckPod
		c.text += "; it is of the former revision, and the rollout waits for it: delete the pod if it cannot recover: kubectl -n " + set.Namespace + " delete pod" + unready(former)
	}
	return c, ok
}

// stuckPod is how long a pod of the former revision may hold up a rollout by a cause
// that waiting does not help against.
const stuckPod = 30 * time.Second

func rollsInOrder(set *appsv1.StatefulSet) bool {
	r := set.Spec.UpdateStrategy.RollingUpdate
	return set.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType && (r == nil || ptr.Deref(r.Partition, 0) == 0)
}

// unready are the names of the pods that are not ready.
func unready(pods []*corev1.Pod) string {
	var out strings.Builder
	for _, p := range pods {
		if !ready(p) && p.DeletionTimestamp == nil {
			out.WriteString(" " + p.Name)
		}
	}
	return out.String()
}
