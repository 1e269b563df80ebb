package managed

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// UniteManager owns, for the moment between two requests, what a patch sets before the
// apply of the same content.
const UniteManager = schema.Manager + "-unite"

// United is a live object brought level with a desired one where an apply alone
// cannot: it sets one side of a union (a strategy, a probe, a volume source), and the
// server keeps the other side, because somebody else owns it or nobody does.
type United struct {
	// Patch is the JSON merge patch of the live object. It carries no version.
	Patch map[string]any
	// Stale are the live fields that it takes out although an apply would not.
	Stale []Difference
	// Emptied says that it makes a map empty, of which an apply would leave null.
	Emptied bool

	fields node // what an apply of the desired object will own
}

// Unite finds the fields of a live object that stand in the way of a desired one, from
// the causes that the server gave for refusing the apply. There are none where the
// cause is another one. Those at the paths of gone are taken out in any case.
func Unite(desired, live *unstructured.Unstructured, causes []metav1.StatusCause, gone ...string) *United {
	u := &uniter{gone: gone}
	for _, c := range causes {
		u.causes = append(u.causes, newCause(c))
	}
	entries := entriesOf(live)
	owners := make([]owner, 0, len(entries))
	for i := range entries {
		owners = append(owners, owner{entry: &entries[i], node: entries[i].fields})
	}
	merged, fields := u.fields(nil, WithoutBookkeeping(live.Object), WithoutBookkeeping(desired.Object), owners)
	return &United{Patch: mergePatch(WithoutBookkeeping(live.Object), merged), Stale: u.stale, Emptied: u.emptied, fields: fields}
}

