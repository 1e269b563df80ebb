package health

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// grace is how long a report of an earlier spec is waited for to be renewed
// before a custom resource is called unknown: a controller that knows the kind
// answers sooner.
const grace = 10 * time.Second

// judgeCustom judges a kind that nothing is known about. Without a status it is
// progressing, unless nobody reports on its kind.
func judgeCustom(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	if reports(obj) {
		return judgeStatus(obj, related, now)
	}
	switch {
	case related.NoStatus:
		return healthy("no-status", "its kind has no status: nobody reports on it")
	case related.Silent:
		return healthy("never-reported", "nobody has ever reported on an object of its kind")
	}
	msg := "waiting for its controller to report"
	if waited(obj, related, now) > 3*grace {
		msg += `; if nobody does for its kind, declare the rule "true" in CEL for it`
	}
	return progressing("condition Ready", msg)
}

// reports says whether a status says anything. What a schema's defaults put
// there, an empty map or list, says nothing.
func reports(obj *unstructured.Unstructured) bool {
	status, ok := obj.Object["status"]
	return ok && !empty(status)
}

func empty(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, item := range t {
			if !empty(item) {
				return false
			}
		}
		return true
	case []any:
		return len(t) == 0
	case string:
		return t == ""
	}
	return false
}

// judgeStatus judges by the conditions of kstatus, by Ready or another
// well-known condition, each not older than the spec, and by the words and counts
// beside them.
func judgeStatus(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	s := &subject{obj: obj, conditions: conditionsOf(obj), related: related, now: now}
	if v, stale := s.stale(); stale {
		return v
	}
	if v, ok := standard(obj, s.conditions, now); ok {
		return v
	}
	if v, ok := badConditions(s); ok {
		return v
	}
	if v, ok := judgeWords(s); ok {
		return v
	}
	if v, ok := judgeNested(s, "conditions of parents"); ok && v.State != Healthy {
		return v
	}
	for _, kind := range goodConditions() {
		if c, ok := find(s.conditions, kind); ok {
			return s.readyLike(c)
		}
	}
	if v, ok := judgeNested(s, "conditions of parents"); ok {
		return v
	}
	if v, ok := judgeCounts(s, "counts"); ok {
		if v.State == Healthy && !s.present(condition{}) {
			return unknown("counts", "its replicas are ready, but nothing says that they are of the present spec (no observedGeneration)")
		}
		return v
	}
	if v, ok := readyField(s); ok {
		return v
	}
	if v, ok := anyCondition(s); ok {
		return v
	}
	if v, ok := anyWord(s); ok {
		return v
	}
	if !says(obj.Object["status"]) {
		return progressing("condition Ready", "waiting for its controller to report: its status holds zeroes alone")
	}
	if related.NoStatus && len(s.conditions) == 0 {
		return unknown("condition Ready", "its kind declares no status, and what it has says nothing about its health; declare a condition or a CEL expression for it")
	}
	return unknown("condition Ready", "nothing in its status says whether it is healthy; declare a condition or a CEL expression for it")
}

// goodConditions are true of a healthy object, the strongest first.
func goodConditions() []string {
	return []string{"Ready", "Available", "Healthy", "Programmed", "Established", "Succeeded", "Complete", "Completed"}
}

// badConditions looks for conditions beside the good one that take it back:
// Available of a rollout that does not end, Ready of a resource whose last change
// was refused.
func badConditions(s *subject) (verdict, bool) {
	generation := s.obj.GetGeneration()
	for _, kind := range []string{"Degraded", "Failed", "Failure", "Error", "Invalid", "ReplicaFailure", "ReconcileError", "ReconcileFailed"} { // true is bad
		if c, ok := find(s.conditions, kind); ok && c.Status == "True" && !c.stale(generation) {
			v := progressing("condition "+kind, join(kind, c.Reason, oneLine(c.Message, 400))+sinceWords(c, s.now))
			if kind != "Degraded" {
				c.Reason = "Failed" // whatever it says, the type names an error
			}
			return s.lasting(v, c), true
		}
	}
	for _, kind := range []string{"Progressing", "Installing", "Updating", "RolloutProgressing", "InProgress"} {
		c, ok := find(s.conditions, kind)
		if !ok || c.stale(generation) {
			continue
		}
		_, ready := find(s.conditions, "Ready")
		switch {
		case kind == "Progressing" && c.Status == "False" && c.Reason == "ProgressDeadlineExceeded":
			return failed("condition Progressing", s.sayCondition(c)), true
		case c.Status == "True" && c.Reason != "NewReplicaSetAvailable" && (!ready || kind != "Progressing" || c.Reason != "" && c.namesStage()):
			return progressing("condition "+kind, join(kind, c.Reason, oneLine(c.Message, 400))+sinceWords(c, s.now)), true
		}
	}
	for _, kind := range []string{"Synced", "LastAsyncOperation", "ResolvedRefs", "Accepted", "Programmed", "Reconciled", "ReconcileSuccess", "ReconcileSucceeded"} { // false is bad
		if c, ok := find(s.conditions, kind); ok && c.Status == "False" && !c.stale(generation) {
			return s.lasting(progressing("condition "+kind, s.sayCondition(c)), c), true
		}
	}
	return verdict{}, false
}

