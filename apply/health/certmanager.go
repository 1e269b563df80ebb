package health

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// judgeCertManager reads Ready; an issuance that failed is tried again after an
// hour or more, which no gate waits for.
func judgeCertManager(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	const rule = "cert-manager-ready"
	kind, conditions := obj.GetKind(), conditionsOf(obj)
	if kind == "Challenge" || kind == "Order" {
		return judgeACME(obj)
	}
	for _, bad := range []string{"Denied", "InvalidRequest"} {
		if c, ok := find(conditions, bad); ok && c.Status == "True" {
			return failed(rule, join(bad, c.Reason, oneLine(c.Message, 400)))
		}
	}
	if c, ok := find(conditions, "Issuing"); ok && kind == "Certificate" && c.Status == "False" && c.Reason == "Failed" && !c.stale(obj.GetGeneration()) {
		if r, ok := find(conditions, "Ready"); !ok || r.Status != "True" {
			return failed(rule, join(c.Reason, oneLine(c.Message, 400)))
		}
	}
	c, ok := find(conditions, "Ready")
	if !ok {
		return progressing(rule, "not reported yet")
	}
	if c.Reason == "Failed" && kind == "CertificateRequest" {
		return failed(rule, join(c.Reason, oneLine(c.Message, 400)))
	}
	v := judgeReadyLike(obj, c, related, now)
	if v.Rule == "condition Ready" {
		v.Rule = rule
	}
	return v
}

func judgeACME(obj *unstructured.Unstructured) verdict {
	const rule = "cert-manager-state"
	state, _, _ := unstructured.NestedString(obj.Object, "status", "state")
	reason, _, _ := unstructured.NestedString(obj.Object, "status", "reason")
	switch state {
	case "valid":
		return healthy(rule, "")
	case "invalid", "expired", "errored":
		return failed(rule, join(state, oneLine(reason, 400)))
	case "":
		return progressing(rule, "not reported yet")
	}
	return progressing(rule, join(state, oneLine(reason, 400)))
}
