package apply

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// NotGone says that objects were deleted and are still there. A command exits 3,
// as for what was written and is not healthy.
type NotGone struct {
	After time.Duration
	Stay  []string // each object with what holds it, such as a finalizer
}

// Error has one line for each object.
func (n *NotGone) Error() string {
	return fmt.Sprintf("not gone after %s:\n  %s", n.After, strings.Join(n.Stay, "\n  "))
}

// Interrupted says that the run was told to stop and did, before a write. Done
// and NotDone name the objects on either side of that moment. A command exits
// 130.
type Interrupted struct {
	Done    []schema.Ref
	NotDone []schema.Ref
	Cause   error // what the context was cancelled with
}

// Error counts what was done and what was not; the report names the objects.
func (i *Interrupted) Error() string {
	if len(i.Done)+len(i.NotDone) == 0 {
		return "interrupted: nothing was written"
	}
	return fmt.Sprintf("interrupted: %d objects written, %d not", len(i.Done), len(i.NotDone))
}

// Unwrap returns what the context was cancelled with.
func (i *Interrupted) Unwrap() error { return i.Cause }
