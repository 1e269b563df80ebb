package render

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// withheld stands for a secret value in a message.
const withheld = "(secret)"

// hush takes secret values out of what is said of an environment: whatever stands
// at the place of one, and those that are known, wherever a message has them. units
// are nil where there are none yet.
func (ev *evaluated) hush(findings Findings, units []*unit) Findings {
	if len(findings) == 0 {
		return findings
	}
	s := ev.secrecy(units)
	hushed := make(Findings, len(findings))
	for i, f := range findings {
		if s.at(f) {
			f = withoutValue(f)
		}
		for _, text := range []*string{&f.Path, &f.Message, &f.Expected, &f.Found, &f.DidYouMean, &f.Hint, &f.Object} {
			*text = s.text(*text)
		}
		hushed[i] = f
	}
	return hushed
}

// hushed is hush for an error that may be findings.
func (ev *evaluated) hushed(err error) error {
	if found, ok := errors.AsType[Findings](err); ok {
		return ev.hush(found, nil)
	}
	return err
}

// withoutValue is a finding about a secret value: it says what kind of value that
// is, and no more.
func withoutValue(f Finding) Finding {
	kind := kindFound(f.Found)
	if f.Hint == "" && (kind == "a number" || kind == "true or false") {
		switch {
		case f.Expected == "base64":
			f.Hint = "write it in quotes, under stringData"
		case strings.HasSuffix(f.Expected, "string") || strings.HasPrefix(f.Expected, "text"):
			f.Hint = "write it in quotes"
		}
	}
	f.Found, f.DidYouMean = kind, ""
	f.Message = literals.ReplaceAllString(f.Message, withheld)
	if !f.documented {
		f.Expected = literals.ReplaceAllString(f.Expected, withheld)
	}
	return f
}

// kindFound names the kind of a value that a finding shows.
func kindFound(found string) string {
	switch {
	case found == "":
		return ""
	case slices.Contains([]string{"a list", "a map", "null", "a number", "true or false"}, found):
		return found
	case strings.HasPrefix(found, "["):
		return "a list"
	case strings.HasPrefix(found, "{"):
		return "a map"
	case strings.HasPrefix(found, "the number "), strings.ContainsAny(found[:1], "0123456789+-."):
		return "a number"
	case strings.HasPrefix(found, "the boolean "), found == "true", found == "false":
		return "true or false"
	}
	return "a string"
}

// literals are the strings and numbers in a message.
var literals = regexp.MustCompile(`"(?:\\.|[^"\\])*"|-?\b\d[\w.]*`)

// secrecy is what must not be said of an environment.
type secrecy struct {
	ev     *evaluated
	places map[string][][2]int // the secret values in the user's files, by offsets
	texts  []string            // secret values, the longest first
	forms  *strings.Replacer
}

func (ev *evaluated) secrecy(units []*unit) *secrecy {
	s := &secrecy{ev: ev, places: map[string][][2]int{}}
	for _, n := range ev.marked().values {
		s.add(n)
	}
	for _, file := range ev.userFiles() {
		ast.Walk(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.StructLit); ok {
				s.manifest(lit)
			}
			return true
		}, nil)
	}
	texts := map[string]bool{}
	for _, text := range s.texts {
		texts[text] = true
	}
	for _, m := range ev.markedValues() {
		texts[m.text] = true
	}
	for _, u := range units {
		for _, o := range u.objs {
			for _, text := range secretContents(o.Object) {
				texts[text] = true
			}
		}
	}
	if units == nil {
		for _, text := range ev.evaluatedSecrets() {
			texts[text] = true
		}
	}
	s.texts = slices.SortedFunc(maps.Keys(texts), func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	s.forms = strings.NewReplacer(replacements(s.texts)...)
	return s
}

// manifest notes what in a struct of the user's files is the content of a Secret,
// or of what makes one.
func (s *secrecy) manifest(lit *ast.StructLit) {
	eachSecret(lit, s.add)
	for name, f := range syntax.Fields(lit.Elts) {
		if name == "secretGenerator" {
			s.generator(f.Value)
		}
	}
}

