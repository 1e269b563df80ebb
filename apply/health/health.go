// Package health judges whether live objects do what they were declared to do,
// and names the cause where they do not. The same rules serve the gate of apply
// and the report of status.
package health

// State is the answer for one object. "unknown" is said, never taken for healthy.
type State string

// The four states.
const (
	Healthy     State = "healthy"
	Progressing State = "progressing"
	Failed      State = "failed"
	Unknown     State = "unknown"
)

// Result is the judgement of one object: its state, the rule that decided and,
// where it is not healthy, the cause in words.
type Result struct {
	State   State  `json:"state"`
	Rule    string `json:"rule"`
	Message string `json:"message,omitempty"`
}
