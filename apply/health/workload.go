package health

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
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
		return judgePaused(d, v, related, now)
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

// judgePaused answers for a Deployment that is told to stand still: that it does
// so is health, as long as the pods that it had are available.
func judgePaused(d *appsv1.Deployment, v verdict, related Related, now time.Time) verdict {
	s := d.Status
	v.Rule = "deployment-paused"
	v.ready = int(s.AvailableReplicas)
	switch {
	case s.Replicas == 0:
		v.State, v.Message = Healthy, "paused before its first rollout: no pods until it is resumed"
	case int(s.AvailableReplicas) >= v.desired:
		v.State, v.Message = Healthy, "paused"
		if s.UpdatedReplicas < s.Replicas {
			v.Message = fmt.Sprintf("paused: %d of %d updated", s.UpdatedReplicas, v.desired)
		}
	default:
		v.Message = "paused: " + ofReady(v.ready, v.desired)
		c, ok := deploymentCause(d, related.newestReplicaSet(d), related, now)
		return v.because(c, ok, related)
	}
	return v
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

func replicaFailure(conditions []appsv1.ReplicaSetCondition, related Related, now time.Time) (cause, bool) {
	for _, c := range conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			return creationCause(c.Reason, c.Message, c.LastTransitionTime.Time, related, now), true
		}
	}
	return cause{}, false
}

// creationCause tells why the API server refuses pods. Pod Security decides by
// the template alone; quota may be freed by the pods that are going, and a
// service account may be on its way.
func creationCause(reason, message string, since time.Time, related Related, now time.Time) cause {
	c := cause{text: join(reason, oneLine(message, 600)), weight: weightConfig}
	switch {
	case strings.Contains(message, "violates PodSecurity"), strings.Contains(message, "is invalid:"):
		c.sure = true
	default:
		c.sure = !since.IsZero() && related.elapsed(since, now) > 15*time.Second
	}
	return c
}

// podsCause picks the worst cause of a set of pods and counts who shares it.
func podsCause(pods []*corev1.Pod, related Related, now time.Time) (worst cause, ok bool) {
	var (
		name   string
		shared = map[string]int{}
	)
	for _, p := range pods {
		if p.DeletionTimestamp != nil || ready(p) {
			continue
		}
		c, found := podCause(p, related, now)
		if !found {
			continue
		}
		shared[c.gist()]++
		if !ok || c.worseThan(worst) {
			worst, name, ok = c, p.Name, true
		}
	}
	if !ok {
		return cause{}, false
	}
	who := "pod " + name
	if more := shared[worst.gist()] - 1; more > 0 {
		who += fmt.Sprintf(" and %d more", more)
	}
	worst.text = who + ": " + worst.text
	return worst, true
}

// gist is what two pods must have in common to have the same cause.
func (c cause) gist() string {
	return alike(strings.TrimSuffix(c.text, c.words))
}

// alike leaves the numbers out of a cause, so that "running for 5s" and
// "running for 6s" are one.
func alike(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

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
		v.State, v.Rule = Healthy, "statefulset-on-delete"
		if old := desired - updated; !current && old > 0 {
			v.Message = fmt.Sprintf("%d of %d pods run the former revision until they are deleted (OnDelete)", old, desired)
		}
		return v
	case int(s.Replicas) > desired:
		v.Message = fmt.Sprintf("%s, %d %s still to end", ofReady(v.ready, desired), int(s.Replicas)-desired, plural(int(s.Replicas)-desired, "pod"))
	case partition > 0:
		v.Rule = "statefulset-partition"
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

// because adds a cause, where there is one, to the message of a verdict.
func (v verdict) because(c cause, ok bool, related Related) verdict {
	if !ok {
		return v
	}
	v.Message = join(v.Message, c.text)
	return v.blame(c, related)
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
		c.sure = false // it is not what was just applied
		c.text += "; it is of the former revision, and the rollout waits for it: delete the pod if it cannot recover"
	}
	return c, ok
}

// creationEvents is the cause for owners that have no condition for it.
func creationEvents(owner types.UID, related Related, now time.Time) (cause, bool) {
	found := related.events(owner, now, "FailedCreate", "FailedDaemonPod")
	if len(found) == 0 || eventTime(found[0]).Before(related.since(now)) {
		return cause{}, false
	}
	return creationCause(found[0].Reason, found[0].Message, eventFirst(found[0]), related, now), true
}

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
		v.State, v.Rule, v.ready = Healthy, "daemonset-on-delete", int(s.NumberReady)
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

// deletingCause names a pod that should have ended by now and whose place no
// other can take: its node is down, or something holds it.
func deletingCause(pods []*corev1.Pod, now time.Time) (cause, bool) {
	const overdue = 30 * time.Second // deletionTimestamp has the grace period in it
	for _, p := range pods {
		if p.DeletionTimestamp == nil || now.Sub(p.DeletionTimestamp.Time) < overdue {
			continue
		}
		text := fmt.Sprintf("pod %s should have ended %s ago", p.Name, short(now.Sub(p.DeletionTimestamp.Time)))
		if p.Spec.NodeName != "" {
			text += ": is node " + p.Spec.NodeName + " up?"
		}
		if len(p.Finalizers) > 0 {
			text += " It is held by " + plural(len(p.Finalizers), "finalizer") + " " + strings.Join(p.Finalizers, ", ")
		}
		return cause{text: text, weight: weightWaiting}, true
	}
	return cause{}, false
}

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
