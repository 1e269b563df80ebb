package apply

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/apply/record"
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
	Rejected          Action = "refused"  // by the server; the others are planned all the same
	Foreign           Action = "foreign"  // somebody added fields beside ours
	CopiedLabel       Action = "copied-label"
	UnverifiedCreated Action = "unverified-created"
	UnverifiedChanged Action = "unverified-changed"
	Unchanged         Action = "unchanged"
)

// Plan is what an apply would do. It is pure data: making one writes nothing,
// and two plans of the same world are equal.
type Plan struct {
	Environment string         `json:"environment"`
	Cluster     schema.Cluster `json:"cluster"`
	Rendered    string         `json:"rendered"` // digest of the rendered environment
	Changes     []Change       `json:"changes"`
	Summary     map[Action]int `json:"summary"`
	Requests    kube.Requests  `json:"requests"`
	Durations   Durations      `json:"durations"`
	// Warnings are worth reading and change nothing.
	Warnings []string `json:"warnings,omitempty"`
	// Reach is how the answers to URLs differ. Plans do not know; who knows the
	// routes of both sides may fill it in.
	Reach []Reach `json:"reach,omitempty"`
	// Incomplete lists API groups that discovery did not answer for and in which
	// the environment has or may have objects: while there are any, nothing may
	// be pruned and the set not be narrowed.
	Incomplete []string `json:"incomplete,omitempty"`

	options PlanOptions
	missing []missing
	parent  *unstructured.Unstructured // ApplySet parent, nil before the first apply
	former  *unstructured.Unstructured // the parent under the environment's former name
	state   *record.State              // receipts and key
	key     record.Key                 // with which records are signed, as far as it was asked for
	// places are where there may be members, as far as the records are believed;
	// unconfirmed is what they name beyond that.
	places, unconfirmed record.Scope
	reads               []*Reading // what was listed
	// generations holds metadata.generation of every desired object that is
	// live, unchanged ones included.
	generations map[schema.Ref]int64
}

// Reach is how the answer to one URL differs, or what an app calls.
type Reach struct {
	// What is new, gone, moved, breaks, mended, app, tls, path or provider.
	What string `json:"what"`
	// Subject is the URL, or the app that loses a provider.
	Subject string `json:"subject"`
	Says    string `json:"says"`
}

// Change is what happens to one object.
type Change struct {
	Action Action `json:"action"`
	Unit   string `json:"unit"`
	schema.Ref
	Fields []managed.Field `json:"fields,omitempty"`
	// Message says why, where the action alone does not.
	Message string `json:"message,omitempty"`
	// Verified is false where the server could not check the object: its
	// namespace or CRD arrives in the same plan.
	Verified bool `json:"verified"`
	// Restarts says that the pods of a workload are replaced.
	Restarts bool `json:"restarts,omitempty"`
	// Refused says why apply stops before its first write because of this
	// change, and Hint what to type to allow it.
	Refused string `json:"refused,omitempty"`
	Hint    string `json:"hint,omitempty"`
	// Before and After are the bodies that a reader compares: secret values
	// masked, without status, managedFields and what the server keeps for itself.
	// Of what is created there is only After, of what is deleted only Before.
	Before map[string]any `json:"-"`
	After  map[string]any `json:"-"`

	desired        *schema.Object             // nil for what is not desired
	live           *unstructured.Unstructured // nil for what is not there
	dryRun         *unstructured.Unstructured // what the server made of it, where asked
	waits          string                     // Namespace/x or CustomResourceDefinition/x of this plan
	waitsForServer bool                       // waits is a workload that is to answer for a webhook
	after          []schema.Ref               // what is deleted just before, because it has what this one takes
	migrate        []string                   // managers whose entries adoption takes over
	gone           []managed.Path             // what goes with them
	// dropped is what git no longer sets and others own too; recorded is our entry of
	// what was applied last, where nobody is on record for the object.
	dropped  *managed.Dropped
	recorded []metav1.ManagedFieldsEntry
	// unite, where not nil, is the JSON merge patch that goes before the apply.
	unite map[string]any
	// united says that it was sent, and that the apply is still to come.
	united bool
	// immutable are the fields because of which the object must be recreated.
	immutable []string
	// orphans says that it is recreated without its pods.
	orphans bool
	// handover are the fields (JSON pointers) whose live value goes to
	// evenkeel-handover before the apply, because an autoscaler takes over.
	handover []string
	mask     mask.Masker // with which Fields were masked
}