// judgeWords reads status.phase and status.state (their words may say that a
// thing is not there yet, or has failed; that it works, only the table knows).
func judgeWords(s *subject) (verdict, bool) {
	for _, field := range []string{"phase", "state", "status", "overallStatus"} {
		word, ok, err := unstructured.NestedString(s.obj.Object, "status", field)
		if err != nil || !ok {
			continue
		}
		rule := "status." + field
		msg := join(word, said(s, &Rule{}, ""))
		switch words := camelWords(word); {
		case isBroken(words):
			if negated(words) {
				continue
			}
			return failed(rule, msg), true
		case isUnderWay(words):
			if negated(words) {
				continue
			}
			if v := progressing(rule, msg); namesError(word) {
				return s.lasting(v, condition{Type: field, Reason: word}), true
			}
			return progressing(rule, msg), true
		case wordIn(words, "not", "un"):
			return progressing(rule, msg), true
		}
	}
	return verdict{}, false
}

// isBroken tells the words of a state that waiting does not help against.
func isBroken(words []string) bool {
	return wordIn(words, "failed", "failure", "error", "errored", "invalid", "crashed", "rejected", "broken", "aborted", "timeout", "down", "unreachable")
}

// isUnderWay tells the words of a state that something goes on in, or that is not
// as it should be.
func isUnderWay(words []string) bool {
	return wordIn(words, "pending", "progress", "new", "queued", "init", "initial", "initialization", "degraded", "unhealthy", "unavailable", "unknown", "upgrade", "delayed") ||
		slices.ContainsFunc(words, func(w string) bool {
			return isDoing(w) && w != "running" && w != "serving" && w != "listening" && w != "working"
		})
}

func negated(words []string) bool { return wordIn(words, "not", "no", "without") }

func wordIn(words []string, of ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(of, w) })
}

// anyCondition looks at conditions that nobody knows: they never make an object
// healthy, but one that is False says what is missing.
func anyCondition(s *subject) (verdict, bool) {
	var found condition
	for _, c := range s.conditions {
		if c.stale(s.obj.GetGeneration()) {
			continue
		}
		words := camelWords(c.Type)
		missing := len(words) > 0 && c.Status == "False" && goodWord(words[len(words)-1]) && !negated(words)
		missing = missing || len(words) > 0 && c.Status == "Unknown" && goodWord(words[len(words)-1])
		working := c.Status == "True" && (strings.EqualFold(strings.Join(words, ""), "inprogress") || wordIn(words, "waiting", "pending"))
		broken := c.Status == "False" && c.namesError()
		if c.Status == "True" && (wordIn(words, "failed", "failure", "failing", "error", "errors", "invalid") && !negated(words) || len(words) > 1 && words[0] == "not" && goodWord(words[1])) {
			broken, c.Reason = true, join(c.Reason, "Failed")
		}
		if broken || found.Type == "" && (missing || working) {
			found = c
		}
		if broken {
			break
		}
	}
	if found.Type == "" {
		return verdict{}, false
	}
	return s.lasting(progressing("condition "+found.Type, s.sayCondition(found)), found), true
}

// readyField takes status.ready for a condition of that name.
func readyField(s *subject) (verdict, bool) {
	ready, ok, err := unstructured.NestedBool(s.obj.Object, "status", "ready")
	switch {
	case err != nil || !ok || !says(s.obj.Object["status"]):
		return verdict{}, false
	case !ready:
		return progressing("status.ready", join("ready is false", said(s, &Rule{}, ""))), true
	case s.present(condition{}):
		return healthy("status.ready", ""), true
	}
	return verdict{}, false
}

// anyWord looks for words and errors in what else a status has, one level deep:
// as with a phase, they say that a thing is not there yet or broken, and never
// that it is healthy.
func anyWord(s *subject) (verdict, bool) {
	root, _ := s.obj.Object["status"].(map[string]any)
	if v, ok := wordOf(s, root, "status"); ok {
		return v, true
	}
	for _, key := range slices.Sorted(maps.Keys(root)) {
		if m, ok := root[key].(map[string]any); ok {
			if v, ok := wordOf(s, m, "status."+key); ok {
				return v, true
			}
		}
	}
	return verdict{}, false
}

