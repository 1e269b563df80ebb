package apply

import (
	"slices"
	"strings"
)

// judge says what the entries that own a field mean for writing over it.
type judge struct {
	controllers []string // of the environment
	autoscaled  bool     // an autoscaler targets the object
}

// blocks returns the entry because of which writing over a field is a conflict,
// or nil. Another apply, an autoscaler and a declared controller mean the value
// that they wrote; an edit by hand, whatever the tool, is drift.
func (j judge) blocks(owners []*entry) *entry {
	i := slices.IndexFunc(owners, func(e *entry) bool {
		switch {
		case e.isOurs():
			return false
		case slices.Contains(j.controllers, e.manager):
			return true
		case e.subresource == "scale":
			return j.autoscaled
		}
		return e.apply && !isKubectl(e.manager)
	})
	if i < 0 {
		return nil
	}
	return owners[i]
}

// warns returns the entry of a kubectl apply --server-side that is written over:
// that is drift, but its owner will probably apply again.
func (j judge) warns(owners []*entry) *entry {
	i := slices.IndexFunc(owners, func(e *entry) bool { return e.apply && isKubectl(e.manager) })
	if i < 0 {
		return nil
	}
	return owners[i]
}

func isKubectl(manager string) bool {
	return manager == "kubectl" || strings.HasPrefix(manager, "kubectl-")
}
