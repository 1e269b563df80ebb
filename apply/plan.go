// Package apply brings a cluster level with a rendered environment: it plans,
// writes, gates on health, prunes and keeps the history. It knows no CUE and no
// kustomize; what it is given is plain data from package schema.
//
// The path of the data: *schema.Environment + live objects -> Plan -> writes,
// unit by unit, each gated -> prune -> Report.
package apply

import (
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Action is what an apply does, or did, to one object.
type Action string

// The actions of a plan. Unchanged objects are only counted.
const (
	Created           Action = "created"
	Configured        Action = "configured"
	Adopted           Action = "adopted"
	Reowned           Action = "reowned"     // only ownership of fields differs
	Terminating       Action = "terminating" // live, but being deleted
	Kept              Action = "kept"        // would be pruned, but a guard keeps it
	Recreated         Action = "recreated"
	Deleted           Action = "deleted"
	Conflict          Action = "conflict" // another manager owns the field
	Foreign           Action = "foreign"  // somebody added fields beside ours
	CopiedLabel       Action = "copied-label"
	UnverifiedCreated Action = "unverified-created"
	UnverifiedChanged Action = "unverified-changed"
	Unchanged         Action = "unchanged"
)

// ObjectRef names one object, as Kind/namespace/name.
type ObjectRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// Plan is what an apply would do. It is pure data: making one writes nothing,
// and two plans of the same world are equal.
type Plan struct {
	Environment string         `json:"environment"`
	Cluster     schema.Cluster `json:"cluster"`
	Rendered    string         `json:"rendered"` // digest of the rendered environment
	Changes     []Change       `json:"changes"`
	Summary     map[Action]int `json:"summary"`
	Requests    Requests       `json:"requests"`
	Durations   Durations      `json:"durations"`
}

// Change is what happens to one object.
type Change struct {
	Action Action `json:"action"`
	Unit   string `json:"unit"`
	ObjectRef
	Fields []Field `json:"fields,omitempty"`
	// Message says why, where the action alone does not.
	Message string `json:"message,omitempty"`
	// Verified is false where the server could not check the object: its
	// namespace or CRD arrives in the same plan.
	Verified bool `json:"verified"`
}

// Field is one field that differs. Values of Secrets are masked before they get
// here.
type Field struct {
	Path string     `json:"path"`
	From any        `json:"from,omitempty"`
	To   any        `json:"to,omitempty"`
	By   string     `json:"by,omitempty"` // field manager of the live value
	At   *time.Time `json:"at,omitempty"` // that manager's last write
}

// Requests counts API requests by what they were for.
type Requests struct {
	Discovery int `json:"discovery"`
	Review    int `json:"review"`
	List      int `json:"list"`
	Get       int `json:"get"`
	DryRun    int `json:"dryRun"`
	Write     int `json:"write"`
	Watch     int `json:"watch"`
}

// Durations are seconds.
type Durations struct {
	Plan  float64 `json:"plan"`
	Apply float64 `json:"apply,omitempty"`
	Gate  float64 `json:"gate,omitempty"`
}

// ObjectHealth is the judgement of one object of a unit.
type ObjectHealth struct {
	Unit string `json:"unit"`
	ObjectRef
	health.Result
}
