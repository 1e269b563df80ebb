package health

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// podCause says why a pod is not ready; ok is false where nothing is known that
// would not go without saying.
func podCause(pod *corev1.Pod, related Related, now time.Time) (worst cause, ok bool) {
	if pod.Status.Phase == corev1.PodFailed {
		return cause{text: podFailure(pod, related), weight: weightCrash, crash: failedContainer(pod)}, true
	}
	if c, ok := schedulingCause(pod, related, now); ok {
		return c, true
	}
	for _, cs := range containerStatuses(pod) {
		c, found := containerCause(pod, cs, related, now)
		if found && (!ok || c.worseThan(worst)) {
			worst, ok = c, true
		}
	}
	if ok && worst.weight > weightVolume {
		return worst, true
	}
	if c, found := setupCause(pod, related, now); found {
		return c, true
	}
	if ok {
		return worst, true
	}
	return gateCause(pod)
}

// schedulingCause repeats the scheduler's words. Room can appear, so it is
// never sure.
func schedulingCause(pod *corev1.Pod, related Related, now time.Time) (cause, bool) {
	c := podCondition(pod, corev1.PodScheduled)
	if c == nil || c.Status != corev1.ConditionFalse {
		return cause{}, false
	}
	if c.Reason == corev1.PodReasonSchedulingGated {
		return cause{text: "held by a scheduling gate: " + gates(pod), weight: weightUnschedulable}, true
	}
	text := []string{join("cannot be scheduled", oneLine(c.Message, 600))}
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		claim := related.claim(pod.Namespace, v.PersistentVolumeClaim.ClaimName)
		if claim != nil && claim.Status.Phase != corev1.ClaimBound {
			why := fmt.Sprintf("claim %s is %s", claim.Name, phaseOf(claim))
			if e := related.events(claim.UID, now, "ProvisioningFailed", "FailedBinding"); len(e) > 0 {
				why = join(why, oneLine(e[0].Message, 300))
			}
			text = append(text, why)
		}
	}
	return cause{text: strings.Join(text, "; "), weight: weightUnschedulable}, true
}

func gates(pod *corev1.Pod) string {
	names := make([]string, 0, len(pod.Spec.SchedulingGates))
	for _, g := range pod.Spec.SchedulingGates {
		names = append(names, g.Name)
	}
	return strings.Join(names, ", ")
}

func phaseOf(claim *corev1.PersistentVolumeClaim) string {
	if claim.Status.Phase == "" {
		return string(corev1.ClaimPending)
	}
	return string(claim.Status.Phase)
}

// setupCause repeats what keeps the kubelet from starting containers: volumes,
// the pod sandbox, the network plug-in.
func setupCause(pod *corev1.Pod, related Related, now time.Time) (cause, bool) {
	if initialised(pod) {
		return cause{}, false
	}
	found := related.events(pod.UID, now, "FailedMount", "FailedAttachVolume", "FailedMapVolume",
		"FailedCreatePodSandBox", "NetworkNotReady", "FailedPrepareDynamicResources", "FailedSync")
	if len(found) == 0 {
		return cause{}, false
	}
	e := found[0]
	// What a volume refers to is applied before the pod: still absent after
	// several tries, it does not come by waiting.
	absent := e.Reason == "FailedMount" && strings.Contains(e.Message, "not found") &&
		(strings.Contains(e.Message, "configmap ") || strings.Contains(e.Message, "secret "))
	sure := absent && related.elapsed(eventFirst(e), now) > 20*time.Second && e.Count >= 3
	return cause{text: join(e.Reason, oneLine(e.Message, 400)), weight: weightVolume, sure: sure}, true
}

// initialised says that containers have been started, so that events about
// volumes are history.
func initialised(pod *corev1.Pod) bool {
	for _, cs := range containerStatuses(pod) {
		if cs.State.Running != nil || cs.State.Terminated != nil || cs.RestartCount > 0 {
			return true
		}
	}
	return false
}

// gateCause names the readiness gates that hold a pod whose containers run.
func gateCause(pod *corev1.Pod) (cause, bool) {
	c := podCondition(pod, corev1.ContainersReady)
	if c == nil || c.Status != corev1.ConditionTrue {
		return cause{}, false
	}
	for _, g := range pod.Spec.ReadinessGates {
		met := podCondition(pod, g.ConditionType)
		if met == nil {
			return cause{text: fmt.Sprintf("readiness gate %s has not been reported", g.ConditionType), weight: weightUnready}, true
		}
		if met.Status != corev1.ConditionTrue {
			return cause{text: join(fmt.Sprintf("readiness gate %s is %s", g.ConditionType, met.Status), met.Message), weight: weightUnready}, true
		}
	}
	text := "its containers are ready, the pod is not"
	if r := podCondition(pod, corev1.PodReady); r != nil {
		text = join(text, r.Reason, r.Message)
	}
	return cause{text: text + ": is node " + pod.Spec.NodeName + " up?", weight: weightUnready}, true
}
