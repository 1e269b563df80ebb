package health

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// judgeArgoApplication takes Argo CD's own words. It has no observedGeneration:
// status.sync.comparedTo repeats the spec that it has looked at.
func judgeArgoApplication(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	const rule = "argocd-health"
	s := &subject{obj: obj, conditions: conditionsOf(obj), related: related, now: now}
	get := func(path ...string) string {
		s, _, _ := unstructured.NestedString(obj.Object, append([]string{"status"}, path...)...)
		return s
	}
	health, sync := get("health", "status"), get("sync", "status")
	for _, field := range []string{"source", "sources", "destination"} {
		seen, ok, _ := unstructured.NestedFieldNoCopy(obj.Object, "status", "sync", "comparedTo", field)
		want, declared, _ := unstructured.NestedFieldNoCopy(obj.Object, "spec", field)
		if ok && declared && !equality.Semantic.DeepEqual(seen, want) {
			return progressing("observed-generation", "Argo CD has not compared with the present spec."+field+" yet")
		}
	}
	for _, c := range s.conditions {
		if strings.HasSuffix(c.Type, "Error") { // InvalidSpecError, ComparisonError, SyncError
			return s.givesUp(progressing(rule, join(c.Type, oneLine(c.Message, 400))), c)
		}
	}
	if phase := get("operationState", "phase"); phase == "Failed" || phase == "Error" {
		if sync != "Synced" {
			return s.givesUp(progressing(rule, join("sync "+strings.ToLower(phase), oneLine(get("operationState", "message"), 400))), condition{Type: "operationState"})
		}
	}
	msg := oneLine(get("health", "message"), 400)
	switch health {
	case "Healthy":
		if sync == "Synced" {
			return healthy(rule, "")
		}
		if _, automated, _ := unstructured.NestedMap(obj.Object, "spec", "syncPolicy", "automated"); automated {
			return progressing(rule, join("Healthy, but "+sync, msg))
		}
		return healthy(rule, "Healthy, "+sync+" (it is synced by hand)")
	case "Suspended":
		return healthy(rule, join("Suspended", msg))
	case "Degraded":
		return s.givesUp(progressing(rule, join("Degraded", msg)), condition{Type: "health"})
	case "Unknown":
		return unknown(rule, join("Argo CD does not know its health", msg))
	case "":
		return progressing(rule, "not reported yet")
	}
	return progressing(rule, join(health, msg)) // Progressing, Missing
}