func wordOf(s *subject, of map[string]any, path string) (verdict, bool) {
	for _, key := range slices.Sorted(maps.Keys(of)) {
		value := text(of[key])
		name := camelWords(key)
		if value == "" || len(name) == 0 || wordIn(name, "last", "previous", "desired", "former", "old", "target") {
			continue
		}
		rule := path + "." + key
		switch last := name[len(name)-1]; {
		case wordIn(name, "error", "failure") && (len(name) == 1 || wordIn(name, "message", "reason", "description", "details")):
			return s.lasting(progressing(rule, oneLine(value, 400)), condition{Type: key, Reason: "Error"}), true
		case !wordIn([]string{last}, "phase", "state", "status", "stage", "result"):
		case isBroken(camelWords(value)):
			return s.lasting(progressing(rule, join(key+" is "+oneLine(value, 200), said(s, &Rule{}, ""))), condition{Type: key, Reason: "Error"}), true
		case isUnderWay(camelWords(value)):
			return progressing(rule, join(key+" is "+oneLine(value, 200), said(s, &Rule{}, ""))), true
		}
	}
	return verdict{}, false
}

// goodWord tells the words that conditions end with which are true of what works.
func goodWord(word string) bool {
	switch word {
	case "ready", "healthy", "available", "synced", "synchronized", "deployed", "accepted", "valid", "reconciled", "initialized", "provisioned", "established",
		"installed", "succeeded", "complete", "completed", "programmed", "configured", "scheduled", "bound", "applied", "running", "adopted", "discoverable",
		"advertised", "resolved", "created", "attached", "online", "active", "admitted", "registered", "published", "connected", "compliant":
		return true
	}
	return false
}

// says tells a status that says anything from one with nothing but zeroes: what a
// controller writes that begins with an empty status.
func says(v any) bool {
	switch t := v.(type) {
	case map[string]any:
		for key, item := range t {
			if key != "observedGeneration" && says(item) {
				return true
			}
		}
		return false
	case []any:
		return len(t) > 0
	case int64:
		return t != 0
	case float64:
		return t != 0
	case bool:
		return t
	}
	return !empty(v)
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
func standard(obj *unstructured.Unstructured, conditions []condition, now time.Time) (verdict, bool) {
	for _, kind := range []string{string(status.ConditionStalled), string(status.ConditionReconciling)} {
		c, ok := find(conditions, kind)
		if !ok || c.Status != "True" || c.stale(obj.GetGeneration()) {
			continue
		}
		v := progressing("condition "+kind, strings.TrimSpace(join(c.Reason, oneLine(c.Message, 400))+sinceWords(c, now)))
		if kind == string(status.ConditionStalled) {
			v.State = Failed
		}
		return v, true
	}
	return verdict{}, false
}

// readyLike takes a condition for health if it is True and about the present
// spec.
func (s *subject) readyLike(c condition) verdict {
	rule := "condition " + c.Type
	if v, stale := staleStatus(s.obj, c); stale && (c.observed == 0 || c.stale(s.obj.GetGeneration()) || c.Status == "True") {
		return v
	}
	if c.Status != "True" {
		if other, ok := s.error(); ok && !c.namesError() {
			return s.lasting(progressing(rule, s.sayCondition(other)), other)
		}
		return s.lasting(progressing(rule, join(c.Type+" is "+c.Status, c.Reason, oneLine(c.Message, 400))+sinceWords(c, s.now)), c)
	}
	if s.present(c) {
		return healthy(rule, "")
	}
	if waited(s.obj, s.related, s.now) < grace {
		return progressing(rule, c.Type+" is True, perhaps of the former spec: waiting for its controller to report")
	}
	return unknown(rule, c.Type+" is True, but nothing says that it is about the present spec (no observedGeneration)")
}

// error is a condition of the present spec that is False and names an error: what a
// Ready that is not True waits for.
func (s *subject) error() (condition, bool) {
	for _, c := range s.conditions {
		if c.Status == "False" && c.namesError() && !c.stale(s.obj.GetGeneration()) {
			return c, true
		}
	}
	return condition{}, false
}

// reportedAfterWrite compares the times of managedFields: the status, or the
// condition, is younger than the last write of the spec.
func reportedAfterWrite(obj *unstructured.Unstructured, c condition) bool {
	spec, report := writtenAndReported(obj)
	if spec.IsZero() {
		return false
	}
	return later(report, c.at).After(spec)
}

// writtenAndReported are the times of the last writes of a spec and of a status.
func writtenAndReported(obj *unstructured.Unstructured) (spec, report time.Time) {
	for _, m := range obj.GetManagedFields() {
		switch {
		case m.Time == nil:
		case m.Subresource == "status":
			report = later(report, m.Time.Time)
		case m.FieldsV1 != nil && bytes.Contains(m.FieldsV1.GetRawBytes(), []byte(`"f:spec"`)):
			spec = later(spec, m.Time.Time)
		}
	}
	return spec, report
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
