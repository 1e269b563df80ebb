package health

import (
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

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