// eachSecret calls do with what in a struct is the content of a Secret.
func eachSecret(lit *ast.StructLit, do func(ast.Node)) {
	isSecret := false
	for f := range syntax.Named(lit.Elts, "kind") {
		kind, err := syntax.Literal(f.Value)
		isSecret = isSecret || err == nil && kind == "Secret"
	}
	for name, f := range syntax.Fields(lit.Elts) {
		if name == "stringData" || name == "data" && isSecret {
			do(f.Value)
		}
	}
}

// manifestLiterals are the literals in the Secrets of the user's files.
func (p *envPackage) manifestLiterals() []*ast.BasicLit {
	var found []*ast.BasicLit
	for _, file := range p.userFiles() {
		ast.Walk(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.StructLit); ok {
				eachSecret(lit, func(n ast.Node) { found = append(found, literalsIn(n)...) })
			}
			return true
		}, nil)
	}
	return found
}

// generator notes the literals of kustomize's secretGenerator.
func (s *secrecy) generator(expr ast.Expr) {
	ast.Walk(expr, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok {
			if name, ok := syntax.Name(f); ok && name == "literals" {
				s.add(f.Value)
			}
		}
		return true
	}, nil)
}

// add notes a secret value and what stands in it.
func (s *secrecy) add(n ast.Node) {
	file := n.Pos().Filename()
	s.places[file] = append(s.places[file], [2]int{n.Pos().Offset(), n.End().Offset()})
	for _, text := range literalTexts(n) {
		s.texts = append(s.texts, text)
		if _, value, ok := strings.Cut(text, "="); ok { // literals of a generator
			s.texts = append(s.texts, value)
		}
	}
}

// evaluatedSecrets are the values of Secrets, as far as CUE has come.
func (ev *evaluated) evaluatedSecrets() []string {
	if !ev.env.Exists() {
		return nil
	}
	var texts []string
	for _, u := range ev.unitValues() {
		for _, group := range []string{"objects", "extraObjects"} {
			iter, err := ev.env.LookupPath(u.cuePath()).LookupPath(cue.MakePath(cue.Str(group))).Fields()
			for err == nil && iter.Next() {
				if kind, _ := iter.Value().LookupPath(cue.ParsePath("kind")).String(); kind != "Secret" {
					continue
				}
				obj := map[string]any{"kind": "Secret"}
				for _, field := range []string{"data", "stringData"} {
					var content any
					if decodeJSON(iter.Value().LookupPath(cue.MakePath(cue.Str(field))), &content) == nil {
						obj[field] = content
					}
				}
				texts = append(texts, secretContents(obj)...)
			}
		}
	}
	return texts
}

// at says whether a finding is about a secret value.
func (s *secrecy) at(f Finding) bool {
	for _, pos := range append([]token.Pos{f.pos}, f.others...) {
		if !pos.IsValid() {
			continue
		}
		for _, place := range s.places[pos.Filename()] {
			if place[0] <= pos.Offset() && pos.Offset() < place[1] {
				return true
			}
		}
	}
	if len(f.field) > 0 && (f.field[0] == "data" || f.field[0] == "stringData") && strings.HasPrefix(f.Object, "Secret/") {
		return true
	}
	steps := pathSteps(f.Path)
	for i, step := range steps {
		if s.ev.marked().labels[step] {
			return true
		}
		if (step == "data" || step == "stringData") && s.inSecret(f, steps[:i]) {
			return true
		}
		if step == "secretGenerator" || step == "patch" && i == len(steps)-2 && f.Found != "" && s.inSecret(f, steps) {
			return true
		}
	}
	return false
}

// inSecret says whether the object at a path is a Secret, or may be one.
func (s *secrecy) inSecret(f Finding, steps []string) bool {
	if f.Object != "" {
		return strings.HasPrefix(f.Object, "Secret/")
	}
	if len(steps) < 2 || !slices.Contains([]string{"patch", "objects", "extraObjects"}, steps[len(steps)-2]) {
		return false
	}
	if !s.ev.env.Exists() {
		return true
	}
	unit, key := steps[:len(steps)-2], steps[len(steps)-1]
	for _, group := range []string{steps[len(steps)-2], "extraObjects", "objects"} {
		path := append(slices.Clone(unit), group, key, "kind")
		if kind, err := s.ev.env.LookupPath(stringPath(path)).String(); err == nil {
			return kind == "Secret"
		}
	}
	return true
}

