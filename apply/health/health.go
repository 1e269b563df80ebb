// Package health judges whether live objects do what they were declared to do,
// and names the cause where they do not. The same rules serve the gate of apply
// and the report of status.
//
// Judge is the pure part: a live object, the rule declared for it and what
// belongs to it (ReplicaSets, pods, events, claims) give a Result. Watcher keeps
// these things up to date with one watch per kind and namespace, and Wait
// returns when all are healthy or one has failed for good.
//
// The base is kstatus (github.com/fluxcd/cli-utils), which decides for CRDs and
// for the conditions Stalled, Reconciling and Ready of custom resources. The
// rules for workloads follow `kubectl rollout status`.
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

// NotRead is the message of a Result before the first answer of the server.
const NotRead = "not read yet"

// Result is the judgement of one object: its state, the rule that decided and,
// where it is not healthy, the cause in words.
type Result struct {
	State   State  `json:"state"`
	Rule    string `json:"rule"`
	Message string `json:"message,omitempty"`
	// Log holds the last lines of a container that crashed, separated by
	// newlines, as the kubelet returns them.
	Log string `json:"log,omitempty"`
}
