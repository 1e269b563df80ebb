package health

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// crash names a run of a container whose last log lines explain a failure.
type crash struct {
	pod       *corev1.Pod
	container string
	restarts  int32
	previous  bool // the run before the present one
}

func (c *crash) key() LogKey {
	return LogKey{Pod: c.pod.UID, Container: c.container, Restarts: c.restarts}
}

func logOf(c *crash, related Related) string {
	if c == nil {
		return ""
	}
	return related.Logs[c.key()]
}

// containerCause says why a container keeps its pod from being ready.
func containerCause(pod *corev1.Pod, cs corev1.ContainerStatus, related Related, now time.Time) (cause, bool) {
	var (
		c  cause
		ok bool
	)
	switch {
	case cs.State.Waiting != nil:
		c, ok = waitingCause(pod, cs, related, now)
	case cs.State.Terminated != nil:
		c, ok = terminatedCause(pod, cs, related, now)
	case cs.State.Running != nil:
		c, ok = runningCause(pod, cs, related, now)
	}
	if !ok {
		return cause{}, false
	}
	kind := "container "
	for _, init := range pod.Status.InitContainerStatuses {
		if init.Name == cs.Name {
			kind = "init container "
		}
	}
	c.text = kind + cs.Name + ": " + c.text
	return c, true
}

func waitingCause(pod *corev1.Pod, cs corev1.ContainerStatus, related Related, now time.Time) (cause, bool) {
	w := cs.State.Waiting
	switch w.Reason {
	case "", "ContainerCreating", "PodInitializing":
		if cs.LastTerminationState.Terminated != nil {
			return crashCause(pod, cs, related, now), true
		}
		return cause{}, false
	case "CrashLoopBackOff":
		return crashCause(pod, cs, related, now), true
	case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
		return pullCause(pod, cs, related, now), true
	case "InvalidImageName", "ErrImageNeverPull":
		return cause{text: join(w.Reason, named(oneLine(w.Message, 300), cs.Image)), weight: weightPull, sure: true}, true
	case "CreateContainerConfigError":
		// A missing ConfigMap or Secret may be on its way in the same apply.
		return cause{text: join(w.Reason, oneLine(w.Message, 300)), weight: weightConfig, sure: scheduledFor(pod, related, now) > 10*time.Second}, true
	default: // CreateContainerError, RunContainerError, PostStartHookError, ...
		c := cause{text: join(w.Reason, oneLine(w.Message, 400)), weight: weightConfig, sure: cs.RestartCount >= related.restarts() || scheduledFor(pod, related, now) > 30*time.Second}
		if t := cs.LastTerminationState.Terminated; t != nil && w.Message == "" {
			c.text = join(w.Reason, exit(pod, cs.Name, t))
		}
		return c, true
	}
}

// scheduledFor is how long the pod has had a node.
func scheduledFor(pod *corev1.Pod, related Related, now time.Time) time.Duration {
	if c := podCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero() {
		return related.elapsed(c.LastTransitionTime.Time, now)
	}
	if pod.Status.StartTime != nil {
		return related.elapsed(pod.Status.StartTime.Time, now)
	}
	return 0
}

// crashCause tells how a container that was restarted ended. It counts as sure
// in CrashLoopBackOff after as many restarts as related says: an application
// that waits for another by crashing once or twice is not a failure.
func crashCause(pod *corev1.Pod, cs corev1.ContainerStatus, related Related, now time.Time) cause {
	c := cause{weight: weightCrash, crash: &crash{pod: pod, container: cs.Name, restarts: cs.RestartCount, previous: true}}
	var parts []string
	if w := cs.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" {
		parts = append(parts, fmt.Sprintf("CrashLoopBackOff after %d %s", cs.RestartCount, plural(int(cs.RestartCount), "restart")))
		c.sure = cs.RestartCount >= related.restarts()
	} else {
		parts = append(parts, fmt.Sprintf("restarted %d %s", cs.RestartCount, plural(int(cs.RestartCount), "time")))
	}
	if t := cs.LastTerminationState.Terminated; t != nil {
		parts = append(parts, exit(pod, cs.Name, t))
		if p := probe(pod, cs.Name, "Liveness probe failed", related, now); p != "" && (t.ExitCode == 137 || t.ExitCode == 143) {
			parts = append(parts, p)
		}
		if t.Message == "" {
			c.words = lastWords(logOf(c.crash, related))
		}
	}
	c.text = join(append(parts, c.words)...)
	return c
}

