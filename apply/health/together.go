package health

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// together looks for two things in a status of which neither is enough alone, and
// that both say that an object of an unknown kind works: a word such as Ready
// beside conditions that end in Ready, or beside replicas that are all there, and
// the end of a task beside the time when it ended. It is asked last, when nothing
// in the status says otherwise.
func together(s *subject) (verdict, bool) {
	word, ok := goodState(s)
	if !ok || !s.present(condition{}) {
		return verdict{}, false
	}
	rule := "status." + word.key
	switch {
	case ended(word.words) && endTime(s) != "" && !countsFailures(s):
		return healthy(rule+" and "+endTime(s), ""), true
	case isTaskKind(s.obj.GetKind()) && !ended(word.words):
		return verdict{}, false
	}
	certain := wordIn(word.words, "ready", "healthy", "stable", "available", "operational", "green")
	for _, c := range s.conditions {
		words := camelWords(c.Type)
		if c.Status == "True" && (strong(c.Type) || certain && len(words) > 0 && goodWord(words[len(words)-1])) {
			return healthy(rule+" and condition "+c.Type, ""), true
		}
	}
	if v, ok := judgePairs(s); ok && v.State == Healthy {
		return healthy(rule+" and "+v.Rule, ""), true
	}
	if certain && uncounted(s) {
		return healthy(rule+" and replicas", ""), true
	}
	return verdict{}, false
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
	return slices.ContainsFunc([]string{"phase", "state", "status", "stage", "result"}, func(end string) bool {
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
		if ended(st.words) || wordIn(st.words, "ready", "healthy", "available", "running", "active", "operational", "established", "bound", "connected", "deployed", "online", "installed", "green", "ok", "stable") {
			return st, true
		}
	}
	return state{}, false
}

func ended(words []string) bool {
	return wordIn(words, "succeeded", "success", "successful", "completed", "complete", "finished", "done")
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
		"execution", "workflow", "snapshot", "test", "build", "experiment", "trial", "scan", "benchmark", "request")
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
