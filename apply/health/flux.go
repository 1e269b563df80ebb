package health

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// judgeFluxConfig is for Alert and Provider, which report nothing since
// v1beta3, and a Ready condition before.
func judgeFluxConfig(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	if len(conditionsOf(obj)) == 0 {
		return healthy("flux-config", "")
	}
	return judgeFlux(obj, related, now)
}

// judgeFlux reads what Flux writes for kstatus: Reconciling, Stalled and Ready,
// with an observedGeneration (-1 until the first success).
func judgeFlux(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	if suspended, _, _ := unstructured.NestedBool(obj.Object, "spec", "suspend"); suspended {
		return healthy("flux-suspended", "suspended")
	}
	conditions := conditionsOf(obj)
	ready, ok := find(conditions, "Ready")
	if c, stalled := find(conditions, "Stalled"); stalled && c.Status == "True" && !c.stale(obj.GetGeneration()) {
		return failed("flux-ready", join("stalled", c.Reason, oneLine(c.Message, 400)))
	}
	if ok && ready.Status == "False" && !ready.stale(obj.GetGeneration()) {
		return progressing("flux-ready", join(ready.Reason, oneLine(ready.Message, 400)))
	}
	if v, stale := staleStatus(obj, ready); stale {
		return v
	}
	if v, ok := standard(obj, conditions); ok {
		v.Rule = "flux-ready"
		return v
	}
	switch {
	case !ok:
		return progressing("flux-ready", "not reported yet")
	case ready.Status != "True":
		return progressing("flux-ready", join("Ready is "+ready.Status, ready.Reason, oneLine(ready.Message, 400)))
	}
	return healthy("flux-ready", "")
}
