package render

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// secretAttribute marks a field whose value is not shown: password: string @secret().
const secretAttribute = "secret"

// followedLength is the least length of a value that is looked for in texts. A
// shorter one is hidden where a field or a variable has the name of the marked field,
// and where it makes a difference (see twin); "1" is everywhere.
const followedLength = 6

// marks are what the user's files mark as secret, by their syntax alone.
type marks struct {
	values []ast.Node // what is marked: all below it is secret
	labels map[string]bool
	wrong  []misplaced
}

type misplaced struct {
	pos  token.Pos
	text string
}

// everyLabel stands for fields that a pattern marks.
const everyLabel = "*"

func (m *marks) any() bool { return len(m.labels) > 0 }

// marked finds the marks of an environment: its own, and those of all that it imports.
func (p *envPackage) marked() *marks {
	p.marking.Do(func() {
		m := &marks{labels: map[string]bool{}}
		for _, inst := range p.instances() {
			for _, file := range inst.Files {
				m.read(file)
			}
		}
		p.marks = m
	})
	return p.marks
}

func (m *marks) read(file *ast.File) {
	for _, d := range file.Decls {
		if a, ok := d.(*ast.Attribute); ok && m.isMark(a) {
			m.wrong = append(m.wrong, misplaced{a.Pos(), "the mark stands on no field"})
		}
	}
	ast.Walk(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if slices.ContainsFunc(n.Attrs, m.isMark) {
				label, ok := syntax.Name(n)
				if !ok {
					label = everyLabel // a pattern
				}
				m.labels[label] = true
				m.values = append(m.values, n.Value)
			}
		case *ast.StructLit:
			for _, d := range n.Elts {
				if a, ok := d.(*ast.Attribute); ok && m.isMark(a) {
					m.labels[everyLabel] = true
					m.values = append(m.values, n)
				}
			}
		}
		return true
	}, nil)
}

func (m *marks) isMark(a *ast.Attribute) bool {
	name, _ := a.Split()
	if name != secretAttribute && strings.Contains(strings.ToLower(name), secretAttribute) {
		m.wrong = append(m.wrong, misplaced{a.Pos(), "@" + name + "() marks nothing: write @secret()"})
	}
	return name == secretAttribute
}

// misplacedMarks are those that hide nothing.
func (p *envPackage) misplacedMarks() Findings {
	var findings Findings
	for _, w := range p.marked().wrong {
		f := Finding{Environment: p.dir.name, Message: w.text}
		if f.Hint = "put it behind a field: password: \"...\" @secret()"; strings.HasPrefix(w.text, "@") {
			f.Hint = ""
		}
		p.repo.place(&f, w.pos)
		findings = append(findings, f)
	}
	return findings
}

// markedValue is the value of a field that is marked.
type markedValue struct {
	label, text string
	value       cue.Value
}

// markedValues gathers the scalars at and below marked fields: of the package,
// hidden fields and definitions too, and of the packages that it imports.
func (ev *evaluated) markedValues() []markedValue {
	if !ev.marked().any() || !ev.root.Exists() {
		return nil
	}
	var values []markedValue
	collectMarked(ev.root, "", false, 0, &values)
	for _, inst := range ev.instances() {
		if inst == ev.inst || len(inst.Files) == 0 || inst.Err != nil || !ev.repo.isUserFile(inst.Files[0].Filename) {
			continue
		}
		collectMarked(ev.root.Context().BuildInstance(inst), "", false, 0, &values) //nolint:staticcheck // the one context of the environment
	}
	return values
}

// maxDepth bounds how deep a value is walked.
const maxDepth = 64

func collectMarked(v cue.Value, label string, secret bool, depth int, to *[]markedValue) {
	if depth > maxDepth {
		return
	}
	if !secret {
		for _, a := range v.Attributes(cue.ValueAttr) {
			secret = secret || a.Name() == secretAttribute
		}
	}
	switch v.IncompleteKind() {
	case cue.StructKind:
		iter, err := v.Fields(cue.Definitions(true), cue.Hidden(true))
		if err != nil {
			return
		}
		for iter.Next() {
			if name := iter.Selector().String(); name != "#env" { // what is handed down is walked where it stands
				collectMarked(iter.Value(), name, secret, depth+1, to)
			}
		}
	case cue.ListKind:
		iter, err := v.List()
		if err != nil {
			return
		}
		for iter.Next() {
			collectMarked(iter.Value(), label, secret, depth+1, to)
		}
	default:
		if !secret {
			return
		}
		name, err := strconv.Unquote(label)
		if err != nil {
			name = label
		}
		m := markedValue{label: name, value: v}
		if raw, err := v.Bytes(); v.Kind() == cue.BytesKind && err == nil {
			m.text = string(raw)
		} else {
			var scalar any
			if err := decodeJSON(v, &scalar); err != nil || scalar == nil {
				return
			}
			m.text = fmt.Sprint(scalar)
		}
		*to = append(*to, m)
	}
}

