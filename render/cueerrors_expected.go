package render

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// names are what a reference in the user's files may begin with.
func (t translator) names() []string {
	if t.ev == nil || t.ev.inst == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, file := range t.ev.userFiles() {
		for name := range importNames(file) {
			seen[name] = true
		}
	}
	for _, name := range declarations(t.ev.inst) {
		seen[name] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// conflict tells a value of the wrong kind from two values that contradict.
func (t translator) conflict(f *Finding, e cueError, group []cueError) {
	literals := t.literals(group)
	if len(literals) > 1 {
		f.Message = "conflicting values " + strings.Join(literals, " and ")
		for _, pos := range e.inputs {
			p := pos.Position()
			name := t.repo.fileName(p.Filename)
			if name == f.File && p.Line == f.Line || t.repo.literalAt(t.ev, pos) == "" {
				continue
			}
			f.Hint = fmt.Sprintf("also set at %s:%d:%d", name, p.Line, p.Column)
			if name != f.File && f.Unit != "" {
				f.contradicts, f.contradictsFile, f.contradictory = pos, name, t.repo.literalAt(t.ev, pos)
			}
			if name != f.File && len(literals) == 2 && strings.HasPrefix(literals[0], `"`) == strings.HasPrefix(literals[1], `"`) {
				f.Hint += fmt.Sprintf("; take one out, or make that a default: *%s | _", t.repo.literalAt(t.ev, pos))
			}
			break
		}
		return
	}
	f.Message = "invalid value"
	f.Found = t.literal(e)
	t.expect(f, e.path, group)
}

// expect says what the field's doc comment says, else what the constraints do.
func (t translator) expect(f *Finding, path []string, group []cueError) {
	t.otherForm(f, path, group)
	defer func() {
		if f.DidYouMean == "" {
			f.DidYouMean = nearValue(last(path), f.Found, f.Expected)
		}
		if full := inFull(path, f.Found); full != "" && f.Hint == "" && !strings.HasPrefix(f.Expected, "a string") && !strings.HasPrefix(f.Expected, "true") {
			f.Hint = full
		}
	}()
	field := path
	if _, item := index(last(path)); item {
		field = path[:len(path)-1] // the comment stands on the list
	}
	if doc := t.doc(field); doc != "" {
		f.Expected, f.documented = doc, true
		kind := t.kind(group)
		if kind == "" {
			kind = t.bound(group, doc)
		}
		words := t.words(group, doc)
		if text, err := strconv.Unquote(f.Found); err == nil {
			f.DidYouMean = typed.Closest(text, words)
		}
		if kind == "" && len(words) > 0 && len(words) < 8 {
			kind = `"` + strings.Join(words, `" or "`) + `"`
		}
		if kind != "" && !strings.HasPrefix(doc, "true: ") && !strings.HasPrefix(doc, "false: ") {
			f.Expected = kind + ": " + doc
		}
		return
	}
	var kinds []string
	add := func(text string) {
		text = short(text)
		if text != "" && !slices.Contains(kinds, text) {
			kinds = append(kinds, text)
		}
	}
	user := t.literals(group)
	for _, e := range group {
		switch {
		case strings.HasPrefix(e.format, "invalid value") && len(e.args) > 1:
			constraint := fmt.Sprint(e.args[1])
			add(cmp.Or(t.meaning(constraint), inWords(constraint, f.Found)))
		case strings.HasPrefix(e.format, "conflicting values") && len(e.args) > 1:
			for _, arg := range e.args[:2] {
				if text := fmt.Sprint(arg); !slices.Contains(user, text) {
					add(cmp.Or(t.meaning(text), inWords(text, f.Found)))
				}
			}
		}
	}
	f.Expected = strings.Join(withoutDefaults(kinds), " or ")
	if kind := kindTexts[f.Expected]; kind != "" {
		f.Expected = kind
		if kind == aString && scalarValue.MatchString(f.Found) {
			f.Hint = fmt.Sprintf("text needs quotes: %q", f.Found)
		}
	}
	if bound := t.bound(group, ""); bound != "" {
		f.Expected = bound
	}
}

// words are the texts that a field takes, where it takes some only and its comment has
// none of them.
func (t translator) words(group []cueError, doc string) []string {
	var words []string
	user := t.literals(group)
	for _, e := range group {
		if strings.HasPrefix(e.format, "invalid value") {
			return nil // all of a form, and the words are its default
		}
		if !strings.HasPrefix(e.format, "conflicting values") || len(e.args) < 2 {
			continue
		}
		for _, arg := range e.args[:2] {
			text := fmt.Sprint(arg)
			if word, err := strconv.Unquote(text); err == nil && !slices.Contains(user, text) && !slices.Contains(words, word) && word != "" {
				words = append(words, word)
			}
		}
	}
	if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(doc, word) }) {
		return nil
	}
	slices.Sort(words)
	return words
}

