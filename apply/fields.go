package apply

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// difference is one field that an apply would change, with the entries of the
// live object that own it there.
type difference struct {
	path   path
	from   any
	to     any
	gone   bool // the field disappears
	owners []*entry
}

// differences compares a live object with what the server made of it in a
// dry-run, field by field. Bookkeeping of the server and status are left out.
func differences(live, result *unstructured.Unstructured) []difference {
	entries := managedFields(live)
	d := differ{}
	owners := make([]owner, 0, len(entries))
	for i := range entries {
		owners = append(owners, owner{entry: &entries[i], node: entries[i].fields})
	}
	// The entries of the result know the lists of what is new.
	for _, e := range managedFields(result) {
		owners = append(owners, owner{node: e.fields})
	}
	d.compareMaps(nil, withoutBookkeeping(live.Object), withoutBookkeeping(result.Object), owners)
	return d.found
}

// withoutBookkeeping is a shallow copy without what the server keeps for itself.
func withoutBookkeeping(object map[string]any) map[string]any {
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
	found []difference
	// declared limits the comparison to what the second object says, and to what
	// an entry of ours says that it no longer does.
	declared bool
	// guess takes lists to be keyed where their items look so, because no entry
	// tells.
	guess bool
}

// localDifferences compares what is desired with what is live on the desired
// fields alone. It cannot know what the server would make of it.
func localDifferences(desired, live *unstructured.Unstructured) []difference {
	entries := managedFields(live)
	owners := make([]owner, 0, len(entries))
	for i := range entries {
		owners = append(owners, owner{entry: &entries[i], node: entries[i].fields})
	}
	d := differ{declared: true}
	d.compareMaps(nil, withoutBookkeeping(live.Object), withoutBookkeeping(desired.Object), owners)
	return d.found
}

// dropped reports whether a live field that is not in the second object counts as
// a difference.
func (d *differ) dropped(owners []owner) bool {
	return !d.declared || slices.ContainsFunc(owners, func(o owner) bool {
		return o.entry != nil && o.entry.isOurApply()
	})
}

func (d *differ) add(p path, from, to any, gone bool, owners []owner) {
	diff := difference{path: p, from: from, to: to, gone: gone}
	for _, o := range owners {
		if o.entry != nil {
			diff.owners = append(diff.owners, o.entry)
		}
	}
	d.found = append(d.found, diff)
}

func (d *differ) compare(p path, from, to any, owners []owner) {
	if equal(from, to) {
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

func (d *differ) compareMaps(p path, from, to map[string]any, owners []owner) {
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

func (d *differ) compareLists(p path, from, to []any, owners []owner) {
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

func (d *differ) compareKeyed(p path, from, to []any, names []string, owners []owner) {
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
			same = same && there && equal(v, iv)
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

func (d *differ) compareSets(p path, from, to []any, owners []owner) {
	if d.compareSetMembers(p, from, to, owners) {
		return
	}
	d.add(p.order(), from, to, false, owners)
}

// compareSetMembers reports whether the members differ at all; if not, their
// order does.
func (d *differ) compareSetMembers(p path, from, to []any, owners []owner) bool {
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
	return slices.ContainsFunc(list, func(other any) bool { return equal(other, v) })
}

func setChild(n node, v any) string {
	for name := range n {
		if !strings.HasPrefix(name, "v:") {
			continue
		}
		if member, ok := itemValue(name); ok && equal(member, v) {
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

// field turns a difference into what is printed: with the manager of the live
// value that wrote last, and when.
func (d *difference) field() Field {
	f := Field{Path: d.path.String(), From: d.from, To: d.to}
	if by := latest(d.owners); by != nil {
		f.By, f.At = by.manager, by.at
	}
	return f
}

// latest prefers other managers over our own: where both own a value, theirs is
// the news.
func latest(owners []*entry) *entry {
	if len(owners) == 0 {
		return nil
	}
	return slices.MaxFunc(owners, func(a, b *entry) int {
		if a.isOurs() != b.isOurs() {
			if a.isOurs() {
				return -1
			}
			return 1
		}
		return timeOf(a).Compare(timeOf(b))
	})
}

func timeOf(e *entry) time.Time {
	if e.at == nil {
		return time.Time{}
	}
	return *e.at
}

// path is the way to a field, for printing and for matching.
type path []step

type step struct {
	name  string   // of a field; empty for an item
	item  string   // of a list, as printed between brackets
	names []string // the fields of the item's key, in a keyed list
}

func (p path) field(name string) path { return append(slices.Clip(p), step{name: name}) }
func (p path) order() path            { return append(slices.Clip(p), step{item: "order"}) }

func (p path) item(item map[string]any, names []string) path {
	return append(slices.Clip(p), step{item: keyText(item, names), names: names})
}

func (p path) member(v any) path {
	return append(slices.Clip(p), step{item: "=" + scalarText(v)})
}

// String is spec.containers[name=web].ports[containerPort=80,protocol=TCP]. Names
// that are no identifiers stand in brackets: metadata.labels[app/name].
func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.item != "":
			b.WriteString("[" + s.item + "]")
		case strings.ContainsAny(s.name, "./[]") || s.name == "":
			b.WriteString("[" + s.name + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// fields are the names of the path alone, without the items of lists:
// spec.containers.image.
func (p path) fields() string {
	names := make([]string, 0, len(p))
	for _, s := range p {
		if s.item == "" {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, ".")
}

// in reports whether an object has a field, or an item, at the path.
func (p path) in(v any) bool {
	for _, s := range p {
		switch {
		case s.name != "":
			m, ok := v.(map[string]any)
			if !ok {
				return false
			}
			if v, ok = m[s.name]; !ok {
				return false
			}
		default:
			list, _ := v.([]any)
			i := slices.IndexFunc(list, func(item any) bool {
				m, isMap := item.(map[string]any)
				return isMap && s.names != nil && keyText(m, s.names) == s.item || "="+scalarText(item) == s.item
			})
			if i < 0 {
				return false
			}
			v = list[i]
		}
	}
	return true
}

func keyText(item map[string]any, names []string) string {
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, name+"="+scalarText(item[name]))
	}
	return strings.Join(parts, ",")
}

func scalarText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if b, err := json.Marshal(v); err == nil {
		return string(b)
	}
	return fmt.Sprint(v)
}

// sortFields orders fields for printing.
func sortFields(fields []Field) {
	slices.SortStableFunc(fields, func(a, b Field) int { return cmp.Compare(a.Path, b.Path) })
}
