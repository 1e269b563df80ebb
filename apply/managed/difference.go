package managed

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Difference is one field that an apply would change, with the entries of the
// live object that own it there.
type Difference struct {
	Path   Path
	from   any
	to     any
	Gone   bool // the field disappears
	rest   bool // what others added to an item of ours, which is none without our part
	owners []*entry
}

// Differences compares a live object with what the server made of it in a
// dry-run, field by field. Bookkeeping of the server and status are left out.
func Differences(live, result *unstructured.Unstructured) []Difference {
	entries := entriesOf(live)
	d := differ{}
	owners := make([]owner, 0, len(entries))
	for i := range entries {
		owners = append(owners, owner{entry: &entries[i], node: entries[i].fields})
	}
	// The entries of the result know the lists of what is new.
	for _, e := range entriesOf(result) {
		owners = append(owners, owner{node: e.fields})
	}
	d.compareMaps(nil, WithoutBookkeeping(live.Object), WithoutBookkeeping(result.Object), owners)
	return d.found
}

// WithoutBookkeeping is a shallow copy without what the server keeps for itself.
func WithoutBookkeeping(object map[string]any) map[string]any {
	object = maps.Clone(object)
	delete(object, "status")
	if meta, ok := object["metadata"].(map[string]any); ok {
		meta = maps.Clone(meta)
		for _, k := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"} {
			delete(meta, k)
		}
		object["metadata"] = meta
	}
	return object
}

// owner is an entry's view of the place that is compared. An owner without entry
// only tells what kind of list stands there.
type owner struct {
	entry *entry
	node  node
	whole bool // the entry owns something above as a whole
}

// descend follows owners to a child of theirs. name may be empty: then only those
// that own the whole go on.
func descend(owners []owner, name func(node) string) []owner {
	var below []owner
	for _, o := range owners {
		if o.whole || isLeaf(o.node) {
			o.whole = true
			below = append(below, o)
			continue
		}
		if sub, ok := child(o.node, name(o.node)); ok {
			below = append(below, owner{entry: o.entry, node: sub})
		}
	}
	return below
}

func byField(k string) func(node) string { return func(node) string { return "f:" + k } }

type differ struct {
	found []Difference
	// declared limits the comparison to what the second object says, and to what
	// an entry of ours says that it no longer does.
	declared bool
	// guess takes lists to be keyed where their items look so, because no entry
	// tells.
	guess bool
}

// LocalDifferences compares what is desired with what is live on the desired
// fields alone. It cannot know what the server would make of it.
func LocalDifferences(desired, live *unstructured.Unstructured) []Difference {
	entries := entriesOf(live)
	owners := make([]owner, 0, len(entries))
	for i := range entries {
		owners = append(owners, owner{entry: &entries[i], node: entries[i].fields})
	}
	d := differ{declared: true}
	d.compareMaps(nil, WithoutBookkeeping(live.Object), WithoutBookkeeping(desired.Object), owners)
	return d.found
}

// RenderedDifferences compares two renderings of an object, of which neither has
// managedFields.
func RenderedDifferences(from, to *unstructured.Unstructured) []Difference {
	d := differ{guess: true}
	d.compareMaps(nil, from.Object, to.Object, nil)
	return d.found
}

// dropped reports whether a live field that is not in the second object counts as
// a difference.
func (d *differ) dropped(owners []owner) bool {
	return !d.declared || slices.ContainsFunc(owners, func(o owner) bool {
		return o.entry != nil && o.entry.isOurApply()
	})
}

func (d *differ) add(p Path, from, to any, gone bool, owners []owner) {
	diff := Difference{Path: p, from: from, to: to, Gone: gone}
	for _, o := range owners {
		if o.entry != nil {
			diff.owners = append(diff.owners, o.entry)
		}
	}
	d.found = append(d.found, diff)
}

func (d *differ) compare(p Path, from, to any, owners []owner) {
	if Equal(from, to) {
		return
	}
	if from, ok := from.(map[string]any); ok {
		if to, ok := to.(map[string]any); ok {
			d.compareMaps(p, from, to, owners)
			return
		}
	}
	if from, ok := from.([]any); ok {
		if to, ok := to.([]any); ok {
			d.compareLists(p, from, to, owners)
			return
		}
	}
	d.add(p, from, to, false, owners)
}

func (d *differ) compareMaps(p Path, from, to map[string]any, owners []owner) {
	for _, k := range sortedKeys(from, to) {
		at := p.field(k)
		below := descend(owners, byField(k))
		f, had := from[k]
		t, has := to[k]
		switch {
		case !has:
			if d.dropped(below) {
				d.add(at, f, nil, true, below)
			}
		case !had:
			d.add(at, nil, t, false, below)
		default:
			d.compare(at, f, t, below)
		}
	}
}

