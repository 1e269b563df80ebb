package managed

import (
	"slices"
	"strings"
)

// ownedField is a field of a live object that an entry owns: a leaf, or a whole
// item of a list.
type ownedField struct {
	path  Path
	value any
}

// ownedBeside lists what an entry owns of a live object that none of the other
// trees owns. An item of a keyed list that only the entry owns is one field.
func ownedBeside(theirs node, live map[string]any, others ...node) []ownedField {
	w := ownedWalk{}
	w.fields(nil, theirs, live, others)
	sortOwned(w.found)
	return w.found
}

// treeBeside is the part of a tree that leads to what ownedBeside lists and is kept.
func treeBeside(theirs node, live any, keep func(ownedField) bool, others ...node) node {
	w := ownedWalk{keep: keep}
	return w.fields(nil, theirs, live, others)
}

func sortOwned(fields []ownedField) {
	slices.SortStableFunc(fields, func(a, b ownedField) int { return strings.Compare(a.path.String(), b.path.String()) })
}

type ownedWalk struct {
	found []ownedField
	keep  func(ownedField) bool // nil keeps all
}

// fields finds what the others do not own, and returns the tree that leads to it.
func (w *ownedWalk) fields(p Path, theirs node, live any, others []node) node {
	found := node{}
	for name, sub := range theirs {
		n, ok := sub.(node)
		if name == "." || !ok {
			continue
		}
		below, covered := othersBelow(others, name)
		if covered {
			continue
		}
		at, value, item, ok := locate(p, name, live)
		if !ok {
			continue
		}
		if isLeaf(n) || item && len(below) == 0 {
			// Owned by others in parts: then the parts are theirs to say.
			if f := (ownedField{path: at, value: value}); len(below) == 0 && (w.keep == nil || w.keep(f)) {
				w.found, found[name] = append(w.found, f), n
			}
			continue
		}
		if inside := w.fields(at, n, value, below); len(inside) > 0 {
			found[name] = inside
		}
	}
	return found
}

// othersBelow follows the other trees. covered says that one of them owns the
// child as a whole.
func othersBelow(others []node, name string) (below []node, covered bool) {
	for _, o := range others {
		n, ok := child(o, name)
		if !ok {
			continue
		}
		if isLeaf(n) {
			return nil, true
		}
		below = append(below, n)
	}
	return below, false
}

// locate finds the value of a child in a live object. item is true for items of
// lists.
func locate(p Path, name string, live any) (at Path, value any, item, ok bool) {
	switch {
	case strings.HasPrefix(name, "f:"):
		m, _ := live.(map[string]any)
		value, ok = m[name[2:]]
		return p.field(name[2:]), value, false, ok
	case strings.HasPrefix(name, "k:"):
		key, valid := itemKey(name)
		list, _ := live.([]any)
		if !valid {
			return nil, nil, true, false
		}
		for _, v := range list {
			m, _ := v.(map[string]any)
			if m != nil && keyedChild(node{name: node{}}, m) != "" {
				return p.item(m, keyNames(key)), m, true, true
			}
		}
	case strings.HasPrefix(name, "v:"):
		v, valid := itemValue(name)
		list, _ := live.([]any)
		if valid && contains(list, v) {
			return p.member(v), v, true, true
		}
	}
	return nil, nil, true, false
}