// bound is the limit that a value breaks, in words, unless the comment of the field has it.
func (t translator) bound(group []cueError, doc string) string {
	for _, e := range group {
		if !strings.HasPrefix(e.format, "invalid value") || len(e.args) < 2 {
			continue
		}
		constraint := fmt.Sprint(e.args[1])
		if m := limit.FindStringSubmatch(constraint); m != nil && !strings.Contains(doc, m[2]) {
			return fmt.Sprintf(map[string]string{">=": "%s or more", "<=": "%s or less", ">": "more than %s", "<": "less than %s"}[m[1]], m[2])
		}
		if m := begins.FindStringSubmatch(constraint); m != nil && !strings.Contains(doc, m[1]) {
			return "beginning with " + m[1]
		}
	}
	return ""
}

var (
	// limit matches a bound such as >=0.
	limit = regexp.MustCompile(`^(>=?|<=?)(-?[0-9]+)$`)
	// begins matches the form of what begins with one character, such as a path.
	begins = regexp.MustCompile(`^=~"\^(\W)"$`)
)

// otherForm says how a value is written that has the form of another language: a
// text in single quotes, what Kubernetes has as a list and the definitions by name.
func (t translator) otherForm(f *Finding, path []string, group []cueError) {
	if name := t.referred(f); name != "" && t.kind(group) == aString {
		f.Found, f.Hint = name, fmt.Sprintf("text needs quotes: %q", name)
		return
	}
	text, err := strconv.Unquote(f.Found)
	isLine := err == nil && strings.HasPrefix(f.Found, `"`) && !strings.Contains(text, "\n")
	switch {
	case likeReference(f.Found) != "" && (t.kind(group) != aString || len(path) == 2):
		f.Hint = "a reference stands without quotes: " + likeReference(f.Found)
	case f.Found == "null":
		f.Hint = "leave the field out"
		if len(path) == unitDepth {
			f.Hint = inFull(path, f.Found)
		}
	case isLine && scheme.MatchString(text) && !takesURL(group):
		f.Hint = "without " + scheme.FindString(text)
	case isLine && text != strings.TrimSpace(text):
		f.Hint = "take the space out"
	case isLine && strings.IndexFunc(text, isUnseen) >= 0:
		c := []rune(text[strings.IndexFunc(text, isUnseen):])[0]
		f.Hint = fmt.Sprintf("a character in it is not seen (%U): take it out", c)
	case unitNumber.MatchString(f.Found):
		f.Hint = needsQuotes
	case isLine && strings.IndexFunc(text, isFullWidth) >= 0:
		c := []rune(text[strings.IndexFunc(text, isFullWidth):])[0]
		f.Hint = fmt.Sprintf("%q (%U) is not %q", string(c), c, string(asASCII(c)))
	case strings.HasPrefix(f.Found, "'"):
		f.Hint = "text stands in double quotes"
	case strings.HasPrefix(f.Found, "[") && t.kind(group) != "a list":
		switch last(path) {
		case "env":
			f.Hint = `write them by name: env: LOG_LEVEL: "info"`
		case "ports":
			f.Hint = "write them by name: ports: http: port: 8080"
		case "volumes", "sidecars", "initContainers", "mounts", "envRef", "hostAliases":
			f.Hint = fmt.Sprintf("write them by name: %s: NAME: {...}", last(path))
		case "envFrom":
			f.Hint = `write envFrom: {secrets: ["NAME"], configMaps: ["NAME"]}`
		case "secrets", "configMaps", "claims", "serviceAccounts", "services", "apiGroups", "stacks", "nodes", "apiServers":
			f.Hint = fmt.Sprintf("write them by name: %s: NAME: {...}", last(path))
			if last(path) == "nodes" || last(path) == "apiServers" {
				f.Hint = fmt.Sprintf(`write them by name: %s: NAME: "ADDRESS"`, last(path))
			}
		case "extraObjects":
			f.Hint = "write them by a key of your choice: extraObjects: KEY: {...}"
		default:
			inList := strings.TrimLeft(f.Found, "[ \t\n")
			switch {
			case len(path) > 1 && path[len(path)-2] == "patch":
				f.Hint = "write the fields of the object as they are to be, such as {spec: ...}"
			case inFull(path, f.Found) != "":
				f.Hint = inFull(path, f.Found)
			case (t.kind(group) == aString || t.kind(group) == "" && strings.HasPrefix(inList, `"`)) && strings.Count(f.Found, `"`) == 2:
				f.Hint = "take [ and ] out: it is one"
			case t.kind(group) != aString && strings.HasPrefix(inList, "{") && last(path) != "tls":
				f.Hint = "take [ and ] out"
			}
		}
	case strings.HasPrefix(f.Found, "{") && len(path) > 1 && path[len(path)-2] == "env" && t.kind(group) == "a string":
		f.Hint = fmt.Sprintf(`what comes from a Secret stands in envRef: %s: {secret: "NAME", key: "KEY"}`, last(path))
		f.Found = ""
	}
}

