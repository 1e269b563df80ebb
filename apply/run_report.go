package apply

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Report is what an apply did: the plan with what became of it, the health that
// was seen, and what it cost.
type Report struct {
	Plan
	Health []ObjectHealth `json:"health,omitempty"`
	// Revision is the number of the recorded revision; zero where nothing had
	// changed and none was recorded.
	Revision int `json:"revision,omitempty"`
	// Done and NotDone part the changes at the place where the run ended.
	Done    []schema.Ref `json:"done,omitempty"`
	NotDone []schema.Ref `json:"notDone,omitempty"`
}

// Phase is a step of an apply.
type Phase string

// The phases, in their order.
const (
	PhaseGuard  Phase = "guard"
	PhaseLock   Phase = "lock"
	PhaseWiden  Phase = "widen"
	PhaseWrite  Phase = "write"
	PhaseGate   Phase = "gate"
	PhasePrune  Phase = "prune"
	PhaseNarrow Phase = "narrow"
	PhaseRecord Phase = "record"
)

// Event is one thing that happened during an apply: an object was written, its
// health changed, a wait began. Events come one at a time.
type Event struct {
	Time  time.Time `json:"time"`
	Phase Phase     `json:"phase"`
	Unit  string    `json:"unit,omitempty"`
	schema.Ref
	Action  Action       `json:"action,omitempty"` // of a write
	State   health.State `json:"state,omitempty"`  // of a gate
	Rule    string       `json:"rule,omitempty"`   // that decided about the state
	Message string       `json:"message,omitempty"`
	// Ready and Desired count the pods of a workload that is gated.
	Ready   int `json:"ready,omitempty"`
	Desired int `json:"desired,omitempty"`
	// Wrote is who wrote the object last, of what a watch shows.
	Wrote *health.Write `json:"-"`
}

// journal notes what happened to the changes of a plan, and tells the caller.
type journal struct {
	mu   sync.Mutex
	on   func(Event)
	done map[schema.Ref]bool
	live map[schema.Ref]*unstructured.Unstructured // what the server answered
}

func newJournal(on func(Event)) *journal {
	return &journal{on: on, done: map[schema.Ref]bool{}, live: map[schema.Ref]*unstructured.Unstructured{}}
}

// tell passes an event on.
func (j *journal) tell(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.on != nil {
		e.Time = time.Now()
		j.on(e)
	}
}

// wrote notes that a change was carried out, and what the object is now.
func (j *journal) wrote(phase Phase, change Change, live *unstructured.Unstructured) {
	j.mu.Lock()
	j.done[change.Ref] = true
	j.live[change.Ref] = live
	j.mu.Unlock()
	j.tell(Event{Phase: phase, Unit: change.Unit, Ref: change.Ref, Action: change.Action.taken()})
}

// stay takes back that objects were deleted: they were told to go and are still there.
func (j *journal) stay(changes []*Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, change := range changes {
		delete(j.done, change.Ref)
	}
}

// has reports whether a change was carried out.
func (j *journal) has(ref schema.Ref) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done[ref]
}

// written is what the server answered to the write of an object, or nil.
func (j *journal) written(ref schema.Ref) *unstructured.Unstructured {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.live[ref]
}

// parted splits the changes that are writes into those done and those not.
func (j *journal) parted(changes []Change) (done, notDone []schema.Ref) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range changes {
		switch {
		case j.done[c.Ref]:
			done = append(done, c.Ref)
		case c.Action == Deleted || slices.Contains(writeActions(), c.Action):
			notDone = append(notDone, c.Ref)
		}
	}
	return done, notDone
}

// settled is a plan after the run: what the server has taken is no longer
// unverified, and what was to be deleted may have been kept.
func (j *journal) settled(plan Plan) Plan {
	j.mu.Lock()
	defer j.mu.Unlock()
	unchanged := plan.Summary[Unchanged]
	plan.Changes, plan.Summary = slices.Clone(plan.Changes), map[Action]int{}
	if unchanged > 0 {
		plan.Summary[Unchanged] = unchanged
	}
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if j.done[c.Ref] && c.Action.taken() != c.Action {
			c.Action, c.Verified, c.Message = c.Action.taken(), true, ""
		}
		plan.Summary[c.Action]++
	}
	return plan
}

// taken is the action after the server has taken it.
func (a Action) taken() Action {
	switch a {
	case UnverifiedCreated:
		return Created
	case UnverifiedChanged:
		return Configured
	default:
		return a
	}
}