// pathSteps are the names of a path as it is printed.
func pathSteps(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(`.[]" `, r) })
}

// text is a text without the values that are known.
func (s *secrecy) text(text string) string {
	if text == "" || len(s.texts) == 0 {
		return text
	}
	text = s.forms.Replace(text)
	// What was cut may end in the beginning of a value.
	body, end := text, ""
	for _, cut := range []string{`..."`, "..."} {
		if before, ok := strings.CutSuffix(text, cut); ok {
			body, end = before, cut
			break
		}
	}
	if end == "" {
		return text
	}
	for _, value := range s.texts {
		for n := min(len(value), len(body)); n >= followedLength; n-- {
			if strings.HasSuffix(body, value[:n]) {
				return body[:len(body)-n] + withheld + end
			}
		}
	}
	return text
}

// replacements are the forms of secret values in messages, each with what stands for
// it. A short one is replaced only in quotes.
func replacements(texts []string) []string {
	var pairs []string
	for _, text := range texts {
		quoted := strconv.Quote(text)
		if len(text) < followedLength {
			if text != "" {
				pairs = append(pairs, quoted, withheld)
			}
			continue
		}
		forms := append(encodings(text), strings.Join(strings.Fields(text), " "))
		if number, err := strconv.ParseFloat(text, 64); err == nil { // as a template prints it
			forms = append(forms, strconv.FormatFloat(number, 'g', -1, 64))
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); len(line) >= 2*followedLength {
				forms = append(forms, line)
			}
		}
		for _, form := range forms {
			if len(form) >= followedLength {
				pairs = append(pairs, form, withheld)
			}
		}
	}
	return pairs
}

// cuePath is the way to a unit below the environment.
func (u *unit) cuePath() cue.Path {
	if u.group == "base" {
		return cue.MakePath(cue.Str("base"))
	}
	return cue.MakePath(cue.Str(u.group), cue.Str(u.data.Name))
}

// foreignContent is what messages of kustomize quote of patches, configurations and
// literals.
var foreignContent = regexp.MustCompile("(?s)`[^`]*`|from \\[.*\\]|literal sources? .*expected key=value|invalid utf8 bytes : .*|must specify one of patch and path in.*|can't be set at the same time.*|to set `patches.target` field: .*|target for JSON patch .*")

// withoutContent keeps of a message of kustomize what it says, and not what it
// quotes: a patch may be that of a Secret.
func withoutContent(msg string) string {
	return foreignContent.ReplaceAllStringFunc(msg, func(s string) string {
		switch {
		case strings.HasPrefix(s, "literal source"):
			return "a literal that is not key=value"
		case strings.HasPrefix(s, "from ["):
			return "from its text"
		case strings.HasPrefix(s, "`"):
			return "(content)"
		}
		for _, said := range []string{"must specify one of patch and path", "can't be set at the same time", "invalid utf8 bytes", "to set `patches.target` field", "target for JSON patch"} {
			if strings.HasPrefix(s, said) {
				return said
			}
		}
		return fmt.Sprint(withheld)
	})
}

// shown is an object without the texts of the fields that JSON pointers lead to. A path
// stays one.
func shown(object map[string]any, secret []string) map[string]any {
	if len(secret) == 0 {
		return object
	}
	object = runtime.DeepCopyJSON(object)
	for _, pointer := range secret {
		hideAt(object, schema.PointerTokens(pointer))
	}
	return object
}

// hideAt is a value with what tokens lead to hidden, in place.
func hideAt(v any, tokens []string) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			if len(tokens) == 0 {
				v[key] = hideAt(item, nil)
			} else if key == tokens[0] {
				v[key] = hideAt(item, tokens[1:])
			}
		}
	case []any:
		for i, item := range v {
			if len(tokens) == 0 {
				v[i] = hideAt(item, nil)
			} else if strconv.Itoa(i) == tokens[0] {
				v[i] = hideAt(item, tokens[1:])
			}
		}
	case string:
		switch {
		case len(tokens) > 0:
		case strings.HasPrefix(v, "/"):
			return "/" + withheld
		default:
			return withheld
		}
	}
	return v
}
