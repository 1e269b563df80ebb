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
		return judgeStatus(&subject{obj: obj, conditions: conditionsOf(obj), related: related, now: now})
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
// beside them. The first that knows an answer gives it.
func judgeStatus(s *subject) verdict {
	for _, ask := range []func(*subject) (verdict, bool){
		(*subject).stale, standard, brokenWord, badConditions, judgeWords, badParts, goodOne, goodParts, replicas, readyField,
		anyCondition, anyWord, together, allCounts, reconciled, underWayTask, undecided,
	} {
		if v, ok := ask(s); ok {
			return v
		}
	}
	if !says(s.obj.Object["status"]) {
		return progressing("condition Ready", "waiting for its controller to report: its status holds zeroes alone")
	}
	if s.related.NoStatus && len(s.conditions) == 0 {
		return unknown("condition Ready", "its kind declares no status, and what it has says nothing about its health; declare a condition or a CEL expression for it")
	}
	return unknown("condition Ready", "nothing in its status says whether it is healthy; declare a condition or a CEL expression for it")
}

// brokenWord is a phase of failure, where nothing goes on.
func brokenWord(s *subject) (verdict, bool) {
	v, broken, ok := stateWord(s)
	return v, ok && broken && !isTrue(s, "Progressing")
}

func badParts(s *subject) (verdict, bool) {
	v, ok := goodParts(s)
	return v, ok && v.State != Healthy
}

func goodParts(s *subject) (verdict, bool) { return judgeNested(s, "conditions of parents") }

func goodOne(s *subject) (verdict, bool) {
	c, ok := goodCondition(s)
	if !ok {
		return verdict{}, false
	}
	return s.readyLike(c), true
}

// replicas judges counts as a Deployment's, but for those of a kind that may not
// count what is ready: these are the last thing that is asked.
func replicas(s *subject) (verdict, bool) {
	v, ok := judgeCounts(s, "counts")
	switch {
	case !ok, uncounted(s):
		return verdict{}, false
	case v.State == Healthy && !s.present(condition{}):
		return unknown("counts", "its replicas are ready, but nothing says that they are of the present spec (no observedGeneration)"), true
	}
	return v, true
}

// allCounts is what counts say where nothing else does.
func allCounts(s *subject) (verdict, bool) {
	if v, ok := judgeCounts(s, "counts"); ok {
		return v, true
	}
	v, ok := judgePairs(s)
	return v, ok && (v.State != Healthy || s.present(condition{}))
}

// reconciled takes it for health that a controller has done all that it does, where
// it reports nothing else.
func reconciled(s *subject) (verdict, bool) {
	for _, kind := range []string{"Reconciled", "ReconcileSucceeded", "ReconcileSuccess", "ReconcileComplete", "SuccessfullyReconciled", "UpToDate", "Success", "Successful", "Done"} {
		if c, ok := find(s.conditions, kind); ok {
			return s.readyLike(c), true
		}
	}
	return verdict{}, false
}

// goodConditions are true of a healthy object, the strongest first.
func goodConditions() []string {
	return []string{"Ready", "Available", "Healthy", "Programmed", "Established", "Succeeded", "Complete", "Completed"}
}

// goodCondition is the strongest of the good conditions of an object: of that name,
// or named after its kind (StorageReady of a Storage).
func goodCondition(s *subject) (condition, bool) {
	for _, name := range goodConditions() {
		for _, kind := range []string{name, s.obj.GetKind() + name, strings.ToLower(name)} {
			if c, ok := find(s.conditions, kind); ok {
				return c, true
			}
		}
	}
	return condition{}, false
}

func isTrue(s *subject, kind string) bool {
	c, ok := find(s.conditions, kind)
	return ok && c.Status == "True" && !c.stale(s.obj.GetGeneration())
}

