package health

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// together looks for two things in a status of which neither is enough alone, and
// that both say that an object of an unknown kind works: a word such as Ready
// beside conditions that end in Ready, beside replicas that are all there, beside the
// generation that it is about, beside parts that all work, or beside the address where
// it is reached. It is asked last, when nothing in the status says otherwise.
//
// That a task succeeded is enough alone: it is what its controller writes when all is
// done, once, and nothing that comes later takes it back. Ready, of what goes on
// running, may be of a part, or of what it was a minute ago. That a task is finished or
// done says that it ended, not how, and wants the time when it did, with no failures
// counted.
func together(s *subject) (verdict, bool) {
	if v, ok := denied(s); ok {
		return v, true
	}
	word, ok := goodState(s)
	if !ok || !s.present(condition{}) {
		return verdict{}, false
	}
	rule := "status." + word.key
	task := isTaskKind(s.obj.GetKind())
	switch {
	case ended(word.words) && endTime(s) != "" && !countsFailures(s):
		return healthy(rule+" and "+endTime(s), ""), true
	case task && succeededWell(word.words) && !countsFailures(s):
		return healthy(rule, ""), true
	case task && !ended(word.words):
		return verdict{}, false
	}
	certain := wordIn(word.words, "ready", "healthy", "stable", "available", "operational", "green")
	for _, c := range s.conditions {
		words := camelWords(c.Type)
		if c.Status == "True" && (strong(c.Type) || len(words) > 0 && goodWord(words[len(words)-1]) && (certain || wordIn(word.words, words[len(words)-1]))) {
			return healthy(rule+" and condition "+c.Type, ""), true
		}
	}
	if v, ok := judgePairs(s); ok && v.State == Healthy {
		return healthy(rule+" and "+v.Rule, ""), true
	}
	if field, ok := allReady(s.status()); ok {
		return healthy(rule+" and "+field, ""), true
	}
	if certain && uncounted(s) {
		return healthy(rule+" and replicas", ""), true
	}
	if certain && allTrue(s.conditions) {
		return healthy(rule+" and conditions", ""), true
	}
	if _, ok := observedGeneration(s.obj); ok && certain {
		return healthy(rule+" and observedGeneration", ""), true
	}
	if parts, bad := workingParts(s.status()); bad != "" {
		return progressing(parts, bad), true
	} else if parts != "" {
		return healthy(rule+" and "+parts, ""), true
	}
	if where := address(s.status()); where != "" && (certain || wordIn(word.words, "active", "online", "ok", "connected", "established")) {
		return healthy(rule+" and "+where, ""), true
	}
	return verdict{}, false
}

// denied takes it for health that a controller says both that something good is so
// and that nothing is bad: Applied is True, and Degraded is False. Nothing else may be
// False or Unknown.
func denied(s *subject) (verdict, bool) {
	var good, bad condition
	for _, c := range s.conditions {
		words := camelWords(c.Type)
		switch {
		case c.Status == "True" && len(words) > 0 && goodWord(words[len(words)-1]) && !negated(words):
			good = c
		case c.Status == "False" && wordIn(words, "degraded", "failed", "failure", "error", "stalled", "failing") && !negated(words):
			bad = c
		case c.Status == "False" && isWork(c.Type) && !wordIn(words, "complete", "completed", "succeeded", "done", "finished"):
		default:
			return verdict{}, false
		}
	}
	if good.Type == "" || bad.Type == "" || isTaskKind(s.obj.GetKind()) || !s.present(good) {
		return verdict{}, false
	}
	return healthy("condition "+good.Type+" and condition "+bad.Type, ""), true
}

// allTrue says that there are conditions, that all of them are True, and that none is
// of a failure or of work.
func allTrue(conditions []condition) bool {
	return len(conditions) > 0 && !slices.ContainsFunc(conditions, func(c condition) bool {
		return c.Status != "True" || c.typeNamesError() || isWork(c.Type) || wordIn(camelWords(c.Type), "paused", "suspended", "warning", "degraded")
	})
}

// workingParts is the field of a status that has a word for each of the parts of an
// object, if they are all words of what works or has ended well; bad is the first that
// is not, where it says so.
func workingParts(status map[string]any) (found, bad string) {
	unclear := false
	for _, key := range slices.Sorted(maps.Keys(status)) {
		if isFormer(camelWords(key)) {
			continue
		}
		for _, part := range partsOf(status[key]) {
			for _, st := range states(part) {
				switch {
				case goodWords(st.words):
					found = "status." + key
				case isBroken(st.words), isUnderWay(st.words):
					return "status." + key, join(oneLine(text(part["name"]), 100), st.key+" is "+oneLine(text(part[st.key]), 200))
				default:
					unclear = true
				}
			}
		}
	}
	if unclear {
		return "", ""
	}
	return found, ""
}

