package managed

import (
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Dropped are the fields that an environment set on an object and sets no longer, and
// that an apply alone would leave there, because somebody else owns them too: who
// edits a value by hand becomes a second owner of it.
type Dropped struct {
	Removed []Field  // what goes: those who own it too wrote over what was ours
	Paths   []Path   // of what goes
	Meant   []string // "path (manager)" of what another apply means
	Stay    []string // and of what a controller has, or a subresource set

	fields node
	from   []entry // whose entries lose the fields
}

// Drop finds the fields that our entry gives up from one state of a live object to the
// next, which is the answer to a dry-run. With force they are removed even where another
// manager means to keep them.
//
// earlier are objects as we applied them before. What they set, and kubectl rollout undo
// has brought back since, is dropped as well.
func Drop(before, after *unstructured.Unstructured, p Policy, force bool, earlier ...*unstructured.Unstructured) *Dropped {
	entries := entriesOf(before)
	had, back := ourApply(entries), undone(entries)
	for _, o := range earlier {
		if set := setIn(back, o.Object); len(set) > 0 {
			had = union(had, set)
		}
	}
	return drop(had, after, p, force)
}

// DropRecorded is Drop where nobody is on record for the fields of a live object any
// more: recorded is the answer to a dry-run of what was applied last.
func DropRecorded(recorded, after *unstructured.Unstructured) *Dropped {
	d := &Dropped{fields: without(ourApply(entriesOf(recorded)), ourApply(entriesOf(after)))}
	for _, f := range ownSteps(d.fields, after.Object) {
		d.remove(f, nil)
	}
	return d
}

// Undone reports whether kubectl rollout undo has brought back fields that we no longer
// set.
func Undone(live *unstructured.Unstructured) bool {
	entries := entriesOf(live)
	return len(without(undone(entries), ourApply(entries))) > 0
}

// undone is what kubectl rollout undo wrote below the template of pods: no other command
// of kubectl writes there under its plain name
// (k8s.io/kubectl/pkg/polymorphichelpers/rollback.go).
func undone(entries []entry) node {
	for i := range entries {
		if e := &entries[i]; e.manager == "kubectl" && !e.apply && e.subresource == "" {
			spec, _ := child(e.fields, "f:spec")
			if template, ok := child(spec, "f:template"); ok {
				return node{"f:spec": node{"f:template": template}}
			}
		}
	}
	return nil
}

// setIn is the part of a tree that an object has values for.
func setIn(n node, value any) node {
	set := node{}
	for name, sub := range n {
		below, ok := sub.(node)
		if name == "." || !ok {
			continue
		}
		_, has, _, ok := locate(nil, name, value)
		switch {
		case !ok:
		case ownsItself(below):
			set[name] = below
		default:
			if inside := setIn(below, has); len(inside) > 0 {
				set[name] = inside
			}
		}
	}
	return set
}

func drop(had node, after *unstructured.Unstructured, p Policy, force bool) *Dropped {
	entries := entriesOf(after)
	d := &Dropped{fields: without(had, ourApply(entries))}
	if len(d.fields) == 0 {
		return d
	}
	for i := range entries {
		e := &entries[i]
		switch {
		case e.isOurs() || p.leaves(e):
		case force || !p.means(e):
			d.from = append(d.from, *e)
		}
	}
	for _, f := range ownSteps(d.fields, after.Object) {
		var by *entry
		keeper, meant := "", false
		for i := range entries {
			e := &entries[i]
			if e.isOurApply() || e.manager == UniteManager || !hasBelow(e.fields, after.Object, f.path) {
				continue
			}
			switch {
			case e.isOurs() || p.leaves(e):
				keeper = e.manager
			case p.means(e) && !force:
				keeper, meant = e.manager, true
			default:
				by = e
			}
		}
		switch {
		case meant:
			d.Meant = append(d.Meant, fmt.Sprintf("%s (%s)", f.path, keeper))
		case keeper != "":
			d.Stay = append(d.Stay, fmt.Sprintf("%s (%s)", f.path, keeper))
		case by != nil:
			d.remove(f, by)
		}
	}
	return d
}

func (d *Dropped) remove(f ownedField, by *entry) {
	gone := Field{Path: f.path.String(), From: f.value}
	if by != nil {
		gone.By, gone.At = by.manager, by.at
	}
	d.Removed, d.Paths = append(d.Removed, gone), append(d.Paths, f.path)
}

// means reports whether an entry is of somebody who means what it owns: see Blocks.
func (p Policy) means(e *entry) bool { return e.apply && !isKubectl(e.manager) }

// leaves reports whether what an entry owns is none of ours once git does not set it.
func (p Policy) leaves(e *entry) bool {
	return e.subresource != "" || isSystem(e.manager) || slices.Contains(p.Controllers, e.manager)
}

// Disown are the managedFields of an object after we, and nobody else, own what was
// dropped: an apply without it removes it then.
func (d *Dropped) Disown(fields []metav1.ManagedFieldsEntry) ([]metav1.ManagedFieldsEntry, error) {
	var out []metav1.ManagedFieldsEntry
	for _, e := range fields {
		as := entry{manager: e.Manager, apply: e.Operation == metav1.ManagedFieldsOperationApply, subresource: e.Subresource, apiVersion: e.APIVersion}
		theirs := slices.ContainsFunc(d.from, func(f entry) bool { return f.isSameAs(&as) })
		ours := e.Manager == schema.Manager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
		if (theirs || ours) && e.FieldsV1 != nil {
			n := node{}
			if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &n); err != nil {
				return nil, err
			}
			if ours { // which never had what a rollback by kubectl brought back
				n = union(n, d.fields)
			} else if n = without(n, d.fields); len(n) == 0 {
				continue
			}
			raw, err := json.Marshal(n)
			if err != nil {
				return nil, err
			}
			e.FieldsV1 = metav1.NewFieldsV1(string(raw))
		}
		out = append(out, e)
	}
	return out, nil
}

