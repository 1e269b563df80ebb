package health

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

func judgeReplicaSet(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	rs, err := as[appsv1.ReplicaSet](obj)
	if err != nil {
		return unreadable(err)
	}
	desired := int(ptr.Deref(rs.Spec.Replicas, 1))
	v := judgeReplicas(obj, "replicaset", rs.Status.ObservedGeneration, desired, int(rs.Status.Replicas), int(rs.Status.AvailableReplicas))
	if v.State == Healthy || v.Rule == "observed-generation" {
		return v
	}
	c, ok := podsCause(related.podsOf(rs.UID), related, now)
	if !ok {
		c, ok = replicaFailure(rs.Status.Conditions, related, now)
	}
	return v.because(c, ok, related)
}

func judgeReplicationController(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	rc, err := as[corev1.ReplicationController](obj)
	if err != nil {
		return unreadable(err)
	}
	desired := int(ptr.Deref(rc.Spec.Replicas, 1))
	v := judgeReplicas(obj, "replicationcontroller", rc.Status.ObservedGeneration, desired, int(rc.Status.Replicas), int(rc.Status.AvailableReplicas))
	if v.State == Healthy || v.Rule == "observed-generation" {
		return v
	}
	c, ok := podsCause(related.podsOf(rc.UID), related, now)
	for _, cond := range rc.Status.Conditions {
		if !ok && cond.Type == corev1.ReplicationControllerReplicaFailure && cond.Status == corev1.ConditionTrue {
			c, ok = creationCause(cond.Reason, cond.Message, cond.LastTransitionTime.Time, related, now), true
		}
	}
	return v.because(c, ok, related)
}

// judgeReplicas counts pods of a controller without revisions.
func judgeReplicas(obj *unstructured.Unstructured, kind string, observed int64, desired, replicas, available int) verdict {
	if v, ok := behind(obj, observed); ok {
		v.ready, v.desired = available, desired
		return v
	}
	v := progressing(kind+"-available", ofReady(available, desired))
	v.ready, v.desired = available, desired
	switch {
	case desired == 0 && replicas == 0:
		v.State, v.Rule, v.Message = Healthy, kind+"-scaled-to-zero", "scaled to zero"
	case replicas > desired:
		v.Message = fmt.Sprintf("%d %s still to end", replicas-desired, plural(replicas-desired, "pod"))
	case available >= desired:
		v.State, v.Message = Healthy, ""
	}
	return v
}
