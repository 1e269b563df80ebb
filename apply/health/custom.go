package health

import (
	"bytes"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// grace is how long a custom resource that reports nothing is waited for before
// it is called unknown: a controller that knows the kind answers sooner.
const grace = 10 * time.Second

// judgeCustom judges a kind that nothing is known about: by the conditions of
// kstatus, by Ready or another well-known condition, each not older than the
// spec. Without any it is unknown, unless its kind has no status at all.
func judgeCustom(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	if v, stale := staleStatus(obj, condition{}); stale {
		return v
	}
	conditions := conditionsOf(obj)
	if v, ok := standard(obj, conditions); ok {
		return v
	}
	for _, kind := range []string{"Degraded", "Failed"} { // true is bad
		if c, ok := find(conditions, kind); ok && c.Status == "True" && !c.stale(obj.GetGeneration()) {
			return progressing("condition "+kind, join(kind, c.Reason, oneLine(c.Message, 400)))
		}
	}
	for _, kind := range []string{"Ready", "Available", "Healthy", "Programmed", "Established", "Succeeded", "Complete"} {
		if c, ok := find(conditions, kind); ok {
			return judgeReadyLike(obj, c, related, now)
		}
	}
	if related.NoStatus && len(conditions) == 0 {
		return healthy("no-status", "its kind has no status: nobody reports on it")
	}
	if waited(obj, related, now) < grace {
		return progressing("condition Ready", "waiting for its controller to report")
	}
	return unknown("condition Ready", "nothing in its status says whether it is healthy; declare a condition or a CEL expression for it")
}

// waited is how long somebody has been waiting for the object's controller.
func waited(obj *unstructured.Unstructured, related Related, now time.Time) time.Duration {
	since := obj.GetCreationTimestamp().Time
	if related.Since.After(since) {
		since = related.Since
	}
	return now.Sub(since)
}

// standard reads the conditions that kstatus defines (Stalled, Reconciling).
func standard(obj *unstructured.Unstructured, conditions []condition) (verdict, bool) {
	for _, c := range conditions {
		if c.Status != "True" || c.stale(obj.GetGeneration()) {
			continue
		}
		switch c.Type {
		case string(status.ConditionStalled):
			return failed("condition Stalled", join(c.Reason, oneLine(c.Message, 400))), true
		case string(status.ConditionReconciling):
			return progressing("condition Reconciling", join(c.Reason, oneLine(c.Message, 400))), true
		}
	}
	return verdict{}, false
}

// judgeReadyLike takes a condition for health if it is True and about the
// present spec: by an observedGeneration, or because the spec is the first one,
// or because the controller wrote its status after the spec was last written.
func judgeReadyLike(obj *unstructured.Unstructured, c condition, related Related, now time.Time) verdict {
	rule := "condition " + c.Type
	if v, stale := staleStatus(obj, c); stale {
		return v
	}
	if c.Status != "True" {
		return progressing(rule, join(c.Type+" is "+c.Status, c.Reason, oneLine(c.Message, 400)))
	}
	_, observed, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	if observed || c.observed != 0 || obj.GetGeneration() <= 1 || reportedAfterWrite(obj, c) {
		return healthy(rule, "")
	}
	if waited(obj, related, now) < grace {
		return progressing(rule, c.Type+" is True, perhaps of the former spec: waiting for its controller to report")
	}
	return unknown(rule, c.Type+" is True, but nothing says that it is about the present spec (no observedGeneration)")
}

// reportedAfterWrite compares the times of managedFields: the status, or the
// condition, is younger than the last write of the spec.
func reportedAfterWrite(obj *unstructured.Unstructured, c condition) bool {
	var spec, report time.Time
	for _, m := range obj.GetManagedFields() {
		switch {
		case m.Time == nil:
		case m.Subresource == "status":
			report = later(report, m.Time.Time)
		case m.FieldsV1 != nil && bytes.Contains(m.FieldsV1.GetRawBytes(), []byte(`"f:spec"`)):
			spec = later(spec, m.Time.Time)
		}
	}
	if spec.IsZero() {
		return false
	}
	return later(report, c.at).After(spec)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
