package health

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
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

// exit says how a container ended: by which code or signal, and for want of
// memory under which limit.
func exit(pod *corev1.Pod, container string, t *corev1.ContainerStateTerminated) string {
	var how string
	switch signal := int(t.ExitCode) - 128; {
	case t.Reason == "OOMKilled":
		how = "OOMKilled"
		if limit := memoryLimit(pod, container); limit != "" {
			how += " (memory limit " + limit + ")"
		}
	case t.Signal != 0:
		how = fmt.Sprintf("killed by signal %d (%s)", t.Signal, signalName(int(t.Signal)))
	case signal > 0 && signal < 32:
		how = fmt.Sprintf("exit %d (%s)", t.ExitCode, signalName(signal))
	case t.ExitCode == 0:
		how = "exit 0: the process ended by itself, a container that serves must not"
		if pod.Spec.RestartPolicy != corev1.RestartPolicyAlways {
			how = "exit 0"
		}
	default:
		how = fmt.Sprintf("exit %d", t.ExitCode)
		if t.Reason != "" && t.Reason != "Error" {
			how += " (" + t.Reason + ")" // ContainerCannotRun, StartError
		}
	}
	return join(how, oneLine(t.Message, 400))
}

func signalName(n int) string {
	names := map[int]string{1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}
	if name, ok := names[n]; ok {
		return name
	}
	return syscall.Signal(n).String()
}

func memoryLimit(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == container {
			return limit.String()
		}
	}
	return ""
}

// lastWords picks the line of a log that says most: the last "Caused by", else
// the last one that is not part of a stack trace.
func lastWords(log string) string {
	var last, caused string
	for line := range strings.SplitSeq(log, "\n") {
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "Caused by:"):
			caused = line
		case line[0] != ' ' && line[0] != '\t':
			last = line
		}
	}
	if caused != "" {
		last = caused
	}
	if last == "" {
		return ""
	}
	return "last log line: " + oneLine(last, 200)
}

// pullCause tells why an image does not come. Waiting does not help against a
// wrong name or a refusal, but it does against a registry that is down.
func pullCause(pod *corev1.Pod, cs corev1.ContainerStatus, related Related, now time.Time) cause {
	w := cs.State.Waiting
	answer, since := pullAnswer(w.Message), time.Time{}
	for _, e := range related.events(pod.UID, now, "Failed", "InspectFailed") {
		if !strings.Contains(e.Message, `"`+cs.Image+`"`) && !strings.HasSuffix(e.InvolvedObject.FieldPath, "{"+cs.Name+"}") {
			continue
		}
		if a := pullAnswer(e.Message); a != "" {
			if answer == "" {
				answer = a
			}
			since = eventFirst(e)
			break
		}
	}
	c := cause{text: join(w.Reason, named(answer, cs.Image)), weight: weightPull}
	backOff := w.Reason == "ImagePullBackOff"
	switch verdictOnPull(answer) {
	case pullRefused:
		c.sure = backOff
	case pullTransient:
	default:
		c.sure = backOff && (since.IsZero() && scheduledFor(pod, related, now) > 20*time.Second || !since.IsZero() && related.elapsed(since, now) > 10*time.Second)
	}
	if unauthorised(answer) {
		c.text += pullSecrets(pod, related, now)
	}
	return c
}

// named puts the image in front of an answer that does not name it.
func named(answer, image string) string {
	if strings.Contains(answer, image) {
		return answer
	}
	return join(image, answer)
}

// The wrappings of kubelet and containerd around a registry's answer.
var pullWrapping = regexp.MustCompile(`^(rpc error: code = \w+ desc = |Back-off pulling image "[^"]*"(: )?|ErrImagePull(: |$)|Error: ErrImagePull$|Error: ImagePullBackOff$|` +
	`Failed to pull image "[^"]*": |failed to pull and unpack image "[^"]*": |failed to resolve (reference|image) "[^"]*": |failed to copy: |failed to do request: |Error response from daemon: )`)

// pullAnswer takes the wrappings off.
func pullAnswer(message string) string {
	message = oneLine(message, 1000)
	for {
		bare := pullWrapping.ReplaceAllString(message, "")
		if bare == message {
			return oneLine(message, 300)
		}
		message = strings.TrimSpace(bare)
	}
}

type pullVerdict int

const (
	pullUnclear pullVerdict = iota
	pullTransient
	pullRefused
)

func verdictOnPull(answer string) pullVerdict {
	a := strings.ToLower(answer)
	for _, word := range []string{
		"i/o timeout", "timeout exceeded", "timed out", "connection refused", "connection reset", "no route to host", "unreachable", "tls handshake timeout", "temporary failure",
		"server misbehaving", "toomanyrequests", "too many requests", "429", "500 internal", "502 bad", "503 service", "504 gateway", "unexpected eof", ": eof", "qps exceeded", "context deadline", "context canceled",
	} {
		if strings.Contains(a, word) {
			return pullTransient
		}
	}
	for _, word := range []string{
		"not found", "manifest unknown", "name unknown", "does not exist", "unauthorized", "denied", "authentication required", "no basic auth", "forbidden", "insufficient_scope", "authorization failed",
		"no match for platform", "no matching manifest", "invalid reference", "couldn't parse image", "x509:", "server gave http response to https client",
	} {
		if strings.Contains(a, word) {
			return pullRefused
		}
	}
	return pullUnclear
}

func unauthorised(answer string) bool {
	a := strings.ToLower(answer)
	for _, word := range []string{"unauthorized", "denied", "authentication required", "no basic auth", "forbidden", "insufficient_scope", "authorization failed"} {
		if strings.Contains(a, word) {
			return true
		}
	}
	return false
}

// pullSecrets says with which credentials a refused pull was tried.
func pullSecrets(pod *corev1.Pod, related Related, now time.Time) string {
	if e := related.events(pod.UID, now, "FailedToRetrieveImagePullSecret"); len(e) > 0 {
		return " (" + oneLine(e[0].Message, 200) + ")"
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		return " (the pod has no imagePullSecrets)"
	}
	names := make([]string, 0, len(pod.Spec.ImagePullSecrets))
	for _, s := range pod.Spec.ImagePullSecrets {
		names = append(names, s.Name)
	}
	return " (with " + plural(len(names), "imagePullSecret") + " " + strings.Join(names, ", ") + ")"
}