// Forget has the patch rid the managedFields of versions that the definition of the kind
// no longer has: the server would convert the object to them, and cannot. What we applied
// in such a version stays on record as ours, in the present one.
func (u *United) Forget(live *unstructured.Unstructured, versions []string) {
	raw, _, _ := unstructured.NestedSlice(live.Object, "metadata", "managedFields")
	entries := []any{}
	for _, item := range raw {
		entry, _ := item.(map[string]any)
		if slices.Contains(versions, text(entry["apiVersion"])) {
			if text(entry["manager"]) != schema.Manager || text(entry["operation"]) != "Apply" {
				continue
			}
			entry["apiVersion"] = live.GetAPIVersion()
		}
		entries = append(entries, entry)
	}
	metadata, _ := u.Patch["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["managedFields"] = entries
	u.Patch["metadata"] = metadata
}

// Own adds our entry to the server's answer to the patch, as the apply after it will
// write it.
func (u *United) Own(result *unstructured.Unstructured) *unstructured.Unstructured {
	result = result.DeepCopy()
	raw, _, _ := unstructured.NestedFieldNoCopy(result.Object, "metadata", "managedFields")
	list, _ := raw.([]any)
	list = slices.DeleteFunc(list, func(item any) bool {
		m, _ := item.(map[string]any)
		return text(m["manager"]) == schema.Manager && text(m["operation"]) == "Apply" && text(m["subresource"]) == ""
	})
	list = append(list, map[string]any{
		"manager": schema.Manager, "operation": "Apply", "apiVersion": result.GetAPIVersion(), "fieldsType": "FieldsV1", "fieldsV1": u.fields,
	})
	_ = unstructured.SetNestedField(result.Object, list, "metadata", "managedFields") // metadata is a map, or there was no answer
	return result
}

// cause is why the server refused an object.
type cause struct {
	kind  metav1.CauseType
	names []string // the path without the items of lists
	text  string   // without the value, which names fields that are not to blame
	null  bool     // the value is null
}

func newCause(c metav1.StatusCause) cause {
	names, text := FieldNames(c.Field), detail(c.Message)
	if m := inQuotes.FindStringSubmatch(text); m != nil && len(names) == 0 {
		names = FieldNames(m[1])
	}
	// What validates definitions has the fields of v1beta1 (spec.conversion.webhookClientConfig).
	if i := slices.Index(names, "webhookClientConfig"); i >= 0 {
		names = slices.Replace(names, i, i+1, "webhook", "clientConfig")
	}
	return cause{kind: c.Type, names: names, text: text, null: strings.HasPrefix(c.Message, `Invalid value: "null": `)}
}

// inQuotes matches how schemas of custom resources name a field:
// "spec.tls" must validate one and only one schema (oneOf).
var inQuotes = regexp.MustCompile(`^"([^"]+)" must `)

// detail is what the server says of a field after the kind of error and the value:
// `Invalid value: {"a":1}: a and b cannot be both set`.
func detail(message string) string {
	_, rest, ok := strings.Cut(message, ": ")
	if !ok {
		return message
	}
	value := json.NewDecoder(strings.NewReader(rest))
	if err := value.Decode(new(any)); err == nil {
		if said, ok := strings.CutPrefix(rest[value.InputOffset():], ": "); ok {
			return said
		}
	}
	return rest
}

// says reports whether the server's words have the name of a field.
func (c cause) says(name string) bool {
	words := strings.FieldsFunc(c.text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return slices.Contains(words, name)
}

// The server's words for a union of which two sides are set
// (k8s.io/kubernetes/pkg/apis/core/validation and others): at one of the sides, and at
// what has them. The last ones are of the schemas of custom resources (oneOf and
// maxProperties).
var (
	manySides = regexp.MustCompile(`may not specify more than (1|one)|should not be set when|may not be set when|must not be set when|cannot be set when`)
	tooMany   = regexp.MustCompile(`more than (1|one)|(exactly|only|at most) (1|one)`)
)

type uniter struct {
	gone    []string
	causes  []cause
	stale   []Difference
	emptied bool
}

func (u *uniter) fields(p Path, live, desired map[string]any, owners []owner) (map[string]any, node) {
	merged, fields := map[string]any{}, node{}
	beside := 0 // what others have there, and an apply would not take out
	for k := range live {
		if _, ok := desired[k]; !ok && !onlyOurs(descend(owners, byField(k))) {
			beside++
		}
	}
	for k, l := range live {
		if _, ok := desired[k]; ok {
			continue
		}
		at, below := p.field(k), descend(owners, byField(k))
		switch {
		case onlyOurs(below):
		case u.stands(p, k, l, desired), beside == 1 && u.overfull(p):
			u.takeOut(at, l, below)
		default:
			merged[k] = l
		}
	}
	for k, d := range desired {
		l, ok := live[k]
		if !ok {
			merged[k], fields["f:"+k] = d, leaves(d)
			continue
		}
		merged[k], fields["f:"+k] = u.value(p.field(k), l, d, descend(owners, byField(k)))
	}
	return merged, fields
}

func (u *uniter) value(p Path, live, desired any, owners []owner) (any, node) {
	switch d := desired.(type) {
	case map[string]any:
		if l, ok := live.(map[string]any); ok && !isAtomic(owners) {
			u.emptied = u.emptied || len(d) == 0 && len(l) > 0 && u.isNull(p)
			return u.fields(p, l, d, owners)
		}
	case []any:
		l, ok := live.([]any)
		names, isSet := listShape(owners)
		switch d := withProtocols(d, names); {
		case !ok:
		case names != nil && haveKeys(l, names) && haveKeys(d, names):
			return u.items(p, l, d, names, owners)
		case isSet:
			return u.members(l, d, owners)
		}
	}
	return desired, node{}
}

// isAtomic reports whether the owners hold the value as one.
func isAtomic(owners []owner) bool {
	return len(owners) > 0 && !slices.ContainsFunc(owners, func(o owner) bool { return !o.whole && !isLeaf(o.node) })
}

func (u *uniter) items(p Path, live, desired []any, names []string, owners []owner) (any, node) {
	before := map[string]map[string]any{}
	for _, item := range live {
		m, _ := item.(map[string]any)
		id, _ := keyID(m, names)
		before[id] = m
	}
	merged, fields := []any{}, node{}
	for _, item := range desired {
		d, _ := item.(map[string]any)
		id, _ := keyID(d, names)
		l, ok := before[id]
		delete(before, id)
		if !ok {
			merged, fields[keyName(d, names)] = append(merged, d), itself(leaves(d))
			continue
		}
		m, n := u.fields(p.item(d, names), l, d, descend(owners, func(n node) string { return keyedChild(n, l) }))
		merged, fields[keyName(d, names)] = append(merged, m), itself(n)
	}
	for _, item := range live {
		l, _ := item.(map[string]any)
		if id, _ := keyID(l, names); before[id] == nil {
			continue
		}
		below := descend(owners, func(n node) string { return keyedChild(n, l) })
		switch {
		case onlyOurs(below):
		case slices.Contains(u.gone, p.item(l, names).String()):
			u.takeOut(p.item(l, names), l, below)
		case u.repeats(p, l, desired), u.crowds(p, desired), u.isRest(p, below):
			u.takeOut(p.item(l, names), l, below)
			u.stale[len(u.stale)-1].rest = u.isRest(p, below) && onlyAdded(below, names)
		default:
			merged = append(merged, l)
		}
	}
	return merged, fields
}

func (u *uniter) members(live, desired []any, owners []owner) (any, node) {
	fields := node{}
	merged := slices.Clone(desired)
	for _, v := range desired {
		if raw, err := json.Marshal(v); err == nil {
			fields["v:"+string(raw)] = node{}
		}
	}
	for _, v := range live {
		if !contains(desired, v) && !onlyOurs(descend(owners, func(n node) string { return setChild(n, v) })) {
			merged = append(merged, v)
		}
	}
	return merged, fields
}

// onlyOurs reports whether our apply has a value and nobody else: an apply without it
// removes it.
func onlyOurs(owners []owner) bool {
	return len(owners) > 0 && !slices.ContainsFunc(owners, func(o owner) bool { return o.entry == nil || !o.entry.isOurApply() })
}

func (u *uniter) takeOut(at Path, live any, owners []owner) {
	gone := Difference{Path: at, from: live, Gone: true}
	for _, o := range owners {
		gone.owners = append(gone.owners, o.entry)
	}
	u.stale = append(u.stale, gone)
}

// stands reports whether a live field that is not desired is a side of a union of
// which the desired object sets another.
func (u *uniter) stands(parent Path, name string, live any, desired map[string]any) bool {
	if len(u.gone) > 0 && slices.Contains(u.gone, parent.field(name).String()) {
		return true
	}
	above := parent.names()
	here := append(slices.Clone(above), name)
	_, isMap := live.(map[string]any)
	return slices.ContainsFunc(u.causes, func(c cause) bool {
		switch n := len(c.names); {
		case n >= len(here) && sameNames(c.names[:len(here)], here):
			return true
		case n == len(here) && sameNames(c.names[:n-1], above): // at another side
			return c.says(name) || isMap && manySides.MatchString(c.text)
		case n > 0 && n <= len(above) && sameNames(c.names, above[:n]): // at what has them
			return c.says(name) && slices.ContainsFunc(slices.Collect(maps.Keys(desired)), c.says)
		}
		return false
	})
}

// overfull reports whether the server said of what is at a path that it has one field
// too many, and named none. Of what lacks a field ("exactly one of url or service is
// required") it says the same, and which.
func (u *uniter) overfull(at Path) bool {
	return slices.ContainsFunc(u.causes, func(c cause) bool {
		return len(c.names) > 0 && c.kind != metav1.CauseTypeFieldValueRequired && sameNames(c.names, at.names()) && tooMany.MatchString(c.text)
	})
}

// isNull reports whether the server found null where a map should be: what is left of
// one whose last fields an apply gives up.
func (u *uniter) isNull(at Path) bool {
	return slices.ContainsFunc(u.causes, func(c cause) bool { return c.null && slices.Equal(c.names, at.names()) })
}

// sameNames compares names as the server's messages write them:
// spec.LoadBalancerSourceRanges.
func sameNames(a, b []string) bool { return slices.EqualFunc(a, b, strings.EqualFold) }

// repeats reports whether an item that is not desired has a value that must be unique
// and that a desired one has.
func (u *uniter) repeats(list Path, item map[string]any, desired []any) bool {
	return slices.ContainsFunc(u.causes, func(c cause) bool {
		n := len(list.names())
		if c.kind != metav1.CauseTypeFieldValueDuplicate || len(c.names) <= n || !slices.Equal(c.names[:n], list.names()) {
			return false
		}
		unique, taken := valuesBelow(item, c.names[n:]), valuesBelow(desired, c.names[n:])
		return slices.ContainsFunc(unique, func(v any) bool {
			return slices.ContainsFunc(taken, func(t any) bool { return Equal(v, t) })
		})
	})
}

// valuesBelow are the values at a path without the items of lists.
func valuesBelow(v any, names []string) []any {
	switch v := v.(type) {
	case []any:
		var out []any
		for _, item := range v {
			out = append(out, valuesBelow(item, names)...)
		}
		return out
	case map[string]any:
		if len(names) > 0 {
			return valuesBelow(v[names[0]], names[1:])
		}
	case nil:
		return nil
	}
	if len(names) > 0 {
		return nil
	}
	return []any{v}
}

// crowds reports whether the server asks of a desired item what it needs only beside
// others: the one port of a Service needs no name.
func (u *uniter) crowds(list Path, desired []any) bool {
	return slices.ContainsFunc(u.causes, func(c cause) bool {
		n := len(list.names())
		return c.kind == metav1.CauseTypeFieldValueRequired && len(c.names) > n && slices.Equal(c.names[:n], list.names()) &&
			len(valuesBelow(desired, c.names[n:])) < len(desired)
	})
}

// isRest reports whether an item is what others keep of one that is no longer desired,
// and is none without our part.
func (u *uniter) isRest(list Path, owners []owner) bool {
	ours := slices.ContainsFunc(owners, func(o owner) bool { return o.entry != nil && o.entry.isOurApply() })
	return ours && slices.ContainsFunc(u.causes, func(c cause) bool {
		n := len(list.names())
		return c.kind == metav1.CauseTypeFieldValueRequired && len(c.names) > n && slices.Equal(c.names[:n], list.names())
	})
}

// onlyAdded reports whether the others own nothing of an item of a list but its key and
// what we do not apply.
func onlyAdded(owners []owner, names []string) bool {
	var ours []node
	for _, o := range owners {
		if o.entry != nil && o.entry.isOurApply() {
			ours = append(ours, o.node)
		}
	}
	return !slices.ContainsFunc(owners, func(o owner) bool {
		if o.entry == nil || o.entry.isOurApply() {
			return false
		}
		return o.whole || slices.ContainsFunc(ours, func(n node) bool { return share(n, o.node, names) })
	})
}

// share reports whether two entries own the same field below a place, its key aside.
func share(a, b node, key []string) bool {
	for name, sub := range b {
		mine, ok := child(a, name)
		if field, isField := strings.CutPrefix(name, "f:"); name == "." || !ok || isField && slices.Contains(key, field) {
			continue
		}
		theirs, _ := sub.(node)
		if isLeaf(mine) || isLeaf(theirs) || share(mine, theirs, nil) {
			return true
		}
	}
	return false
}

// names are the fields of a path, without the items of lists.
func (p Path) names() []string {
	names := []string{}
	for _, s := range p {
		if s.item == "" {
			names = append(names, s.name)
		}
	}
	return names
}

// FieldNames are the names in the path of a field as the API server writes it, without
// the items of lists: spec.ports[1].name. What cannot be read is the root.
func FieldNames(field string) []string {
	var names []string
	for field = strings.TrimPrefix(field, "."); field != "" && field != "<nil>"; field = strings.TrimPrefix(field, ".") {
		if field[0] == '[' {
			_, rest, ok := strings.Cut(field, "]")
			if !ok {
				return nil
			}
			field = rest
			continue
		}
		end := strings.IndexAny(field, ".[")
		if end < 0 {
			end = len(field)
		}
		names, field = append(names, field[:end]), field[end:]
	}
	return names
}

// withProtocols fills in the one default that is part of a key of Kubernetes' own
// lists: the protocol of a port.
func withProtocols(list []any, names []string) []any {
	if !slices.Contains(names, "protocol") {
		return list
	}
	filled := slices.Clone(list)
	for i, item := range list {
		m, ok := item.(map[string]any)
		if _, has := m["protocol"]; !ok || has {
			continue
		}
		with := map[string]any{"protocol": "TCP"}
		maps.Copy(with, m)
		filled[i] = with
	}
	return filled
}

func keyName(item map[string]any, names []string) string {
	key := map[string]any{}
	for _, name := range names {
		key[name] = item[name]
	}
	raw, err := json.Marshal(key)
	if err != nil {
		return "k:{}"
	}
	return "k:" + string(raw)
}

// itself is what an apply owns of an item of a list: the item, and what is below.
func itself(n node) node {
	n["."] = node{}
	return n
}

// leaves is what an apply owns of a value that was not there before: its fields, and
// lists as one, because nothing tells their shape.
func leaves(v any) node {
	n := node{}
	if m, ok := v.(map[string]any); ok {
		for k, item := range m {
			n["f:"+k] = leaves(item)
		}
	}
	return n
}

// mergePatch is the JSON merge patch (RFC 7386) that makes one object of another.
func mergePatch(from, to map[string]any) map[string]any {
	patch := map[string]any{}
	for k := range from {
		if _, ok := to[k]; !ok {
			patch[k] = nil
		}
	}
	for k, t := range to {
		f, ok := from[k]
		if ok && Equal(f, t) {
			continue
		}
		fm, fok := f.(map[string]any)
		tm, tok := t.(map[string]any)
		if fok && tok {
			patch[k] = mergePatch(fm, tm)
		} else {
			patch[k] = t
		}
	}
	return patch
}
