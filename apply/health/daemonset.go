package health

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ruleDaemonOnDelete is the Rule of a DaemonSet whose pods are replaced by who deletes them.
const ruleDaemonOnDelete = "daemonset-on-delete"

// judgeDaemonSet follows kubectl, which does not know OnDelete. maxSurge needs
// no rule of its own: updated and available count nodes.
func judgeDaemonSet(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	set, err := as[appsv1.DaemonSet](obj)
	if err != nil {
		return unreadable(err)
	}
	s := set.Status
	if v, ok := behind(obj, s.ObservedGeneration); ok {
		v.ready, v.desired = int(s.NumberReady), int(s.DesiredNumberScheduled)
		return v
	}
	v := progressing("daemonset-rollout", "")
	v.ready, v.desired = int(s.NumberAvailable), int(s.DesiredNumberScheduled)
	onDelete := set.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
	switch {
	case v.desired == 0:
		return healthy("daemonset-no-nodes", "no node matches")
	case onDelete && int(s.NumberReady) >= v.desired:
		v.State, v.Rule, v.ready = Healthy, ruleDaemonOnDelete, int(s.NumberReady)
		if old := v.desired - int(s.UpdatedNumberScheduled); old > 0 {
			v.Message = fmt.Sprintf("%d of %d pods run the former revision until they are deleted (OnDelete)", old, v.desired)
		}
		return v
	case !onDelete && int(s.UpdatedNumberScheduled) < v.desired:
		v.Message = fmt.Sprintf("%d of %d updated, %d available", s.UpdatedNumberScheduled, v.desired, s.NumberAvailable)
	case int(s.NumberAvailable) < v.desired:
		v.Message = ofReady(v.ready, v.desired)
	default:
		v.State = Healthy
		return v
	}
	c, ok := daemonSetCause(set, related, now)
	return v.because(c, ok, related)
}

func daemonSetCause(set *appsv1.DaemonSet, related Related, now time.Time) (cause, bool) {
	hash, known := related.newestRevision(set.UID)
	pods := related.podsOf(set.UID)
	var fresh []*corev1.Pod
	for _, p := range pods {
		if known && p.Labels[appsv1.ControllerRevisionHashLabelKey] == hash {
			fresh = append(fresh, p)
		}
	}
	if c, ok := podsCause(fresh, related, now); ok {
		return c, true
	}
	if c, ok := deletingCause(pods, now); ok {
		return c, true
	}
	return creationEvents(set.UID, related, now)
}
