package managed

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Doubt says why a forced server-side apply of desired might change live, or ""
// when it is certain to change nothing: then the object is proven unchanged and
// the server need not be asked.
//
// It is certain if live is not being deleted, has an Apply entry of our manager
// in the same apiVersion, the leaves of that entry are exactly the leaves of
// desired, live has the desired value at each of them, no other entry reaches
// below one of them, and the items of keyed and set lists stand in the same
// relative order and once each. The entry itself says whether a list is keyed, a
// set or atomic, so that no schema is needed. Whatever is not understood is a
// doubt, never a guess.
//
// The rules that it relies on are those of
// sigs.k8s.io/structured-merge-diff/v6: typed/tofieldset.go for what an apply
// owns, typed/merge.go for what it changes.
func Doubt(desired, live *unstructured.Unstructured) string {
	if live.GetDeletionTimestamp() != nil {
		return "being deleted"
	}
	entries := entriesOf(live)
	var ours node
	for _, e := range entries {
		if !e.isOurApply() {
			continue
		}
		if ours != nil {
			return "two entries of ours"
		}
		if e.apiVersion != desired.GetAPIVersion() {
			return "applied as " + e.apiVersion
		}
		ours = e.fields
	}
	if ours == nil {
		return "no entry of ours"
	}
	if d := doubtRoot(ours, desired.Object, live.Object); d != "" {
		return d
	}
	if Undone(live) {
		return "rolled back by kubectl"
	}
	for _, e := range entries {
		if e.isOurApply() {
			continue
		}
		if d := doubtBelow(ours, e.fields); d != "" {
			return d + " (" + e.manager + ")"
		}
	}
	return ""
}

// doubtRoot leaves out what managedFields never lists because it names the
// object.
func doubtRoot(ours node, desired, live map[string]any) string {
	metaNode, _ := child(ours, "f:metadata")
	desiredMeta, _ := desired["metadata"].(map[string]any)
	liveMeta, _ := live["metadata"].(map[string]any)
	if d := doubtMap(metaNode, desiredMeta, liveMeta, "name", "namespace"); d != "" {
		return "metadata" + d
	}
	rest := len(ours)
	if metaNode != nil {
		rest--
	}
	for k, dv := range desired {
		if k == "apiVersion" || k == "kind" || k == "metadata" {
			continue
		}
		rest--
		if d := doubtField(ours, k, dv, live); d != "" {
			return k + d
		}
	}
	if rest != 0 {
		return "owns more than is desired"
	}
	return ""
}

func doubtMap(ours node, desired, live map[string]any, skip ...string) string {
	rest := owned(ours)
	for k, dv := range desired {
		if slices.Contains(skip, k) {
			continue
		}
		rest--
		if d := doubtField(ours, k, dv, live); d != "" {
			return "." + k + d
		}
	}
	if rest != 0 {
		return ": owns more than is desired"
	}
	return ""
}

func doubtField(ours node, k string, dv any, live map[string]any) string {
	fv, ok := child(ours, "f:"+k)
	if !ok {
		return ": not owned"
	}
	lv, ok := live[k]
	if !ok {
		return ": not there"
	}
	return doubtValue(fv, dv, lv)
}

func doubtValue(ours node, desired, live any) string {
	if isLeaf(ours) {
		if !Equal(desired, live) {
			return ": differs"
		}
		return ""
	}
	switch desired := desired.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		if !ok || len(desired) == 0 {
			return ": not a map with fields"
		}
		return doubtMap(ours, desired, live)
	case []any:
		live, ok := live.([]any)
		if !ok {
			return ": not a list"
		}
		return doubtList(ours, desired, live)
	}
	return ": owned below a scalar"
}

func doubtList(ours node, desired, live []any) string {
	switch kindOfList(ours) {
	case keyedList:
		return doubtKeyed(ours, desired, live)
	case setList:
		return doubtSet(ours, desired, live)
	}
	return ": list of unknown kind"
}

func doubtKeyed(ours node, desired, live []any) string {
	items := make(map[string]node, len(ours))
	var names []string
	for name, sub := range ours {
		if name == "." {
			continue
		}
		key, ok := itemKey(name)
		if !ok {
			return ": unreadable key"
		}
		if names == nil {
			names = keyNames(key)
		} else if !slices.Equal(names, keyNames(key)) {
			return ": keys of two kinds"
		}
		id, ok := keyID(key, names)
		if !ok {
			return ": unreadable key"
		}
		n, _ := sub.(node)
		// An item is a leaf where it is an atomic map, such as a reference in
		// imagePullSecrets.
		if _, self := n["."]; !self && !isLeaf(n) {
			return "[]: item not owned"
		}
		items[id] = n
	}
	position := make(map[string]int, len(live))
	for i, item := range live {
		m, _ := item.(map[string]any)
		id, ok := keyID(m, names)
		if _, twice := position[id]; !ok || twice {
			return ": live items without distinct keys"
		}
		position[id] = i
	}
	last := -1
	for _, item := range desired {
		m, _ := item.(map[string]any)
		id, ok := keyID(m, names)
		if !ok {
			return ": item without key"
		}
		n, ok := items[id]
		if !ok {
			return "[]: item not owned, or twice"
		}
		delete(items, id)
		at, ok := position[id]
		if !ok {
			return "[]: not there"
		}
		if at <= last {
			return ": other order"
		}
		last = at
		if d := doubtValue(n, m, live[at]); d != "" {
			return "[]" + d
		}
	}
	if len(items) != 0 {
		return ": owns more than is desired"
	}
	return ""
}

func doubtSet(ours node, desired, live []any) string {
	values := make(map[string]bool, len(ours))
	for name, sub := range ours {
		if name == "." {
			continue
		}
		v, ok := itemValue(name)
		if !ok {
			return ": unreadable value"
		}
		id, ok := scalarID(v)
		n, isNode := sub.(node)
		if !ok || !isNode || !isLeaf(n) {
			return ": not a set of scalars"
		}
		values[id] = true
	}
	position := make(map[string]int, len(live))
	for i, v := range live {
		id, ok := scalarID(v)
		if _, twice := position[id]; !ok || twice {
			return ": live values not distinct"
		}
		position[id] = i
	}
	last := -1
	for _, v := range desired {
		id, ok := scalarID(v)
		if !ok || !values[id] {
			return ": value not owned, or twice"
		}
		delete(values, id)
		at, ok := position[id]
		if !ok {
			return ": value not there"
		}
		if at <= last {
			return ": other order"
		}
		last = at
	}
	if len(values) != 0 {
		return ": owns more than is desired"
	}
	return ""
}

// doubtBelow finds a path where another manager owns something inside what is a
// leaf for us, or the reverse: the same path was atomic for one apply and not for
// the other, because the schema changed in between or an empty map was applied.
func doubtBelow(ours, theirs node) string {
	for name, t := range theirs {
		if name == "." {
			continue
		}
		mine, ok := child(ours, name)
		if !ok {
			continue
		}
		other, _ := t.(node)
		switch {
		case isLeaf(mine) && owned(other) > 0:
			return name + ": owned below our leaf"
		case isLeaf(mine):
			continue
		case isLeaf(other) && owned(mine) > 0:
			return name + ": owned as a whole"
		}
		if d := doubtBelow(mine, other); d != "" {
			return d
		}
	}
	return ""
}