// PlanOptions adjust a plan. The zero value plans the whole environment and
// refuses what is doubtful.
type PlanOptions struct {
	// Units limits the plan, prune candidates included, to these units.
	Units []string
	// Objects limits the plan to these objects, each read by itself, and finds no
	// prune candidates; nil means all.
	Objects []schema.Ref
	// Full asks the server about every object, certified or not.
	Full bool
	// ListOnly sends no dry-run, for those who may only read: what is not
	// certified is compared locally and marked unverified.
	ListOnly bool
	// ToApply says that the plan is to be applied: where a right is missing, those
	// that the apply may need are listed too.
	ToApply bool
	// ForceConflicts takes fields from other managers, TakeOwnership whole
	// objects from other tools.
	ForceConflicts bool
	TakeOwnership  bool
	// Recreate and Prune name objects, as Kind/name, that may be recreated, or
	// pruned although their kind is kept by default. DeleteFirst names those that are
	// pruned before what takes over from them is written, instead of last.
	Recreate    []string
	Prune       []string
	DeleteFirst []string
	// Recorded are the objects of the last revision: what of them lost its
	// label is still found for pruning. Nil means what the cluster remembers.
	Recorded []schema.Ref
	// LookIn names namespaces, and kinds without namespaces, that are looked at
	// although only records that are not signed name them.
	LookIn []string
	// Siblings are the other environments of the cluster. What they desire is
	// not pruned here, and what they no longer desire may move here.
	Siblings []*schema.Environment
	// Concurrency bounds the requests in flight; zero means 32.
	Concurrency int

	// rendered is the environment as git has it, where another one is planned.
	rendered *schema.Environment
}

// finish makes what a reader sees of the change, without secret values.
func (c *Change) finish() {
	c.Fields = c.mask.Fields(c.Fields)
	switch {
	case c.Action == Foreign || c.Action == CopiedLabel || c.Action == Kept || c.Action == Terminating:
		return
	case c.live != nil && c.dryRun != nil:
		c.Before, c.After = c.mask.Body(c.live), c.mask.Body(c.dryRun)
	case c.live != nil && c.desired != nil:
		c.Before, c.After = c.mask.Body(managed.OwnBody(c.live, c.desired.Unstructured)), c.mask.Body(c.desired.Unstructured)
	case c.live != nil:
		c.Before = c.mask.Body(c.live)
	case c.desired != nil:
		c.After = c.mask.Body(c.desired.Unstructured)
	}
}

// Differs reports whether the cluster differs from the environment, which is what
// exit code 1 of diff says. Strictly, fields that others added count too.
func (p *Plan) Differs(strict bool) bool {
	return slices.ContainsFunc(p.Changes, func(c Change) bool {
		switch c.Action {
		case Unchanged, Reowned, Kept, CopiedLabel:
			return false
		case Foreign:
			return strict
		}
		return true
	})
}

// copied is a plan that can be changed without changing p.
func (p *Plan) copied() *Plan {
	out := *p
	out.Changes, out.state = slices.Clone(p.Changes), p.state.Copied()
	return &out
}

// Reads are what was listed for the plan.
func (p *Plan) Reads() []*Reading { return p.reads }

// Members are the objects of the last recorded apply.
func (p *Plan) Members() []schema.Ref { return p.state.Members }

// Refused returns the changes that a guard stops.
func (p *Plan) Refused() []Change {
	var refused []Change
	for _, c := range p.Changes {
		if c.Refused != "" {
			refused = append(refused, c)
		}
	}
	return refused
}

// Durations are seconds.
type Durations struct {
	Plan  float64 `json:"plan"`
	Apply float64 `json:"apply,omitempty"`
	Gate  float64 `json:"gate,omitempty"`
}

// signerOf goes on with what a plan knows of the key.
func (c *Cluster) signerOf(env *schema.Environment, plan *Plan) *record.Signer {
	return c.Signer(env.Name, env.Namespace).From(plan.key, !plan.options.ToApply)
}