func (d *differ) compareLists(p Path, from, to []any, owners []owner) {
	names, isSet := listShape(owners)
	if d.guess {
		names = guessShape(p, from, to)
	}
	switch {
	case isSet:
		d.compareSets(p, from, to, owners)
	case names != nil && haveKeys(from, names) && haveKeys(to, names):
		d.compareKeyed(p, from, to, names, owners)
	default:
		d.add(p, from, to, false, owners)
	}
}

// listShape asks all owners what list stands here: keyed by these fields, a set,
// or (neither) atomic.
func listShape(owners []owner) (names []string, isSet bool) {
	for _, o := range owners {
		if o.whole {
			continue
		}
		for name := range o.node {
			if strings.HasPrefix(name, "v:") {
				return nil, true
			}
			if key, ok := itemKey(name); ok && strings.HasPrefix(name, "k:") {
				return keyNames(key), false
			}
		}
	}
	return nil, false
}

// haveKeys holds where every item has a key of its own.
func haveKeys(list []any, names []string) bool {
	seen := map[string]bool{}
	for _, item := range list {
		m, _ := item.(map[string]any)
		id, ok := keyID(m, names)
		if !ok || seen[id] {
			return false
		}
		seen[id] = true
	}
	return true
}

func (d *differ) compareKeyed(p Path, from, to []any, names []string, owners []owner) {
	pending := map[string]map[string]any{}
	var order []string
	for _, item := range to {
		m, _ := item.(map[string]any)
		id, _ := keyID(m, names)
		pending[id] = m
		order = append(order, id)
	}
	var common []string
	for _, item := range from {
		f, _ := item.(map[string]any)
		id, _ := keyID(f, names)
		at := p.item(f, names)
		below := descend(owners, func(n node) string { return keyedChild(n, f) })
		t, ok := pending[id]
		if !ok {
			if d.dropped(below) {
				d.add(at, f, nil, true, below)
			}
			continue
		}
		common = append(common, id)
		delete(pending, id)
		d.compare(at, f, t, below)
	}
	var kept []string
	for _, id := range order {
		if t, ok := pending[id]; ok {
			d.add(p.item(t, names), nil, t, false, nil)
		} else {
			kept = append(kept, id)
		}
	}
	if !slices.Equal(common, kept) {
		d.add(p.order(), itemOrder(from, names), itemOrder(to, names), false, owners)
	}
}

// keyedChild finds the child of a keyed list's node that stands for item.
func keyedChild(n node, item map[string]any) string {
	for name := range n {
		if !strings.HasPrefix(name, "k:") {
			continue
		}
		key, ok := itemKey(name)
		if !ok {
			continue
		}
		same := true
		for k, v := range key {
			iv, there := item[k]
			same = same && there && Equal(v, iv)
		}
		if same {
			return name
		}
	}
	return ""
}

// itemOrder shows the order of a keyed list by its keys.
func itemOrder(list []any, names []string) []any {
	order := make([]any, 0, len(list))
	for _, item := range list {
		m, _ := item.(map[string]any)
		order = append(order, keyText(m, names))
	}
	return order
}

func (d *differ) compareSets(p Path, from, to []any, owners []owner) {
	if d.compareSetMembers(p, from, to, owners) {
		return
	}
	d.add(p.order(), from, to, false, owners)
}

// compareSetMembers reports whether the members differ at all; if not, their
// order does.
func (d *differ) compareSetMembers(p Path, from, to []any, owners []owner) bool {
	differ := false
	for _, v := range from {
		below := descend(owners, func(n node) string { return setChild(n, v) })
		if !contains(to, v) && d.dropped(below) {
			differ = true
			d.add(p.member(v), v, nil, true, below)
		}
	}
	for _, v := range to {
		if !contains(from, v) {
			differ = true
			d.add(p.member(v), nil, v, false, nil)
		}
	}
	return differ
}

func contains(list []any, v any) bool {
	return slices.ContainsFunc(list, func(other any) bool { return Equal(other, v) })
}

func setChild(n node, v any) string {
	for name := range n {
		if !strings.HasPrefix(name, "v:") {
			continue
		}
		if member, ok := itemValue(name); ok && Equal(member, v) {
			return name
		}
	}
	return ""
}

func sortedKeys(a, b map[string]any) []string {
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// WasScaled reports whether somebody wrote the field through the scale subresource.
func (d Difference) WasScaled() bool {
	return slices.ContainsFunc(d.owners, func(e *entry) bool { return e.subresource == "scale" })
}
