package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// NotHealthy is the error of Wait: the objects that are not healthy, those that
// failed first.
type NotHealthy struct {
	Updates []Update
	// After is the timeout that ended the wait; zero where a failure did, or
	// where nothing more can be known.
	After time.Duration
}

func newNotHealthy(all []Update, after time.Duration) *NotHealthy {
	e := &NotHealthy{After: after}
	for _, state := range []State{Failed, Unknown, Progressing} {
		for _, u := range all {
			if u.State == state && (after > 0 || state != Progressing) {
				e.Updates = append(e.Updates, u)
			}
		}
	}
	return e
}

// Error has one line for each object, and indented below it the log that
// explains the failure.
func (e *NotHealthy) Error() string {
	var b strings.Builder
	b.WriteString("not healthy")
	if e.After > 0 {
		fmt.Fprintf(&b, " after %s", e.After)
	}
	b.WriteString(":")
	for _, u := range e.Updates {
		fmt.Fprintf(&b, "\n  %s: %s (%s, rule %s)", u.Target, cmp.Or(u.Message, "no cause known"), u.State, u.Rule)
		for line := range strings.SplitSeq(strings.TrimRight(u.Log, "\n"), "\n") {
			if line != "" {
				b.WriteString("\n    | " + line)
			}
		}
	}
	return b.String()
}

// Failed are the objects that failed, without those that were still waited for.
func (e *NotHealthy) Failed() []Update {
	return slices.DeleteFunc(slices.Clone(e.Updates), func(u Update) bool { return u.State != Failed })
}