// partsOf are the maps in a list, or in a map of names.
func partsOf(v any) []map[string]any {
	var out []map[string]any
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if m, ok := item.(map[string]any); ok {
				out = append(out, m)
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if m, ok := v[key].(map[string]any); ok {
				out = append(out, m)
			}
		}
	}
	return out
}

// address is the field of a status that says where an object is reached.
func address(status map[string]any) string {
	for _, key := range slices.Sorted(maps.Keys(status)) {
		words := camelWords(key)
		if len(words) > 0 && wordIn(words[len(words)-1:], "url", "urls", "endpoint", "endpoints", "address", "addresses", "host", "hostname") && !isFormer(words) && says(status[key]) {
			return "status." + key
		}
	}
	return ""
}

// state is a word that a status has for the whole object.
type state struct {
	key   string
	words []string
}

// states are the words of a status at keys such as phase, clusterState and
// buildstatus, but not of what was before or is wanted.
func states(of map[string]any) []state {
	var out []state
	for _, key := range slices.Sorted(maps.Keys(of)) {
		name := camelWords(key)
		value := text(of[key])
		if value == "" || isFormer(name) {
			continue
		}
		if isState(key) {
			out = append(out, state{key, camelWords(value)})
		}
	}
	return out
}

func isState(key string) bool {
	return slices.ContainsFunc([]string{"phase", "state", "status", "stage", "result", "health", "validation"}, func(end string) bool {
		return strings.HasSuffix(strings.ToLower(key), end)
	})
}

// goodState is the first word of a status that is one of what works, or has ended
// well.
func goodState(s *subject) (state, bool) {
	for _, st := range states(s.status()) {
		if negated(st.words) {
			return state{}, false
		}
		if goodWords(st.words) {
			return st, true
		}
	}
	return state{}, false
}

// goodWords are those of a state of what works, or has ended well. Of many words they
// are a step of something (EnsureStagePodsHealthy).
func goodWords(words []string) bool {
	return len(words) <= 3 && !negated(words) && !isBroken(words) && !isUnderWay(words) &&
		(ended(words) || wordIn(words, "ready", "healthy", "available", "running", "active", "operational", "established", "bound", "connected", "deployed", "online", "installed", "green", "ok", "stable"))
}

func ended(words []string) bool {
	return wordIn(words, "succeeded", "success", "successful", "completed", "complete", "finished", "done")
}

// succeededWell tells the words of a task that say how it ended.
func succeededWell(words []string) bool {
	return wordIn(words, "succeeded", "success", "successful", "completed", "complete") && !wordIn(words, "partially", "with", "partial")
}

// endTime is the field with the time when a task ended.
func endTime(s *subject) string {
	for _, field := range []string{"completionTime", "completionTimestamp", "completedAt", "endTime", "endTimestamp", "endedAt", "finishTime", "finishedTime", "finishedAt", "stoppedAt"} {
		if at, _, err := unstructured.NestedString(s.obj.Object, "status", field); err == nil && at != "" {
			return field
		}
	}
	return ""
}

// countsFailures says whether a task has counted failures or errors of its parts.
func countsFailures(s *subject) bool {
	return slices.ContainsFunc([]string{"failed", "errors", "failures"}, func(field string) bool {
		n, ok, err := unstructured.NestedInt64(s.obj.Object, "status", field)
		return ok && err == nil && n > 0
	})
}

// strong tells the conditions that end with what everybody calls the whole: of a
// part or not, they say that something works.
func strong(kind string) bool {
	words := camelWords(kind)
	return len(words) > 0 && !negated(words) && wordIn(words[len(words)-1:], "ready", "available", "healthy", "running", "complete", "completed", "succeeded")
}

// isTaskKind tells the kinds whose objects end: running is not what they are for.
func isTaskKind(kind string) bool {
	words := camelWords(kind)
	return len(words) > 0 && wordIn(words[len(words)-1:], "job", "run", "task", "backup", "restore", "migration", "export", "import", "sync", "operation",
		"execution", "workflow", "snapshot", "test", "build", "experiment", "trial", "scan", "benchmark", "request", "session", "upgrade", "action", "remediation", "maintenance")
}

// underWayTask says of a task that has begun and says no more that it is under way.
func underWayTask(s *subject) (verdict, bool) {
	if !isTaskKind(s.obj.GetKind()) || endTime(s) != "" {
		return verdict{}, false
	}
	for _, field := range []string{"startTime", "startedAt", "startTimestamp"} {
		if at, _, err := unstructured.NestedString(s.obj.Object, "status", field); err == nil && at != "" {
			return progressing("status."+field, "started at "+oneLine(at, 100)+", and has not ended"), true
		}
	}
	return verdict{}, false
}
