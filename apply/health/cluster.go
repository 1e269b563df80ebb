package health

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

func judgeDisruptionBudget(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	pdb, err := as[policyv1.PodDisruptionBudget](obj)
	if err != nil {
		return unreadable(err)
	}
	if v, ok := behind(obj, pdb.Status.ObservedGeneration); ok {
		return v
	}
	for _, c := range pdb.Status.Conditions {
		if c.Type == policyv1.DisruptionAllowedCondition && c.Reason == policyv1.SyncFailedReason {
			return progressing("budget-observed", join(c.Reason, oneLine(c.Message, 400)))
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

func judgeNamespace(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	ns, err := as[corev1.Namespace](obj)
	if err != nil {
		return unreadable(err)
	}
	switch ns.Status.Phase {
	case corev1.NamespaceActive:
		return healthy("namespace-active", "")
	case corev1.NamespaceTerminating:
		return failed("terminating", "is being deleted"+namespaceRemains(obj))
	}
	return progressing("namespace-active", "no phase yet")
}

// namespaceRemains says what still holds a terminating namespace.
func namespaceRemains(obj *unstructured.Unstructured) string {
	var remains []string
	for _, c := range conditionsOf(obj) {
		switch c.Type {
		case "NamespaceContentRemaining", "NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure", "NamespaceDeletionDiscoveryFailure", "NamespaceDeletionGroupVersionParsingFailure":
			if c.Status == "True" {
				remains = append(remains, oneLine(c.Message, 300))
			}
		}
	}
	if len(remains) == 0 {
		return ""
	}
	return ": " + strings.Join(remains, "; ")
}

func judgeNode(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	c, ok := conditionOf(obj, "Ready")
	switch {
	case !ok:
		return progressing("node-ready", "its kubelet has not reported yet")
	case c.Status != "True":
		return failed("node-ready", join(c.Reason, oneLine(c.Message, 300)))
	}
	if cordoned, _, _ := unstructured.NestedBool(obj.Object, "spec", "unschedulable"); cordoned {
		return healthy("node-ready", "cordoned: no new pods")
	}
	return healthy("node-ready", "")
}

// judgeCRD is kstatus's rule: Established, with accepted names.
func judgeCRD(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	r, err := status.Compute(obj)
	if err != nil {
		return unreadable(err)
	}
	switch r.Status {
	case status.CurrentStatus:
		return healthy("crd-established", "")
	case status.FailedStatus:
		return failed("crd-established", r.Message)
	}
	return progressing("crd-established", "not established yet")
}

func judgeAPIService(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	c, ok := conditionOf(obj, "Available")
	switch {
	case !ok:
		return progressing("apiservice-available", "not tried by the API server yet")
	case c.Status != "True":
		return progressing("apiservice-available", join(c.Reason, oneLine(c.Message, 400)))
	}
	return healthy("apiservice-available", "")
}

// judgeAdmissionPolicy tells what the type checker found; the policy is in
// force all the same.
func judgeAdmissionPolicy(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	policy, err := as[admissionv1.ValidatingAdmissionPolicy](obj)
	if err != nil {
		return unreadable(err)
	}
	if v, ok := behind(obj, policy.Status.ObservedGeneration); ok {
		return v
	}
	if t := policy.Status.TypeChecking; t != nil && len(t.ExpressionWarnings) > 0 {
		w := t.ExpressionWarnings[0]
		return healthy("policy-checked", join("warning", w.FieldRef, oneLine(w.Warning, 300)))
	}
	return healthy("policy-checked", "")
}

func judgeFlowSchema(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	if c, ok := conditionOf(obj, "Dangling"); ok && c.Status == "True" {
		return progressing("flowschema-dangling", join(c.Reason, oneLine(c.Message, 300)))
	}
	return healthy("flowschema-dangling", "")
}

func judgeSigningRequest(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	for _, kind := range []string{"Denied", "Failed"} {
		if c, ok := conditionOf(obj, kind); ok && c.Status == "True" {
			return failed("request-issued", join(strings.ToLower(kind), c.Reason, oneLine(c.Message, 300)))
		}
	}
	if cert, _, _ := unstructured.NestedString(obj.Object, "status", "certificate"); cert != "" {
		return healthy("request-issued", "")
	}
	if c, ok := conditionOf(obj, "Approved"); ok && c.Status == "True" {
		return progressing("request-issued", "approved, no certificate yet")
	}
	return progressing("request-issued", "neither approved nor denied yet")
}
