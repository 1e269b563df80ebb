package render

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// alwaysShown are the fields of an environment that lists, plans, questions and records
// name it by.
func alwaysShown() []string {
	return []string{
		"name", "namespace", "cluster", "after", "was", "controllers", "kubernetesVersion", "freeze", "site.freeze", "promotion",
	}
}

// checkShown is shownMarks for an environment that is only listed, not rendered.
func (ev *evaluated) checkShown() Findings {
	if !ev.marked().any() {
		return nil
	}
	values := ev.markedValues()
	literals := ev.markedLiterals(values)
	for _, change := range otherTexts() {
		if other := ev.other(literals, values, change); other != nil && other.evaluate() == nil {
			return ev.shownMarks(values, other)
		}
	}
	return ev.shownMarks(values, nil)
}

// shownMarks refuses marked values in the fields that are always shown. other is the
// environment with other values in the marked fields; nil where there is none.
func (ev *evaluated) shownMarks(values []markedValue, other *evaluated) Findings {
	var findings Findings
	for _, path := range alwaysShown() {
		at := cue.ParsePath(path)
		v := ev.env.LookupPath(at)
		if !v.Exists() || !ev.isMarked(v, path, false, 0, values) && (other == nil || sameJSON(v, other.env.LookupPath(at))) {
			continue
		}
		f := Finding{
			Environment: ev.dir.name, Path: path,
			Message: "the value of a marked field is in it, and this is shown wherever the environment is",
			Hint:    "take away the mark, or keep the value out of there",
		}
		ev.repo.place(&f, cmp.Or(ev.repo.userPos(v), ev.marked().values[0].Pos()))
		findings = append(findings, f)
	}
	return findings
}

// sameJSON says whether two values are the same, as far as both can be known.
func sameJSON(v, other cue.Value) bool {
	a, err := v.MarshalJSON()
	b, otherErr := other.MarshalJSON()
	return err != nil || otherErr != nil || bytes.Equal(a, b)
}

// isMarked says whether a value is marked, has a marked value in it, or is made from one.
func (ev *evaluated) isMarked(v cue.Value, label string, secret bool, depth int, values []markedValue) bool {
	for _, a := range v.Attributes(cue.ValueAttr) {
		secret = secret || a.Name() == secretAttribute
	}
	if depth > maxDepth {
		return false
	}
	switch v.IncompleteKind() {
	case cue.StructKind:
		iter, err := v.Fields()
		for err == nil && iter.Next() {
			if ev.isMarked(iter.Value(), iter.Selector().String(), secret, depth+1, values) {
				return true
			}
		}
		return false
	case cue.ListKind:
		iter, err := v.List()
		for err == nil && iter.Next() {
			if ev.isMarked(iter.Value(), label, secret, depth+1, values) {
				return true
			}
		}
		return false
	}
	if secret || slices.ContainsFunc(ev.repo.sources(v, 0), ev.inMark) {
		return true
	}
	var scalar any
	if err := decodeJSON(v, &scalar); err != nil || scalar == nil {
		return false
	}
	return slices.ContainsFunc(values, func(m markedValue) bool { return m.in(fmt.Sprint(scalar), label) })
}

// inMark says whether a place in the files is that of a marked value, or in it.
func (ev *evaluated) inMark(pos token.Pos) bool {
	return slices.ContainsFunc(ev.marked().values, func(n ast.Node) bool {
		return n.Pos().Filename() == pos.Filename() && n.Pos().Offset() <= pos.Offset() && pos.Offset() < n.End().Offset()
	})
}
