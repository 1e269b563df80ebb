package apply

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
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
	d := definition{generation: crd.GetGeneration(), changed: managed.LastWrite(crd, "spec")}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.definitions[kinds.Defines(crd)] = d
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
	return !managed.LastApply(live).After(d.changed)
}
