package health

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// cause is why a pod, or what stands on pods, is not healthy.
type cause struct {
	text string
	// sure causes do not go away by waiting: the image does not exist, the
	// container crashes every time.
	sure bool
	// weight orders the causes of one object: the more it explains, the higher.
	weight int
	crash  *crash
	// words are the last of the container's log, which the text ends with:
	// pods whose causes differ in them alone have the same one.
	words string
}

// The weights: what ended says more than what has not begun.
const (
	weightWaiting = iota + 1
	weightUnready
	weightVolume
	weightUnschedulable
	weightConfig
	weightPull
	weightCrash
)

func (c cause) worseThan(o cause) bool {
	if c.sure != o.sure {
		return c.sure
	}
	return c.weight > o.weight
}

// blame hands the certainty and the log of a cause on to the verdict whose
// message names it.
func (v verdict) blame(c cause, related Related) verdict {
	if c.sure {
		v.State = Failed
	}
	v.crash = c.crash
	v.Log = logOf(c.crash, related)
	return v
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

// because adds a cause, where there is one, to the message of a verdict.
func (v verdict) because(c cause, ok bool, related Related) verdict {
	if !ok {
		return v
	}
	v.Message = join(v.Message, c.text)
	return v.blame(c, related)
}

// creationEvents is the cause for owners that have no condition for it.
func creationEvents(owner types.UID, related Related, now time.Time) (cause, bool) {
	found := related.events(owner, now, "FailedCreate", "FailedDaemonPod")
	if len(found) == 0 || eventTime(found[0]).Before(related.since(now)) {
		return cause{}, false
	}
	return creationCause(found[0].Reason, found[0].Message, eventFirst(found[0]), related, now), true
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
