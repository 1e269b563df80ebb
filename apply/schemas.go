package apply

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// definition is the state of a live CRD: an Apply entry that was written under an
// older schema does not tell what an apply would do under the present one. A list
// or map that became atomic since would lose what others added to it.
type definition struct {
	generation int64
	changed    time.Time // last write to its spec
}

// noteSchema remembers a CRD of the environment. Those of others are not looked
// at; a full plan is certain of their custom resources too.
func (p *planner) noteSchema(crd *unstructured.Unstructured) {
	d := definition{generation: crd.GetGeneration()}
	for _, e := range managedFields(crd) {
		if _, spec := e.fields["f:spec"]; spec && timeOf(&e).After(d.changed) {
			d.changed = timeOf(&e)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.definitions[crdKind(crd)] = d
}

func (p *planner) definitionOf(live *unstructured.Unstructured) definition {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.definitions[live.GroupVersionKind().GroupKind()]
}

// isNewerThan reports whether the schema changed after our entry was written.
// The times have seconds, so the same second counts as before. A CRD of the first
// generation never changed.
func (d definition) isNewerThan(live *unstructured.Unstructured) bool {
	if d.generation <= 1 || d.changed.IsZero() {
		return false
	}
	for _, e := range managedFields(live) {
		if e.isOurApply() {
			return !timeOf(&e).After(d.changed)
		}
	}
	return true
}