func terminatedCause(pod *corev1.Pod, cs corev1.ContainerStatus, related Related, now time.Time) (cause, bool) {
	t := cs.State.Terminated
	if t.ExitCode == 0 && (pod.Spec.RestartPolicy != corev1.RestartPolicyAlways || isInit(pod, cs.Name)) {
		return cause{}, false
	}
	c := cause{weight: weightCrash, crash: &crash{pod: pod, container: cs.Name, restarts: cs.RestartCount}}
	c.text = exit(pod, cs.Name, t)
	if p := probe(pod, cs.Name, "Liveness probe failed", related, now); p != "" && t.ExitCode != 0 {
		c.text = join(c.text, p)
	}
	if t.Message == "" {
		c.words = lastWords(logOf(c.crash, related))
	}
	c.text = join(c.text, c.words)
	return c, true
}

func isInit(pod *corev1.Pod, container string) bool {
	for _, cs := range pod.Status.InitContainerStatuses {
		if cs.Name == container {
			return true
		}
	}
	return false
}

func runningCause(pod *corev1.Pod, cs corev1.ContainerStatus, related Related, now time.Time) (cause, bool) {
	if cs.Ready {
		return cause{}, false
	}
	if isInit(pod, cs.Name) && !sidecar(pod, cs.Name) {
		return cause{text: "running for " + short(max(0, now.Sub(cs.State.Running.StartedAt.Time))), weight: weightWaiting}, true
	}
	if cs.RestartCount > 0 && cs.LastTerminationState.Terminated != nil {
		return crashCause(pod, cs, related, now), true
	}
	c := cause{text: "running, not ready", weight: weightUnready}
	if at := cs.State.Running.StartedAt; !at.IsZero() && now.After(at.Time) {
		c.text = "running for " + short(now.Sub(at.Time)) + ", not ready"
	}
	if cs.Started != nil && !*cs.Started && startupProbe(pod, cs.Name) {
		c.text = strings.Replace(c.text, "not ready", "startup probe not passed", 1)
	}
	c.text = join(c.text, probe(pod, cs.Name, "", related, now))
	return c, true
}

func sidecar(pod *corev1.Pod, container string) bool {
	for _, c := range pod.Spec.InitContainers {
		if c.Name == container {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}

func startupProbe(pod *corev1.Pod, container string) bool {
	for _, c := range pod.Spec.Containers {
		if c.Name == container {
			return c.StartupProbe != nil
		}
	}
	return false
}

// probe returns the newest answer of a container's probes, as the kubelet
// reports it in its Unhealthy events.
func probe(pod *corev1.Pod, container, prefix string, related Related, now time.Time) string {
	for _, e := range related.events(pod.UID, now, "Unhealthy", "ProbeWarning") {
		path := e.InvolvedObject.FieldPath
		if path != "" && !strings.HasSuffix(path, "{"+container+"}") {
			continue
		}
		if eventTime(e).Before(startOf(pod, container)) {
			continue // of a run before
		}
		if strings.HasPrefix(e.Message, prefix) {
			return oneLine(e.Message, 300)
		}
	}
	return ""
}

// startOf is when the present run of a container began; zero if it does not run.
func startOf(pod *corev1.Pod, container string) time.Time {
	for _, cs := range containerStatuses(pod) {
		if cs.Name == container && cs.State.Running != nil {
			return cs.State.Running.StartedAt.Time
		}
	}
	return time.Time{}
}
