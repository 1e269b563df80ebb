package managed

import (
	"slices"
	"strings"
)

// Policy says what the entries that own a field mean for writing over it.
type Policy struct {
	Controllers []string // of the environment
	Autoscaled  bool     // an autoscaler targets the object
	Migrated    []string // managers whose entries an adoption makes ours
}

// Blocks returns the manager because of whom writing over a field is a conflict,
// if there is one. Another apply, an autoscaler and a declared controller mean the
// value that they wrote; an edit by hand, whatever the tool, is drift. What another
// apply adds to an item of ours (a CA bundle of a webhook) goes with the item.
func (p Policy) Blocks(d Difference) (manager string, conflict bool) {
	return firstManager(d.owners, func(e *entry) bool {
		switch {
		case e.isOurs(), slices.Contains(p.Migrated, e.manager):
			return false
		case slices.Contains(p.Controllers, e.manager):
			return true
		case e.subresource == "scale":
			return p.Autoscaled
		}
		return e.apply && !isKubectl(e.manager) && !d.rest
	})
}

// Warns returns the manager of a kubectl apply --server-side that is written over:
// that is drift, but its owner will probably apply again.
func (p Policy) Warns(d Difference) (manager string, warn bool) {
	return firstManager(d.owners, func(e *entry) bool { return e.apply && isKubectl(e.manager) })
}

func firstManager(owners []*entry, which func(*entry) bool) (string, bool) {
	i := slices.IndexFunc(owners, which)
	if i < 0 {
		return "", false
	}
	return owners[i].manager, true
}

func isKubectl(manager string) bool {
	return manager == "kubectl" || strings.HasPrefix(manager, "kubectl-")
}