// Recorded are the managedFields to be written where nobody is on record for the fields
// of an object, from the answer to a dry-run: ours, and what others have beside it,
// under the name that the server gives to who wrote before anybody applied. What the
// server fills in is nobody's, and so is what is left of what goes.
func Recorded(recorded *unstructured.Unstructured, gone []Path) ([]metav1.ManagedFieldsEntry, error) {
	ours, builtin := ourApply(entriesOf(recorded)), IsBuiltin(recorded.GroupVersionKind().Group)
	keep := func(f ownedField) bool {
		return !isNoise(f.path) && (!builtin || !isDefault(f)) && !slices.ContainsFunc(gone, f.path.isWithin)
	}
	var out []metav1.ManagedFieldsEntry
	for _, e := range recorded.GetManagedFields() {
		switch {
		case e.Subresource != "" || e.FieldsV1 == nil:
			continue
		case e.Manager == schema.Manager && e.Operation == metav1.ManagedFieldsOperationApply:
		case e.Manager == beforeFirstApply:
			n := node{}
			if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &n); err != nil {
				return nil, err
			}
			if n = treeBeside(n, recorded.Object, keep, ours); len(n) == 0 {
				continue
			}
			raw, err := json.Marshal(n)
			if err != nil {
				return nil, err
			}
			e.FieldsV1 = metav1.NewFieldsV1(string(raw))
		default:
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// beforeFirstApply is whom the server has own what is there where nobody is on record
// (k8s.io/apimachinery/pkg/util/managedfields/internal/skipnonapplied.go).
const beforeFirstApply = "before-first-apply"

// Unrecorded reports whether nobody is on record for any field of an object: somebody
// emptied its managedFields.
func Unrecorded(live *unstructured.Unstructured) bool {
	return !slices.ContainsFunc(entriesOf(live), func(e entry) bool { return len(e.fields) > 0 })
}

// without is what one tree owns and another does not; nil where that is nothing.
func without(a, b node) node {
	rest := node{}
	for name, sub := range a {
		n, ok := sub.(node)
		if name == "." || !ok {
			continue
		}
		beside, there := child(b, name)
		switch {
		case !there:
			rest[name] = n
		default:
			if below := without(n, beside); below != nil {
				rest[name] = below
			}
		}
	}
	if ownsItself(a) && (b == nil || !ownsItself(b)) {
		if len(rest) > 0 {
			rest["."] = node{}
		}
		return rest
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// ownsItself reports whether the place that a tree stands for is owned, and not only
// what is below.
func ownsItself(n node) bool {
	_, dot := n["."]
	return isLeaf(n) || dot
}

// ownSteps are the places that a tree owns, the uppermost ones, with their live values.
func ownSteps(n node, live map[string]any) []ownedField {
	w := ownedWalk{}
	w.steps(nil, n, live)
	sortOwned(w.found)
	return w.found
}

func (w *ownedWalk) steps(p Path, n node, live any) {
	for name, sub := range n {
		below, ok := sub.(node)
		if name == "." || !ok {
			continue
		}
		at, value, _, ok := locate(p, name, live)
		switch {
		case !ok:
		case ownsItself(below):
			w.found = append(w.found, ownedField{path: at, value: value})
		default:
			w.steps(at, below, value)
		}
	}
}

// hasBelow reports whether a tree owns a place of a live object, or something in it, or
// the whole that it is a part of.
func hasBelow(n node, live any, at Path) bool {
	if len(at) == 0 {
		return true
	}
	for name, sub := range n {
		below, ok := sub.(node)
		if name == "." || !ok {
			continue
		}
		here, value, _, ok := locate(nil, name, live)
		if !ok || here.String() != at[:1].String() {
			continue
		}
		return isLeaf(below) || hasBelow(below, value, at[1:])
	}
	return false
}
