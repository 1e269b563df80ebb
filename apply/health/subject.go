package health

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// subject is a custom resource with what its rule asks of it.
type subject struct {
	obj        *unstructured.Unstructured
	conditions []condition
	related    Related
	now        time.Time
	// config says that nobody needs to report on the kind.
	config bool
}

// status is the status of the object; nil where it has none, or one of another shape.
func (s *subject) status() map[string]any {
	m, _ := s.obj.Object["status"].(map[string]any)
	return m
}

// stale answers for a status of an earlier generation: by its own, or where it has
// none, by those of its conditions, of which none is about the present spec. But a
// controller that says of the present one why it is not Ready is heard.
func (s *subject) stale() (verdict, bool) {
	if c, ok := find(s.conditions, "Ready"); ok && c.Status == "False" && c.observed != 0 && !c.stale(s.obj.GetGeneration()) {
		return verdict{}, false
	}
	if _, ok := observedGeneration(s.obj); ok {
		return staleStatus(s.obj, condition{})
	}
	var newest condition
	for _, c := range s.conditions {
		if c.observed > newest.observed {
			newest = c
		}
	}
	return staleStatus(s.obj, newest)
}

// present says that a condition is about the present spec: by an observed
// generation, or because the spec is the first one, or because the controller
// wrote its status after the spec was last written.
func (s *subject) present(c condition) bool {
	if _, observed := observedGeneration(s.obj); observed {
		return true
	}
	return c.observed != 0 || s.obj.GetGeneration() <= 1 || reportedAfterWrite(s.obj, c)
}

// fresh keeps a kind of the table that tells no observed generation from being
// healthy by what it was before the last write of its spec.
func (s *subject) fresh(v verdict) verdict {
	if v.State != Healthy {
		return v
	}
	for _, c := range s.conditions {
		if c.observed != 0 {
			return v
		}
	}
	if s.present(condition{}) {
		return v
	}
	if at := lastWrite(s.obj); !at.IsZero() && s.now.Sub(at) < grace {
		return progressing(v.Rule, "its status is from before its spec was written: waiting for its controller to look at it")
	}
	return v
}

// sayCondition is a condition that is not as it should be, in words, and since
// when, where that is minutes.
func (s *subject) sayCondition(c condition) string {
	msg := join(c.Reason, oneLine(c.Message, 400))
	if c.Status != "True" || msg == "" {
		msg = join(c.Type+" is "+c.Status, msg)
	}
	return msg + sinceWords(c, s.now)
}

// sinceWords says how long a condition has been as it is, where it is long.
func sinceWords(c condition, now time.Time) string {
	if age := now.Sub(c.at); c.at.Unix() > 0 && age >= 2*time.Minute {
		return " (for " + short(age) + ")"
	}
	return ""
}

// A condition is a failure when it has named an error of the present generation
// for a while, and when it has been so for long, unless what it names is work that
// goes on.
const (
	// DefaultLasting is for how long a condition names the same error before that is a
	// failure, where nobody says otherwise.
	DefaultLasting = time.Minute
	stuck          = time.Hour
)

// lasting calls a condition that is not as it should be a failure when it has been
// so for long enough.
func (s *subject) lasting(v verdict, c condition) verdict {
	if !s.present(c) && len(s.obj.GetManagedFields()) > 0 {
		return v
	}
	return s.lastingOf(v, c)
}

// lastingOf is lasting, whichever spec a condition is about.
func (s *subject) lastingOf(v verdict, c condition) verdict {
	patience := s.related.Lasting
	if patience == 0 {
		patience = DefaultLasting
	}
	if v.State != Progressing || patience < 0 || c.Type == "" || c.Status == "Unknown" {
		return v
	}
	if !c.namesError() {
		patience = max(patience, stuck)
		if isWork(c.Type) || c.namesStage() {
			return v
		}
	}
	if s.related.elapsed(s.changed(c), s.now) >= patience {
		v.State = Failed
	}
	return v
}

// givesUp is for what an object says of itself that has failed. A controller looks at
// what it is for again and again, and takes back what it said: only a task is over, and
// what is past its deadline, or stalled by the words of kstatus.
func (s *subject) givesUp(v verdict, c condition) verdict {
	if isTaskKind(s.obj.GetKind()) || c.Type == "Stalled" || c.Reason == "ProgressDeadlineExceeded" {
		v.State = Failed
		return v
	}
	v.State, c.Reason = Progressing, "Error"
	return s.lastingOf(v, c) // where nothing tells of which spec it is, it fails all the same
}

