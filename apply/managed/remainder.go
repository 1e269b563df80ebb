package managed

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Remainder is the JSON merge patch that makes of a live object what is left of it after
// a change that takes fields out which the dry-run of the apply alone leaves there: those
// that we are given before the apply. result is the answer to that dry-run, dropped and
// migrated what we are given.
func Remainder(live, result *unstructured.Unstructured, gone []Path, dropped *Dropped, migrated []string) map[string]any {
	entries := entriesOf(result)
	var stay []node
	for i := range entries {
		switch e := &entries[i]; {
		case !e.isOurApply() && e.subresource == "" && slices.Contains(migrated, e.manager):
		case dropped != nil && slices.ContainsFunc(dropped.from, func(f entry) bool { return f.isSameAs(e) }):
			stay = append(stay, without(e.fields, dropped.fields))
		default:
			stay = append(stay, e.fields)
		}
	}
	left := runtime.DeepCopyJSON(WithoutBookkeeping(result.Object))
	for _, at := range gone {
		// With the last field that somebody owns goes what it stands in.
		for len(at) > 1 && !slices.ContainsFunc(stay, func(n node) bool { return hasBelow(n, left, at[:len(at)-1]) }) {
			at = at[:len(at)-1]
		}
		remove(left, at)
	}
	return mergePatch(WithoutBookkeeping(live.Object), left)
}

func (e *entry) isSameAs(o *entry) bool {
	return e.manager == o.manager && e.apply == o.apply && e.subresource == o.subresource && e.apiVersion == o.apiVersion
}

// remove takes a field, or an item of a list, out of a value, and returns what is left.
func remove(v any, at Path) any {
	if len(at) == 0 {
		return v
	}
	switch here := v.(type) {
	case map[string]any:
		below, ok := here[at[0].name]
		switch {
		case at[0].item != "" || !ok:
		case len(at) == 1:
			delete(here, at[0].name)
		default:
			here[at[0].name] = remove(below, at[1:])
		}
	case []any:
		i := at[0].index(here)
		switch {
		case i < 0:
		case len(at) == 1:
			return slices.Delete(here, i, i+1)
		default:
			here[i] = remove(here[i], at[1:])
		}
	}
	return v
}
