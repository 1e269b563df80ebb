package health

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

func judgeDisruptionBudget(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	pdb, err := as[policyv1.PodDisruptionBudget](obj)
	if err != nil {
		return unreadable(err)
	}
	if v, ok := behind(obj, pdb.Status.ObservedGeneration); ok {
		return v
	}
	if pdb.Status.ObservedGeneration == 0 {
		return progressing("budget-observed", "not counted yet")
	}
	for _, c := range pdb.Status.Conditions {
		if c.Type == policyv1.DisruptionAllowedCondition && c.Reason == policyv1.SyncFailedReason {
			v := progressing("budget-observed", join(c.Reason, oneLine(c.Message, 400)))
			if related.elapsed(c.LastTransitionTime.Time, now) >= DefaultLasting {
				v.State = Failed
			}
			return v
		}
	}
	s := pdb.Status
	switch {
	case s.ExpectedPods == 0:
		return healthy("budget-observed", "it selects no pods")
	case s.DisruptionsAllowed == 0:
		return healthy("budget-observed", fmt.Sprintf("no pod may be evicted now: %d of %d healthy, %d needed", s.CurrentHealthy, s.ExpectedPods, s.DesiredHealthy))
	}
	return healthy("budget-observed", "")
}

// judgeAutoscaler gives metrics two minutes: those of new pods take one or more.
func judgeAutoscaler(obj *unstructured.Unstructured, _ Related, now time.Time) verdict {
	const metrics = 2 * time.Minute
	hpa, err := as[autoscalingv2.HorizontalPodAutoscaler](obj)
	if err != nil {
		return unreadable(err)
	}
	conditions := hpa.Status.Conditions
	if raw, ok := hpa.Annotations["autoscaling.alpha.kubernetes.io/conditions"]; ok { // as autoscaling/v1 stores them
		if err := json.Unmarshal([]byte(raw), &conditions); err != nil {
			return unreadable(err)
		}
	}
	if seen := hpa.Status.ObservedGeneration; seen != nil {
		if v, ok := behind(obj, *seen); ok {
			return v
		}
	}
	active := false
	for _, c := range conditions {
		bad := c.Status == corev1.ConditionFalse
		switch {
		case bad && c.Reason == "ScalingDisabled":
			return healthy("autoscaler-active", "off: its target is scaled to zero")
		case bad && (c.Type == autoscalingv2.AbleToScale && c.Reason != "BackoffBoth" && c.Reason != "BackoffDownscale" && c.Reason != "BackoffUpscale" || c.Type == autoscalingv2.ScalingActive):
			v := progressing("autoscaler-active", join(c.Reason, oneLine(c.Message, 400)))
			if !c.LastTransitionTime.IsZero() && now.Sub(c.LastTransitionTime.Time) > metrics {
				v.State = Failed
			}
			return v
		case c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionTrue:
			active = true
		}
	}
	if !active {
		return progressing("autoscaler-active", "not looked at by its controller yet")
	}
	if max := hpa.Spec.MaxReplicas; hpa.Status.DesiredReplicas >= max && ptr.Deref(hpa.Spec.MinReplicas, 1) < max {
		return healthy("autoscaler-active", fmt.Sprintf("at its maximum of %d", max))
	}
	return healthy("autoscaler-active", "")
}

// judgeQuota waits until the quota controller has counted under the new limits.
func judgeQuota(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	q, err := as[corev1.ResourceQuota](obj)
	if err != nil {
		return unreadable(err)
	}
	var full []string
	for name, hard := range q.Spec.Hard {
		seen, ok := q.Status.Hard[name]
		if !ok || seen.Cmp(hard) != 0 {
			return progressing("quota-observed", "its controller has not counted under these limits yet")
		}
		if used := q.Status.Used[name]; used.Cmp(hard) >= 0 && !hard.IsZero() {
			full = append(full, fmt.Sprintf("%s %s of %s", name, used.String(), hard.String()))
		}
	}
	if len(full) > 0 {
		return healthy("quota-observed", "used up: "+strings.Join(sorted(full), ", "))
	}
	return healthy("quota-observed", "")
}