// unitNumber matches a number with a unit.
var unitNumber = regexp.MustCompile(`^[0-9][0-9.]*[A-Za-z]\w*$`)

// isUnseen says whether a character has no shape, such as a space of no width.
func isUnseen(c rune) bool { return unicode.Is(unicode.Cf, c) }

// referred is the name that stands as the value where a finding is; empty where it is no
// reference, or one of several parts.
func (t translator) referred(f *Finding) (name string) {
	if t.ev == nil || t.ev.inst == nil || !f.pos.IsValid() {
		return ""
	}
	for _, file := range t.ev.userFiles() {
		if file.Filename != f.pos.Filename() {
			continue
		}
		ast.Walk(file, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.SelectorExpr:
				return false
			case *ast.Field:
				ast.Walk(x.Value, func(n ast.Node) bool {
					if _, field := n.(*ast.Field); field {
						return false // its label is no reference
					}
					if id, ok := n.(*ast.Ident); ok && id.Pos().Offset() == f.pos.Offset() {
						name = id.Name
					}
					_, part := n.(*ast.SelectorExpr)
					return !part
				}, nil)
				return name == ""
			}
			return name == ""
		}, nil)
	}
	return name
}

// scheme matches the beginning of a URL.
var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://`)

// takesURL says whether the definitions take a text that is a URL of another form.
func takesURL(group []cueError) bool {
	return slices.ContainsFunc(group, func(e cueError) bool {
		return slices.ContainsFunc(e.args, func(arg any) bool {
			constraint := fmt.Sprint(arg)
			return strings.HasPrefix(constraint, "=~") && strings.Contains(constraint, "//")
		})
	})
}

// meaning is the comment of the definition that takes texts of a form; empty where there
// is none.
func (t translator) meaning(constraint string) string {
	if !strings.HasPrefix(constraint, "=~") || t.ev == nil {
		return ""
	}
	for _, inst := range t.ev.instances() {
		for _, file := range inst.Files {
			for _, decl := range file.Decls {
				field, ok := decl.(*ast.Field)
				if !ok {
					continue
				}
				if text, err := format.Node(field.Value); err != nil || string(text) != constraint {
					continue
				}
				for _, group := range ast.Comments(field) {
					if group.Doc {
						return strings.TrimSuffix(strings.Join(strings.Fields(group.Text()), " "), ".")
					}
				}
			}
		}
	}
	return ""
}

// isFullWidth says whether a character only looks like one of ASCII.
func isFullWidth(c rune) bool { return asASCII(c) != 0 }

// inWords says without CUE what a struct of the definitions takes, and what else
// names one of them.
func inWords(constraint, found string) string {
	constraint = definitionName.ReplaceAllString(constraint, "$1")
	m := requiredFirst.FindStringSubmatch(constraint)
	switch {
	case m != nil && found != "" && !strings.HasPrefix(found, "[") && strings.Count(constraint, "!:") == 1:
		return fmt.Sprintf("{%s: %s}", m[1], found)
	case m != nil:
		return fmt.Sprintf("fields, such as {%s: ...}", m[1])
	case strings.HasPrefix(constraint, "{") && strings.Contains(constraint, ":"):
		return fieldsInBraces
	}
	return constraint
}

