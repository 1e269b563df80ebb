package managed

import (
	"maps"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Effective is the object that is applied over live: desired, with the fields
// that it leaves to others as they are. An ignored field that our entry still
// owns, because nobody wrote it since we created it, is applied with its live
// value: leaving it out would make the server remove it or reset it to its
// default. One that others own is left out. In an adoption, what the migrated entries
// own becomes ours.
func Effective(desired *schema.Object, live *unstructured.Unstructured) *unstructured.Unstructured {
	if live == nil || len(desired.Ignore) == 0 {
		return desired.Unstructured
	}
	return leaving(desired, live, oursOrMigrated(live))
}

// Carried is the object that takes the place of a live one that is deleted: desired, with
// the fields that it leaves to others as they were.
func Carried(desired *schema.Object, live *unstructured.Unstructured) *unstructured.Unstructured {
	var all node
	for _, e := range entriesOf(live) {
		all = union(all, e.fields)
	}
	return leaving(desired, live, all)
}

// leaving is desired with the ignored fields as they are live where they are owned, and
// without them elsewhere.
func leaving(desired *schema.Object, live *unstructured.Unstructured, owned node) *unstructured.Unstructured {
	left := desired.DeepCopy()
	ours := place{node: owned, owned: owned != nil}
	for _, pointer := range desired.Ignore {
		if v, ok := leave(left.Object, live.Object, true, ours, schema.PointerTokens(pointer)); ok {
			left.Object, _ = v.(map[string]any)
		}
	}
	return left
}

// oursOrMigrated is our entry, or where there is none, the entries together that an
// adoption makes ours.
func oursOrMigrated(live *unstructured.Unstructured) node {
	entries := entriesOf(live)
	ours := ourApply(entries)
	if ours != nil {
		return ours
	}
	for i := range entries {
		if migrates(live, &entries[i]) {
			ours = union(ours, entries[i].fields)
		}
	}
	return ours
}

// union is what one of two entries owns: what one owns as a whole, as a whole.
func union(a, b node) node {
	if a == nil {
		return b
	}
	all := maps.Clone(a)
	for name, below := range b {
		second, _ := below.(node)
		if first, ok := all[name].(node); ok && !isLeaf(first) && !isLeaf(second) {
			second = union(first, second)
		} else if ok && isLeaf(first) {
			second = first
		}
		all[name] = second
	}
	return all
}

// place is what our entry says about the value that leave looks at.
type place struct {
	node  node
	owned bool // by us, in whole or in part
	whole bool // as a part of something atomic
}

func (p place) child(name string) place {
	if p.whole {
		return p
	}
	n, ok := child(p.node, name)
	if !ok {
		return place{}
	}
	return place{node: n, owned: true, whole: isLeaf(n)}
}

// leave returns what desired becomes when the field that tokens lead to is left
// to others, and false if nothing remains of it.
func leave(desired, live any, isLive bool, ours place, tokens []string) (any, bool) {
	if len(tokens) == 0 {
		return live, isLive && ours.owned
	}
	switch d := desired.(type) {
	case map[string]any:
		name := tokens[0]
		dv, ok := d[name]
		if !ok {
			return desired, true
		}
		l, _ := live.(map[string]any)
		lv, there := l[name]
		v, keep := leave(dv, lv, there, ours.child("f:"+name), tokens[1:])
		if keep {
			d[name] = v
			return d, true
		}
		delete(d, name)
		return d, len(d) > 0
	case []any:
		i, err := strconv.Atoi(tokens[0])
		if err != nil || i < 0 || i >= len(d) {
			return desired, true
		}
		lv, there, sub := liveItem(d[i], i, live, ours)
		v, keep := leave(d[i], lv, there, sub, tokens[1:])
		if keep {
			d[i] = v
			return d, true
		}
		return slices.Delete(d, i, i+1), len(d) > 1
	}
	return desired, true
}

// liveItem finds the live counterpart of the i-th desired item of a list: by key
// where our entry says that the list has keys, else by name, else by position.
func liveItem(item any, i int, live any, ours place) (value any, there bool, sub place) {
	list, _ := live.([]any)
	m, isMap := item.(map[string]any)
	if isMap && !ours.whole {
		name := keyedChild(ours.node, m)
		if name != "" {
			for _, v := range list {
				if l, _ := v.(map[string]any); l != nil && keyedChild(node{name: node{}}, l) != "" {
					return l, true, ours.child(name)
				}
			}
			return nil, false, place{}
		}
		if m["name"] != nil {
			for _, v := range list {
				if l, _ := v.(map[string]any); l != nil && Equal(l["name"], m["name"]) {
					return l, true, place{}
				}
			}
			return nil, false, place{}
		}
	}
	if i < len(list) {
		return list[i], true, ours
	}
	return nil, false, ours
}
