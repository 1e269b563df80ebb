package apply

import (
	"maps"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Certifier judges single live objects of an environment as a plan does before it
// asks the server. It is safe for concurrent use.
type Certifier struct {
	env     *schema.Environment
	desired map[schema.ID]*schema.Object

	mu       sync.Mutex
	receipts map[string]string
}

// Verdict is what a Certifier says of an object.
type Verdict int

// The verdicts.
const (
	Unrelated Verdict = iota // nothing that a plan would act on
	Level                    // proven unchanged
	Doubtful                 // only a plan of it can tell
	Stranger                 // a member that the environment does not render
)

// NewCertifier makes a Certifier of one rendering.
func NewCertifier(env *schema.Environment) *Certifier {
	c := &Certifier{env: env, desired: map[schema.ID]*schema.Object{}, receipts: map[string]string{}}
	for _, o := range env.Objects() {
		c.desired[schema.IDOf(o.Unstructured)] = o
	}
	return c
}

// Certify says what is known of a live object without asking the server. The
// reference is that of the object in the environment.
func (c *Certifier) Certify(live *unstructured.Unstructured) (schema.Ref, Verdict) {
	obj := c.desired[schema.IDOf(live)]
	if obj == nil {
		if metav1.GetControllerOf(live) == nil && managed.IsApplied(live) && live.GetDeletionTimestamp() == nil {
			return schema.RefOf(live), Stranger
		}
		return schema.RefOf(live), Unrelated
	}
	ref := schema.RefOf(obj.Unstructured)
	desired := managed.Effective(obj, live)
	if managed.Doubt(desired, live) == "" {
		return ref, Level
	}
	c.mu.Lock()
	kept, ok := c.receipts[ref.String()]
	c.mu.Unlock()
	if !ok {
		return ref, Doubtful
	}
	if now, err := record.Receipt(desired, live, 0); err != nil || now != kept {
		return ref, Doubtful
	}
	return ref, Level
}

// Gone is the reference of an object that was deleted, or lost its label, if the
// environment renders it.
func (c *Certifier) Gone(live *unstructured.Unstructured) (schema.Ref, bool) {
	obj := c.desired[schema.IDOf(live)]
	if obj == nil {
		return schema.Ref{}, false
	}
	return schema.RefOf(obj.Unstructured), true
}

// Learn takes over what dry-runs of a plan showed to be no change.
func (c *Certifier) Learn(p *Plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.receipts, p.state.Receipts)
}

// Place is a kind in a namespace; the namespace of a kind without namespaces is
// empty.
type Place struct {
	GVK       kschema.GroupVersionKind
	Namespace string
}

// Places are where the objects of the environment are.
func (c *Certifier) Places() []Place {
	seen := map[Place]bool{}
	var places []Place
	for _, o := range c.env.Objects() {
		p := Place{o.GroupVersionKind(), o.GetNamespace()}
		if !seen[p] {
			seen[p] = true
			places = append(places, p)
		}
	}
	return places
}