// badConditions looks for conditions beside the good one that take it back:
// Available of a rollout that does not end, Ready of a resource whose last change
// was refused.
func badConditions(s *subject) (verdict, bool) {
	generation := s.obj.GetGeneration()
	for _, kind := range []string{"Degraded", "Failed", "Failure", "Error", "Invalid", "ReplicaFailure", "ReconcileError", "ReconcileFailed"} { // true is bad
		if c, ok := find(s.conditions, kind); ok && c.Status == "True" && !c.stale(generation) {
			v := progressing("condition "+kind, join(kind, c.Reason, oneLine(c.Message, 400))+sinceWords(c, s.now))
			if available, ok := find(s.conditions, "Available"); kind != "Degraded" || ok && available.Status == "False" && !isTrue(s, "Progressing") {
				c.Reason = "Failed" // whatever it says, the type names an error, or nothing works and nothing goes on
			}
			return s.lasting(v, c), true
		}
	}
	kinds := []string{"Progressing", "Installing", "Updating", "RolloutProgressing", "InProgress"}
	if isTaskKind(s.obj.GetKind()) && !hasEnded(s) {
		kinds = append(kinds, "Running") // Ready may say that a task is ready to run
	}
	for _, kind := range kinds {
		c, ok := find(s.conditions, kind)
		if !ok || c.stale(generation) {
			continue
		}
		_, ready := find(s.conditions, "Ready")
		switch {
		case kind == "Progressing" && c.Status == "False" && c.Reason == "ProgressDeadlineExceeded":
			return failed("condition Progressing", s.sayCondition(c)), true
		case c.Status == "True" && !rolledOut(c.Reason) && (!ready || kind != "Progressing" || c.Reason != "" && c.namesStage()):
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

// hasEnded says that a task has ended, by its state or by its conditions.
func hasEnded(s *subject) bool {
	st, ok := goodState(s)
	return ok && ended(st.words) || isTrue(s, "Succeeded") || isTrue(s, "Complete") || isTrue(s, "Completed")
}

// rolledOut tells the reason of a Progressing that has come to its end, as a
// Deployment has it (NewReplicaSetAvailable), and who took it over
// (NewMachineSetAvailable, ComponentsAvailable, DeploySuccess).
func rolledOut(reason string) bool {
	words := camelWords(reason)
	return len(words) > 1 && !negated(words) && wordIn(words[len(words)-1:], "available", "success", "succeeded", "completed")
}

// judgeWords reads status.phase and status.state (their words may say that a
// thing is not there yet, or has failed; only the table of rules, or together for tasks,
// may conclude that it works).
func judgeWords(s *subject) (verdict, bool) {
	v, _, ok := stateWord(s)
	return v, ok
}

// stateWord is judgeWords, and says whether the word is one of failure.
func stateWord(s *subject) (v verdict, broken, ok bool) {
	for _, field := range stateFields() {
		word, ok, err := unstructured.NestedString(s.obj.Object, "status", field)
		if err != nil || !ok {
			continue
		}
		rule := "status." + field
		msg := join(oneLine(word, 200), said(s, &Rule{}, ""))
		switch words := camelWords(word); {
		case isBroken(words) && !isRetry(words):
			if negated(words) {
				continue
			}
			return s.givesUp(progressing(rule, msg), condition{Type: field, Reason: word}), true, true
		case isUnderWay(words):
			if negated(words) {
				continue
			}
			if v := progressing(rule, msg); namesError(word) && !isRetry(words) {
				return s.lasting(v, condition{Type: field, Reason: word}), false, true
			}
			return s.orItsError(progressing(rule, msg)), false, true
		case wordIn(words, "not", "un"), isTaskKind(s.obj.GetKind()) && wordIn(words, "running", "sent"):
			return s.orItsError(progressing(rule, msg)), false, true
		}
	}
	return verdict{}, false, false
}

// stateFields are where most kinds have one word for the whole object.
func stateFields() []string { return []string{"phase", "state", "status", "overallStatus"} }

// orItsError is what the good condition says, if it names an error, instead of a
// word for what goes on until it is mended.
func (s *subject) orItsError(v verdict) verdict {
	c, ok := goodCondition(s)
	if !ok || c.Status != "False" || !c.namesError() || c.stale(s.obj.GetGeneration()) {
		return v
	}
	return s.lasting(progressing("condition "+c.Type, s.sayCondition(c)), c)
}

// isBroken tells the words of a state that waiting does not help against.
func isBroken(words []string) bool {
	return wordIn(words, "failed", "failure", "error", "errored", "invalid", "crashed", "rejected", "broken", "aborted", "timeout", "down", "unreachable",
		"misconfigured", "faulted", "unrecoverable", "corrupted", "killed", "lost")
}

// isRetry tells the words of a failure that is tried again (FailureGracePeriod).
func isRetry(words []string) bool { return wordIn(words, "grace", "retry", "retries", "backoff") }

// isUnderWay tells the words of a state that something goes on in, or that is not
// as it should be.
func isUnderWay(words []string) bool {
	return wordIn(words, "pending", "progress", "new", "queued", "init", "initial", "initialization", "degraded", "unhealthy", "unavailable", "unknown", "upgrade", "delayed", "needed", "wait", "maintenance", "retry") ||
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
		good := len(words) > 0 && (goodWord(words[len(words)-1]) || strings.HasSuffix(c.Type, "UpToDate"))
		missing := good && (c.Status == "False" && !negated(words) || c.Status == "Unknown")
		working := c.Status == "True" && (c.Type == "Paused" || c.Type == "Suspended" || strings.EqualFold(strings.Join(words, ""), "inprogress") ||
			wordIn(words, "waiting", "pending", "initializing", "provisioning", "creating", "installing", "deploying", "starting", "bootstrapping", "upgrading", "updating", "migrating", "moving", "scaling", "resizing", "restarting", "restoring", "recovering", "rebalancing", "reconciling", "deleting", "terminating"))
		broken := c.Status == "False" && c.namesError()
		if c.Status == "True" && c.typeNamesError() {
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

// undecided is a condition of an unknown type that its controller does not know yet.
func undecided(s *subject) (verdict, bool) {
	for _, c := range s.conditions {
		words := camelWords(c.Type)
		if c.Status == "Unknown" && !s.config && !c.stale(s.obj.GetGeneration()) && !c.typeNamesError() && !wordIn(words, "paused", "suspended", "degraded", "upgradeable") {
			return progressing("condition "+c.Type, s.sayCondition(c)), true
		}
	}
	return verdict{}, false
}

// typeNamesError says whether a condition is of an error, whatever its reason, so
// that it is bad where it is True (ValidationError, NotReady).
func (c condition) typeNamesError() bool {
	words := camelWords(c.Type)
	return wordIn(words, "failed", "failure", "failing", "error", "errors", "invalid") && !negated(words) || len(words) > 1 && words[0] == "not" && goodWord(words[1])
}

// readyField takes status.ready, or available or healthy, for a condition of that
// name.
func readyField(s *subject) (verdict, bool) {
	for _, field := range []string{"ready", "available", "healthy"} {
		is, ok := boolAt(s, field)
		switch {
		case !ok || !says(s.obj.Object["status"]):
		case !is:
			if c, ok := s.error(); ok {
				return s.lasting(progressing("condition "+c.Type, s.sayCondition(c)), c), true
			}
			return progressing("status."+field, join(field+" is false", said(s, &Rule{}, ""))), true
		case s.present(condition{}):
			return healthy("status."+field, ""), true
		}
	}
	return verdict{}, false
}

// boolAt reads a field of a status that is true or false, or is so in words.
func boolAt(s *subject, field string) (is, ok bool) {
	value, _, err := unstructured.NestedFieldNoCopy(s.obj.Object, "status", field)
	if err != nil {
		return false, false
	}
	word := strings.ToLower(statusText(value))
	return word == "true", word == "true" || word == "false"
}

// anyWord looks for words and errors in what else a status has, two levels deep: as
// with a phase, they say that a thing is not there yet or broken, and never that it
// is healthy.
func anyWord(s *subject) (verdict, bool) {
	return wordBelow(s, s.status(), "status", 2)
}

func wordBelow(s *subject, of map[string]any, path string, levels int) (verdict, bool) {
	if v, ok := wordOf(s, of, path); ok || levels == 0 {
		return v, ok
	}
	for _, key := range slices.Sorted(maps.Keys(of)) {
		m, ok := of[key].(map[string]any)
		if !ok || isFormer(camelWords(key)) {
			continue
		}
		if v, ok := wordBelow(s, m, path+"."+key, levels-1); ok {
			return v, true
		}
	}
	return verdict{}, false
}

func wordOf(s *subject, of map[string]any, path string) (verdict, bool) {
	for _, key := range slices.Sorted(maps.Keys(of)) {
		value := text(of[key])
		name := camelWords(key)
		if value == "" || len(name) == 0 || isFormer(name) {
			continue
		}
		rule := path + "." + key
		words := camelWords(value)
		switch {
		case len(words) == 1 && wordIn(words, "none", "nil", "null"): // an error of K8ssandra's is None where there is none
		case wordIn(name, "error", "failure") && (len(name) == 1 || wordIn(name, "message", "reason", "description", "details")):
			return s.lasting(progressing(rule, oneLine(value, 400)), condition{Type: key, Reason: "Error"}), true
		case !isState(key):
		case isBroken(words) && !isRetry(words):
			return s.lasting(progressing(rule, join(key+" is "+oneLine(value, 200), said(s, &Rule{}, ""))), condition{Type: key, Reason: "Error"}), true
		case isUnderWay(words), isHeld(words), isTaskKind(s.obj.GetKind()) && wordIn(words, "running"):
			return progressing(rule, join(key+" is "+oneLine(value, 200), said(s, &Rule{}, ""))), true
		}
	}
	return verdict{}, false
}

// isHeld tells the words of what has hardly begun, or was stopped. As the phase of
// what says Ready besides they mean nothing.
func isHeld(words []string) bool {
	return wordIn(words, "initialized", "submitted", "paused", "suspended", "stopped", "hibernated", "yellow", "red")
}

// isFormer tells the names of what was before, or is wanted.
func isFormer(name []string) bool {
	return wordIn(name, "last", "previous", "desired", "former", "old", "target")
}

// goodWord tells the words that conditions end with which are true of what works.
func goodWord(word string) bool {
	switch word {
	case "ready", "healthy", "available", "synced", "synchronized", "deployed", "accepted", "valid", "reconciled", "initialized", "provisioned", "established",
		"installed", "succeeded", "complete", "completed", "programmed", "configured", "scheduled", "bound", "applied", "running", "adopted", "discoverable",
		"advertised", "resolved", "imported", "uploaded", "downloaded", "loaded", "created", "attached", "online", "active", "admitted", "registered", "published", "connected", "compliant":
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
func standard(s *subject) (verdict, bool) {
	for _, kind := range []string{string(status.ConditionStalled), string(status.ConditionReconciling)} {
		if !isTrue(s, kind) {
			continue
		}
		c, _ := find(s.conditions, kind)
		v := progressing("condition "+kind, strings.TrimSpace(join(c.Reason, oneLine(c.Message, 400))+sinceWords(c, s.now)))
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
		if v, ok := wordBelow(s, s.status(), "status", 1); ok && v.State == Failed && !c.namesError() {
			return v
		}
		return s.lasting(progressing(rule, join(c.Type+" is "+c.Status, c.Reason, oneLine(c.Message, 400))+sinceWords(c, s.now)), c)
	}
	if is, ok := boolAt(s, "ready"); ok && !is {
		return progressing("status.ready", c.Type+" is True, but ready is false")
	}
	if s.present(c) {
		return healthy(rule, "")
	}
	if waited(s.obj, s.related, s.now) < grace {
		return progressing(rule, c.Type+" is True, perhaps of the former spec: waiting for its controller to report")
	}
	return unknown(rule, c.Type+" is True, but nothing says that it is about the present spec (no observedGeneration)")
}

// error is a condition of the present spec that is False and names an error, or
// True and of one: what a Ready that is not True waits for.
func (s *subject) error() (condition, bool) {
	for _, c := range s.conditions {
		if c.stale(s.obj.GetGeneration()) {
			continue
		}
		if c.Status == "True" && c.typeNamesError() {
			c.Reason = join(c.Reason, "Failed")
			return c, true
		}
		if c.Status == "False" && c.namesError() {
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
