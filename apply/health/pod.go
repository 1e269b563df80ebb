package health

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// judgePod judges a pod that is declared as such.
func judgePod(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	pod, err := as[corev1.Pod](obj)
	if err != nil {
		return unreadable(err)
	}
	v := verdict{desired: 1}
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		v.Result, v.desired = Result{State: Healthy, Rule: "pod-succeeded"}, 0
		return v
	case corev1.PodFailed:
		v.Result = Result{State: Failed, Rule: "pod-failed", Message: podFailure(pod, related)}
		return v.blame(cause{crash: failedContainer(pod)}, related)
	}
	if ready(pod) && isTask(pod) {
		v.Result = Result{State: Progressing, Rule: "pod-succeeded", Message: "runs, and is done when it ends: its restartPolicy is " + string(pod.Spec.RestartPolicy)}
		return v
	}
	if ready(pod) {
		v.Result, v.ready = Result{State: Healthy, Rule: "pod-ready"}, 1
		return v
	}
	c, ok := podCause(pod, related, now)
	if !ok {
		c.text = "waiting to be scheduled"
		if pod.Spec.NodeName != "" {
			c.text = "starting on node " + pod.Spec.NodeName
		}
	}
	v.Result = Result{State: Progressing, Rule: "pod-ready", Message: c.text}
	return v.blame(c, related)
}

// isTask says that a pod runs to its end: one that serves is restarted, or says by
// a probe that it serves.
func isTask(pod *corev1.Pod) bool {
	return pod.Spec.RestartPolicy != corev1.RestartPolicyAlways && pod.Spec.RestartPolicy != "" &&
		!slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.ReadinessProbe != nil })
}

func ready(pod *corev1.Pod) bool {
	c := podCondition(pod, corev1.PodReady)
	return pod.DeletionTimestamp == nil && c != nil && c.Status == corev1.ConditionTrue
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// podFailure says why a pod of phase Failed ended.
func podFailure(pod *corev1.Pod, related Related) string {
	if pod.Status.Reason != "" || pod.Status.Message != "" {
		return join(pod.Status.Reason, oneLine(pod.Status.Message, 400)) // Evicted, NodeLost, DeadlineExceeded
	}
	for _, cs := range containerStatuses(pod) {
		if t := cs.State.Terminated; t != nil && (t.ExitCode != 0 || t.Signal != 0) {
			text := join("container "+cs.Name, exit(pod, cs.Name, t))
			if t.Message == "" {
				text = join(text, lastWords(logOf(failedContainer(pod), related)))
			}
			return text
		}
	}
	return "its phase is Failed"
}

// failedContainer names the container whose logs explain a pod that ended.
func failedContainer(pod *corev1.Pod) *crash {
	for _, cs := range containerStatuses(pod) {
		if t := cs.State.Terminated; t != nil && t.ExitCode != 0 {
			return &crash{pod: pod, container: cs.Name, restarts: cs.RestartCount}
		}
	}
	return nil
}

// containerStatuses returns the init containers' before the containers'.
func containerStatuses(pod *corev1.Pod) []corev1.ContainerStatus {
	all := make([]corev1.ContainerStatus, 0, len(pod.Status.InitContainerStatuses)+len(pod.Status.ContainerStatuses))
	return append(append(all, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
}