var (
	// definitionName matches a definition with the path of its package.
	definitionName = regexp.MustCompile(`"[\w./@-]+"\.(#\w+)`)
	// requiredFirst matches a struct that begins with a required field.
	requiredFirst = regexp.MustCompile(`^\{(\w+)!:`)
)

// kind says what kind of value a field takes, where the user's value is of another
// and the field takes one only.
func (t translator) kind(group []cueError) string {
	user := t.literals(group)
	kinds := map[string]bool{}
	for _, e := range group {
		if !strings.HasSuffix(e.format, "(mismatched types %s and %s)") || len(e.args) != 4 {
			continue
		}
		for i := range 2 {
			// of a struct there is no literal, but what the definitions take is open
			text := fmt.Sprint(e.args[i])
			if slices.Contains(user, short(text)) || len(user) == 0 && fmt.Sprint(e.args[2+i]) == "struct" && strings.HasPrefix(text, "{") {
				kinds[fmt.Sprint(e.args[3-i])] = true
			}
		}
	}
	if len(kinds) != 1 {
		return ""
	}
	return kindTexts[slices.Collect(maps.Keys(kinds))[0]]
}

var kindTexts = map[string]string{ //nolint:gochecknoglobals // a table
	"bool": "true or false", "int": "a whole number", "list": "a list", "number": "a number", "string": aString, "struct": fieldsInBraces,
	"{...}": fieldsInBraces,
}

const (
	aString        = "a string"
	fieldsInBraces = "fields in { }"
)

// scalarValue matches a number, true and false.
var scalarValue = regexp.MustCompile(`^(-?[0-9][0-9.]*|true|false)$`)

// withoutDefaults drops the default of a field from what it accepts, where its
// type says it all: "8080 or int" is int.
func withoutDefaults(kinds []string) []string {
	var types []string
	for _, k := range kinds {
		switch k {
		case "int", "string", "bool", "number", "float", "bytes", "[...]", "{...}":
			types = append(types, k)
		}
	}
	if len(types) > 0 {
		return types
	}
	return kinds
}

// doc is the comment on the definition of a field, on one line.
func (t translator) doc(path []string) string {
	if t.ev == nil || !t.ev.root.Exists() || len(path) == 0 {
		return ""
	}
	v := t.ev.root.LookupPath(stringPath(path))
	if text := docText(v); text != "" {
		return text
	}
	// A required field that is not there has its comment on the constraint.
	parent := t.ev.root.LookupPath(stringPath(path[:len(path)-1]))
	iter, err := parent.Fields(cue.Optional(true))
	if err != nil {
		return ""
	}
	for iter.Next() {
		if sel := iter.Selector(); sel.IsString() && sel.LabelType() == cue.StringLabel && sel.Unquoted() == last(path) {
			return docText(iter.Value())
		}
	}
	return ""
}

func docText(v cue.Value) string {
	for _, group := range v.Doc() {
		text := strings.Join(strings.Fields(group.Text()), " ")
		if text != "" {
			return strings.TrimSuffix(text, ".")
		}
	}
	return ""
}

// siblings are the fields that could stand beside one, those of patterns that are
// a name among them, such as ["flannel"].
func (t translator) siblings(path []string) []string {
	if t.ev == nil || !t.ev.root.Exists() || len(path) == 0 {
		return nil
	}
	parent := t.ev.root.LookupPath(stringPath(path[:len(path)-1]))
	iter, err := parent.Fields(cue.Optional(true), cue.Patterns(true))
	if err != nil {
		return nil
	}
	var names []string
	for iter.Next() {
		sel := iter.Selector()
		name := ""
		switch {
		case sel.ConstraintType() == cue.PatternConstraint:
			name, _ = sel.Pattern().String() // "" for a pattern of many names
		case sel.IsString() && sel.LabelType() == cue.StringLabel:
			name = sel.Unquoted()
		}
		if name != "" && name != last(path) && name != "objects" && !t.refusals[strings.Join(append(slices.Clone(path[:len(path)-1]), name), "\x00")] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// grouped is where a field of an app stands that was written beside the struct which
// has it, such as pod.affinity; empty where none has.
func (t translator) grouped(path []string) string {
	if len(path) != unitDepth+1 || path[1] != "apps" {
		return ""
	}
	for _, group := range []string{"pod", "ingress", "service"} {
		inside := append(slices.Clone(path[:unitDepth]), group, "")
		if slices.Contains(t.siblings(inside), last(path)) {
			return group + "." + last(path)
		}
	}
	return ""
}