// isWork tells the conditions that are of work: those that stay False as long as
// something runs, and those that are True meanwhile (Issuing).
func isWork(kind string) bool {
	words := camelWords(kind)
	return wordIn(words, "complete", "completed", "succeeded", "done", "finished", "accomplished") || slices.ContainsFunc(words, isDoing)
}

// isDoing tells a word such as creating or provisioning.
func isDoing(word string) bool {
	return len(word) > 5 && strings.HasSuffix(word, "ing") && word != "matching" && word != "existing"
}

// changed is since when a condition has been as it is: where it does not say that,
// since the status was last written, or since the object is there.
func (s *subject) changed(c condition) time.Time {
	if c.at.Unix() > 0 { // 1970 is a default of the Gateway API
		return c.at
	}
	if _, report := writtenAndReported(s.obj); !report.IsZero() {
		return report
	}
	return s.obj.GetCreationTimestamp().Time
}

// namesStage says whether a condition that is not as it should be names no cause,
// but what is going on (Creating, ProvisioningInProgress), what somebody stopped
// (ReconcilePaused), or itself once more (NotReady).
func (c condition) namesStage() bool {
	words := camelWords(c.Reason)
	if len(words) == 0 {
		return true
	}
	for i, w := range words {
		switch w {
		case "pending", "progress", "wait", "waits", "paused", "suspended", "stopped", "halted", "hibernated", "initial", "new", "incomplete":
			return true
		case "unknown", "unavailable":
			if len(words) == 1 {
				return true
			}
		case "not", "no", "isn", "some", "awaiting":
			if i+1 < len(words) && wordIn(words[i+1:], "ready", "available", "complete", "completed", "running", "healthy", "reconciled", "scheduled", "started", "initialized", "synced", "applied", "finished", "done") {
				return true
			}
		}
		if isDoing(w) {
			return true
		}
	}
	return false
}

// namesError says whether a condition names a fault: by its reason, by its
// severity, as Cluster API and Knative have one, or by how its message begins.
func (c condition) namesError() bool {
	if namesError(c.Reason) || c.severity == "Error" {
		return true
	}
	words := strings.Fields(strings.ToLower(c.Message))
	if len(words) == 0 {
		return false
	}
	switch strings.TrimRight(words[0], ":,") {
	case "error", "failed", "failure", "invalid", "cannot", "unable":
		return true
	}
	return slices.Contains(words[:min(3, len(words))], "error:") // Operator error: no such node
}

// namesError says whether the reason of a condition is a fault, and not a stage:
// by a word of it, as CamelCase has words.
func namesError(reason string) bool {
	words := camelWords(reason)
	for i, w := range words {
		switch w {
		case "failing":
			if i+1 == len(words) || words[i+1] != "over" {
				return true
			}
		case "error", "err", "errored", "errors", "fail", "failed", "fails", "failure", "failures", "invalid", "denied", "forbidden", "unauthorized",
			"rejected", "refused", "unsupported", "conflict", "conflicting", "conflicted", "misconfigured", "misconfiguration", "exceeded", "degraded",
			"missing", "incompatible", "unreachable", "unresponsive", "unhealthy", "unschedulable", "timeout", "illegal", "malformed", "crash", "crashed", "unresolved", "expired", "broken", "unable", "cannot", "lost", "aborted", "bad", "fatal", "exception":
			return true
		}
	}
	lower := strings.ToLower(reason)
	return strings.Contains(lower, "alreadyexist") || strings.Contains(lower, "alreadyclaimed") || strings.Contains(lower, "alreadyused") || strings.Contains(lower, "notfound") || strings.Contains(lower, "not_found") || strings.Contains(lower, "backoff") || strings.Contains(lower, "notpermitted") || strings.Contains(lower, "timedout") || strings.Contains(lower, "notreachable")
}

// camelWords are the words of a name such as ReconcileError, RECONCILE_ERROR or
// reconcile-error, in small letters.
func camelWords(name string) []string {
	var words []string
	var word []rune
	runes := []rune(name)
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = nil
		}
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			flush()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(runes[i-1])):
			flush()
		}
		word = append(word, r)
	}
	flush()
	return words
}