// mark notes in the objects where the values of marked fields went. CUE does not
// tell which field a value came from. So the environment is rendered once more, with
// other values in the marked fields, and what differs is made of them, whatever was
// done to them on the way; and they are found by what they are, also in the middle of
// a text and encoded.
// It returns the values, too.
func (ev *evaluated) mark(ctx context.Context, h header, units []*unit) (texts []string, findings Findings) {
	if !ev.marked().any() {
		return nil, nil
	}
	values := ev.markedValues()
	other, findings := ev.compareTwin(ctx, h, units, values)
	if shown := ev.shownMarks(values, other); len(shown) > 0 {
		return nil, shown
	}
	for _, u := range units {
		for _, o := range u.objs {
			if o.GetKind() == "Secret" && o.GetAPIVersion() == "v1" {
				o.secret = nil
				continue
			}
			findMarked(o.Object, "", "", values, &o.secret)
			slices.Sort(o.secret)
			o.secret = slices.Compact(o.secret)
		}
	}
	for _, m := range values {
		if m.value.Kind() != cue.BoolKind { // "true" is everywhere
			texts = append(texts, m.text)
		}
	}
	return texts, findings
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
	default:
		if v == nil {
			return
		}
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
	return slices.ContainsFunc(encodings(m.text), func(form string) bool { return strings.Contains(text, form) })
}

// encodings are the forms in which a value may stand in a text: as it is, as JSON
// quotes it, in hexadecimal digits, and in base64, where that depends on what
// stands before it.
func encodings(text string) []string {
	quoted := strconv.Quote(text)
	forms := []string{text, quoted[1 : len(quoted)-1], hex.EncodeToString([]byte(text))}
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), text...))
		from := []int{0, 2, 3}[before]               // what the bytes before have a part in
		to := (before + len(text)) * 8 / 6           // what the bytes behind have a part in
		if part := encoded[from:to]; len(part) > 3 { // of six bytes at least five digits
			forms = append(forms, part, strings.NewReplacer("+", "-", "/", "_").Replace(part))
		}
	}
	return slices.Compact(forms)
}

// literalsIn are the literals of a marked value: what it consists of, and not what
// it is held against.
func literalsIn(n ast.Node) []*ast.BasicLit {
	var found []*ast.BasicLit
	inCall := 0
	ast.Walk(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.UnaryExpr:
			return n.Op == token.SUB || n.Op == token.ADD
		case *ast.CallExpr:
			inCall++
		case *ast.Field:
			found = append(found, literalsIn(n.Value)...)
			return false // a label is no value
		case *ast.BasicLit:
			if n.Kind == token.STRING || n.Kind != token.NULL && inCall == 0 { // strings.MaxRunes(64)
				found = append(found, n)
			}
		}
		return true
	}, func(n ast.Node) {
		if _, ok := n.(*ast.CallExpr); ok {
			inCall--
		}
	})
	return found
}

// literalTexts are the texts of the literals of a value.
func literalTexts(n ast.Node) []string {
	var texts []string
	for _, lit := range literalsIn(n) {
		if text, err := literal.Unquote(lit.Value); err == nil && lit.Kind == token.STRING {
			texts = append(texts, text)
			continue
		}
		texts = append(texts, strings.Trim(lit.Value, "\"'#()\\"))
	}
	return texts
}

// secretContents are the values of a Secret, decoded too.
func secretContents(obj map[string]any) []string {
	if tree.Text(obj["kind"]) != "Secret" || cmp.Or(tree.Text(obj["apiVersion"]), "v1") != "v1" {
		return nil
	}
	var texts []string
	for _, field := range []string{"data", "stringData"} {
		eachScalar(obj[field], func(v any) {
			text := fmt.Sprint(v)
			texts = append(texts, text)
			if raw, err := base64.StdEncoding.DecodeString(text); field == "data" && err == nil {
				texts = append(texts, string(raw))
			}
		})
	}
	return texts
}

func eachScalar(v any, fn func(any)) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for _, item := range v {
			eachScalar(item, fn)
		}
	case []any:
		for _, item := range v {
			eachScalar(item, fn)
		}
	default:
		fn(v)
	}
}
