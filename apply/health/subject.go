package health

import (
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
}

// stale answers for a status of an earlier generation; but a controller that
// says of the present one why it is not Ready is heard.
func (s *subject) stale() (verdict, bool) {
	if c, ok := find(s.conditions, "Ready"); ok && c.Status == "False" && c.observed != 0 && !c.stale(s.obj.GetGeneration()) {
		return verdict{}, false
	}
	return staleStatus(s.obj, condition{})
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
// for a while, and whatever it names when it has been so for long.
const (
	defaultLasting = time.Minute
	stuck          = time.Hour
)

// lasting calls a condition that is not as it should be a failure when it has been
// so for long enough.
func (s *subject) lasting(v verdict, c condition) verdict {
	patience := s.related.Lasting
	if patience == 0 {
		patience = defaultLasting
	}
	if v.State != Progressing || patience < 0 || c.Type == "" || c.Status == "Unknown" || !s.present(c) && len(s.obj.GetManagedFields()) > 0 {
		return v
	}
	if !namesError(c.Reason) {
		patience = max(patience, stuck)
		if isWork(c.Type) {
			return v
		}
	}
	if s.related.elapsed(s.changed(c), s.now) >= patience {
		v.State = Failed
	}
	return v
}

// isWork tells the conditions that stay False as long as something runs.
func isWork(kind string) bool {
	return wordIn(camelWords(kind), "complete", "completed", "succeeded", "done", "finished", "progressing", "accomplished", "running")
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

// namesError says whether the reason of a condition is a fault, and not a stage:
// by a word of it, as CamelCase has words.
func namesError(reason string) bool {
	for _, w := range camelWords(reason) {
		switch w {
		case "error", "err", "errored", "errors", "fail", "failed", "fails", "failure", "failures", "failing", "invalid", "denied", "forbidden", "unauthorized",
			"rejected", "refused", "unsupported", "conflict", "conflicting", "conflicted", "misconfigured", "misconfiguration", "exceeded", "degraded",
			"missing", "incompatible", "unreachable", "unresponsive", "unhealthy", "unschedulable", "timeout", "illegal", "malformed", "crash", "crashed", "unresolved", "expired", "broken", "unable", "cannot":
			return true
		}
	}
	lower := strings.ToLower(reason)
	return strings.Contains(lower, "notfound") || strings.Contains(lower, "not_found") || strings.Contains(lower, "backoff") || strings.Contains(lower, "notpermitted")
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
