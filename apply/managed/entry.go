package managed

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/json"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// entry is one managedFields entry of a live object.
type entry struct {
	manager     string
	apply       bool // operation Apply, else Update
	apiVersion  string
	subresource string
	at          *time.Time
	fields      node
}

// node is a part of a fieldsV1 tree as it comes from JSON: "f:name", "k:{key}",
// "v:value" and "i:index" lead to child nodes, "." says that the node itself is
// owned too. A node without children is a leaf: a scalar, something atomic, or an
// empty map that was applied. It is written by
// sigs.k8s.io/structured-merge-diff/v6/fieldpath (serialize.go).
type node = map[string]any

// entriesOf reads the entries of a live object, in the server's order.
func entriesOf(live *unstructured.Unstructured) []entry {
	raw, _, _ := unstructured.NestedFieldNoCopy(live.Object, "metadata", "managedFields")
	list, _ := raw.([]any)
	entries := make([]entry, 0, len(list))
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		e := entry{
			manager:     text(m["manager"]),
			apply:       text(m["operation"]) == "Apply",
			apiVersion:  text(m["apiVersion"]),
			subresource: text(m["subresource"]),
		}
		e.fields, _ = m["fieldsV1"].(node)
		if at, err := time.Parse(time.RFC3339, text(m["time"])); err == nil {
			e.at = &at
		}
		entries = append(entries, e)
	}
	return entries
}

// isOurApply is the entry that every apply of evenkeel replaces.
func (e *entry) isOurApply() bool {
	return e.apply && e.manager == schema.Manager && e.subresource == ""
}

// isOurs holds for evenkeel's applies and for its own verbs, such as
// evenkeel-handover and evenkeel-scale. Under its plain name evenkeel only applies: who
// updates under that is somebody else.
func (e *entry) isOurs() bool {
	return e.isOurApply() || strings.HasPrefix(e.manager, schema.Manager+"-")
}

// ourApply returns the fields of our entry, or nil.
func ourApply(entries []entry) node {
	i := slices.IndexFunc(entries, func(e entry) bool { return e.isOurApply() })
	if i < 0 {
		return nil
	}
	return entries[i].fields
}

// HasEntry reports whether a manager has an entry.
func HasEntry(live *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(entriesOf(live), func(e entry) bool { return e.manager == manager })
}

// IsApplied reports whether evenkeel applies an object.
func IsApplied(live *unstructured.Unstructured) bool {
	return ourApply(entriesOf(live)) != nil
}

// LastWrite is when a top-level field of an object was written last.
func LastWrite(live *unstructured.Unstructured, field string) time.Time {
	var last time.Time
	for _, e := range entriesOf(live) {
		if _, owns := e.fields["f:"+field]; owns && timeOf(&e).After(last) {
			last = timeOf(&e)
		}
	}
	return last
}

// LastApply is when our entry was written, or the zero time if there is none.
func LastApply(live *unstructured.Unstructured) time.Time {
	for _, e := range entriesOf(live) {
		if e.isOurApply() {
			return timeOf(&e)
		}
	}
	return time.Time{}
}

// Sets reports whether our entry owns the field that the names lead to.
func Sets(live *unstructured.Unstructured, names ...string) bool {
	n, ok := ourApply(entriesOf(live)), true
	for _, name := range names {
		if n, ok = child(n, "f:"+name); !ok {
			return false
		}
	}
	return ok
}

func timeOf(e *entry) time.Time {
	if e.at == nil {
		return time.Time{}
	}
	return *e.at
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// The names of a node's children.

func child(n node, name string) (node, bool) {
	c, ok := n[name]
	if !ok {
		return nil, false
	}
	sub, ok := c.(node)
	return sub, ok
}

func isLeaf(n node) bool { return len(n) == 0 }

// owned counts children, the "." that stands for the node itself left out.
func owned(n node) int {
	if _, ok := n["."]; ok {
		return len(n) - 1
	}
	return len(n)
}

// listKind says what a node knows about the list that it describes.
type listKind int

const (
	notAList listKind = iota
	keyedList
	setList
	mixedList // by index, or more than one of the above: nothing to rely on
)

func kindOfList(n node) listKind {
	kind := notAList
	for name := range n {
		var this listKind
		switch {
		case name == ".":
			continue
		case strings.HasPrefix(name, "k:"):
			this = keyedList
		case strings.HasPrefix(name, "v:"):
			this = setList
		case strings.HasPrefix(name, "i:"):
			return mixedList
		}
		if kind != notAList && this != kind {
			return mixedList
		}
		kind = this
	}
	return kind
}

// itemKey parses the key of a "k:" child.
func itemKey(name string) (map[string]any, bool) {
	var key map[string]any
	_, err := json.UnmarshalStrict([]byte(strings.TrimPrefix(name, "k:")), &key)
	return key, err == nil && len(key) > 0
}

// itemValue parses the value of a "v:" child.
func itemValue(name string) (any, bool) {
	var value any
	_, err := json.UnmarshalStrict([]byte(strings.TrimPrefix(name, "v:")), &value)
	return value, err == nil
}

// keyNames returns the sorted field names of a parsed key.
func keyNames(key map[string]any) []string {
	names := make([]string, 0, len(key))
	for name := range key {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Ownership is managedFields without times, for comparing. Entries for status are
// left out: an apply has nothing to do with them. Two entries of one manager, which the
// API server keeps after some writes to the scale subresource and takes for one itself
// (the key of ToParent has an apiVersion that the entry has no longer, see
// apimachinery/pkg/util/managedfields/scalehandler.go), are one.
func Ownership(live *unstructured.Unstructured) []any {
	type key struct {
		manager     string
		apply       bool
		apiVersion  string
		subresource string
	}
	var order []key
	fields := map[key]node{}
	for _, e := range entriesOf(live) {
		if e.subresource == "status" {
			continue
		}
		k := key{e.manager, e.apply, e.apiVersion, e.subresource}
		if _, twice := fields[k]; twice {
			fields[k] = union(fields[k], e.fields)
			continue
		}
		order, fields[k] = append(order, k), e.fields
	}
	var all []any
	for _, k := range order {
		all = append(all, []any{k.manager, k.apply, k.apiVersion, k.subresource, fields[k]})
	}
	return all
}
