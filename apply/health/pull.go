package health

import (
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

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
