package render

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// secretAttribute marks a field whose value is not shown: password: string @secret().
const secretAttribute = "secret"

// everyLabel stands for fields that a pattern marks.
const everyLabel = "*"

// followedLength is the least length of a value that is looked for in all that is
// rendered. A shorter one is hidden where a field or a variable has the name of the
// marked field; "1" is everywhere.
const followedLength = 6

// markedValue is the value of a field that is marked.
type markedValue struct{ label, text string }

// mark notes in the objects where the values of marked fields went. CUE does not
// tell which field a value came from, so they are found by what they are: also in
// the middle of a text, and in base64.
func (ev *evaluated) mark(units []*unit) {
	if len(ev.markedLabels()) == 0 {
		return
	}
	var values []markedValue
	collectMarked(ev.env, "", false, &values)
	for _, u := range units {
		for _, o := range u.objs {
			if o.GetKind() == "Secret" && o.GetAPIVersion() == "v1" {
				continue
			}
			o.secret = nil
			findMarked(o.Object, "", "", values, &o.secret)
			slices.Sort(o.secret)
		}
	}
}

// markedLabels are the names of fields that the files of an environment mark.
func (ev *evaluated) markedLabels() map[string]bool {
	labels := map[string]bool{}
	for _, inst := range ev.instances() {
		for _, file := range inst.Files {
			ast.Walk(file, func(n ast.Node) bool {
				field, ok := n.(*ast.Field)
				if !ok {
					return true
				}
				for _, a := range field.Attrs {
					if name, _ := a.Split(); name == secretAttribute {
						label, _, err := ast.LabelName(field.Label)
						if err != nil {
							label = everyLabel // a pattern
						}
						labels[label] = true
					}
				}
				return true
			}, nil)
		}
	}
	return labels
}

// collectMarked gathers the scalars at and below marked fields.
func collectMarked(v cue.Value, label string, marked bool, to *[]markedValue) {
	attr := v.Attribute(secretAttribute)
	marked = marked || attr.Err() == nil
	switch v.IncompleteKind() {
	case cue.StructKind:
		iter, err := v.Fields(cue.Definitions(true))
		if err != nil {
			return
		}
		for iter.Next() {
			if name := iter.Selector().String(); name != "#env" { // what is handed down is walked where it stands
				collectMarked(iter.Value(), name, marked, to)
			}
		}
	case cue.ListKind:
		iter, err := v.List()
		if err != nil {
			return
		}
		for iter.Next() {
			collectMarked(iter.Value(), label, marked, to)
		}
	default:
		if !marked {
			return
		}
		var scalar any
		if err := decodeJSON(v, &scalar); err == nil && scalar != nil {
			name, err := strconv.Unquote(label)
			if err != nil {
				name = label
			}
			*to = append(*to, markedValue{label: name, text: fmt.Sprint(scalar)})
		}
	}
}

// findMarked appends the JSON pointers of leaves that hold one of the values. name
// is what a leaf is called: its key, or the name beside it.
func findMarked(v any, at, name string, values []markedValue, to *[]string) {
	switch v := v.(type) {
	case map[string]any:
		beside, _ := v["name"].(string)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			called := key
			if key == "value" && beside != "" {
				called = beside
			}
			findMarked(v[key], at+"/"+schema.PointerToken(key), called, values, to)
		}
	case []any:
		for i, item := range v {
			findMarked(item, at+"/"+strconv.Itoa(i), name, values, to)
		}
	case string, int64, float64, bool, json.Number:
		text := fmt.Sprint(v)
		if slices.ContainsFunc(values, func(m markedValue) bool { return m.in(text, name) }) {
			*to = append(*to, at)
		}
	}
}

func (m markedValue) in(text, name string) bool {
	if len(m.text) < followedLength {
		return text == m.text && name == m.label
	}
	return strings.Contains(text, m.text) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(m.text)))
}

// hush takes values out of what is said about marked fields.
func (ev *evaluated) hush(findings Findings) Findings {
	labels := ev.markedLabels()
	if len(labels) == 0 {
		return findings
	}
	for i, f := range findings {
		steps := strings.FieldsFunc(f.Path, func(r rune) bool { return strings.ContainsRune(`.[]"`, r) })
		if labels[everyLabel] || slices.ContainsFunc(steps, func(s string) bool { return labels[s] }) {
			findings[i].Message = literals.ReplaceAllString(f.Message, "(secret)")
			findings[i].Found = ""
		}
	}
	return findings
}

// literals are the strings and numbers in a message.
var literals = regexp.MustCompile(`"(?:\\.|[^"\\])*"|-?\b\d[\w.]*`)
