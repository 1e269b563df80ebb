package render

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// cueFindings says in the words of evenkeel what CUE reports: one finding for
// each field, at the user's own line, without the branches of disjunctions and
// what follows from another mistake. ev may be nil where nothing was loaded yet.
func (r *Repo) cueFindings(err error, ev *evaluated) Findings {
	t := translator{repo: r, ev: ev}
	groups := map[string][]cueError{}
	var order []string
	for _, e := range r.causes(errors.Errors(err)) {
		ce := t.refused(t.read(e))
		key := strings.Join(ce.path, "\x00")
		if len(ce.path) == 0 {
			key = "\x00" + ce.pos.String() + ce.text
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], ce)
	}
	var findings Findings
	for _, key := range order {
		if f, ok := t.fold(groups[key]); ok {
			findings = append(findings, f)
		}
	}
	return dropConsequences(findings).tidy()
}

// causes puts in place of an import that failed what is wrong in a file of the
// package, where the cause names one: the line of the import shows nothing of it.
func (r *Repo) causes(errs []errors.Error) []errors.Error {
	var all []errors.Error
	for _, e := range errs {
		var within []errors.Error
		if format, _ := e.Msg(); format == "import failed" {
			for _, cause := range r.causes(errors.Errors(errors.Unwrap(e))) {
				if r.isUserPos(cause.Position()) && cause.Position() != e.Position() {
					within = append(within, cause)
				}
			}
		}
		if len(within) == 0 {
			within = append(within, e)
		}
		all = append(all, within...)
	}
	return all
}

// cueError is one error of CUE, taken apart.
type cueError struct {
	path   []string // below the package
	format string
	args   []any
	text   string
	pos    token.Pos   // in the user's files, or not valid
	inputs []token.Pos // those in the user's files
	any    token.Pos   // anywhere
}

type translator struct {
	repo *Repo
	ev   *evaluated
}

func (t translator) read(e errors.Error) cueError {
	format, args := e.Msg()
	ce := cueError{path: unquoted(e.Path()), format: format, args: args, any: e.Position()}
	ce.text = tidyMessage(fmt.Sprintf(format, args...))
	if cause := errors.Unwrap(e); format == "import failed" && cause != nil {
		ce.path = nil // it names the package, not a field
		ce.text = tidyMessage(importCause(cause))
	}
	if cause := errors.Unwrap(e); cause != nil && strings.HasPrefix(format, "error in call to ") && !strings.Contains(ce.text, ": ") {
		ce.text += ": " + tidyMessage(cause.Error())
	}
	if cause := errors.Error(nil); errors.As(errors.Unwrap(e), &cause) && ce.text == "@embed" { // all that it says is that
		format, args = cause.Msg()
		ce.text = cmp.Or(t.repo.notEmbedded(e.Position(), format, args), "@embed: "+tidyMessage(fmt.Sprintf(format, args...)))
	}
	ce.text = strings.ReplaceAll(ce.text, t.repo.root+"/", "")
	for _, pos := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
		if !ce.any.IsValid() {
			ce.any = pos
		}
		if t.repo.isUserPos(pos) && !slices.Contains(ce.inputs, pos) {
			ce.inputs = append(ce.inputs, pos)
		}
	}
	slices.SortStableFunc(ce.inputs, func(a, b token.Pos) int {
		return cmp.Compare(t.repo.rank(t.ev, a), t.repo.rank(t.ev, b))
	})
	if len(ce.inputs) > 0 {
		ce.pos = ce.inputs[0]
	}
	return ce
}

// refused names the unit where CUE names each of its fields: that happens to a unit
// that a closed list of apps does not have, and nobody wrote those fields.
func (t translator) refused(e cueError) cueError {
	if e.format == "field not allowed" && !e.pos.IsValid() && len(e.path) > unitDepth && e.path[1] == "apps" {
		e.path = e.path[:unitDepth]
	}
	return e
}

// unitDepth is the length of the path of a unit, such as environment.apps.shop.
const unitDepth = 3

// importCause keeps what matters of a chain of causes: each repeats the place, and
// the last ones guess at modules.
func importCause(err error) string {
	text := err.Error()
	if at := strings.LastIndex(text, "import failed: "); at >= 0 {
		text = text[at+len("import failed: "):]
	}
	if m := importPlace.FindStringIndex(text); m != nil {
		text = text[m[1]:]
	}
	text, _, _ = strings.Cut(text, ": cannot find module")
	return text
}

// importPlace matches the file and line in front of a message.
var importPlace = regexp.MustCompile(`^\S+:\d+:\d+: `)

// fold makes one finding of all errors of one path.
func (t translator) fold(group []cueError) (Finding, bool) {
	group = slices.DeleteFunc(slices.Clone(group), func(e cueError) bool {
		return strings.HasSuffix(e.format, "errors in empty disjunction:")
	})
	if len(group) == 0 {
		return Finding{}, false
	}
	e := group[0]
	for _, other := range group[1:] {
		if rank(other) < rank(e) {
			e = other
		}
	}
	f := Finding{Path: displayPath(e.path)}
	if t.ev != nil {
		f.Environment = t.ev.dir.name
		f.Unit = unitOf(e.path)
	}
	t.repo.place(&f, t.written(t.place(e), e.path, group))
	for _, e := range group {
		for _, pos := range e.inputs {
			if pos != f.pos && t.repo.literalAt(t.ev, pos) != "" {
				f.others = append(f.others, pos)
			}
		}
	}
	t.say(&f, e, group)
	return f, true
}

// written is where a wrong value stands, which may be a file that the place refers
// to, such as a list of apps that environments share: there its literal is, or a
// field of its name.
func (t translator) written(place token.Pos, path []string, group []cueError) token.Pos {
	for len(path) > 0 {
		if _, item := index(last(path)); !item {
			break
		}
		path = path[:len(path)-1]
	}
	if !place.IsValid() || t.repo.literalAt(t.ev, place) != "" || t.fieldNamed(place, last(path)) {
		return place
	}
	var named token.Pos
	for _, e := range group {
		if !strings.HasPrefix(e.format, "invalid value") && !strings.HasPrefix(e.format, "conflicting values") {
			continue
		}
		for _, pos := range e.inputs {
			if t.repo.literalAt(t.ev, pos) != "" {
				return pos
			}
			if !named.IsValid() && t.fieldNamed(pos, last(path)) {
				named = pos
			}
		}
	}
	if named.IsValid() {
		return named
	}
	return place
}

// fieldNamed says whether the innermost field at a position has the name.
func (t translator) fieldNamed(pos token.Pos, name string) bool {
	if t.ev == nil || t.ev.inst == nil {
		return false
	}
	found := ""
	for _, file := range t.ev.userFiles() {
		if file.Filename != pos.Filename() {
			continue
		}
		ast.Walk(file, func(n ast.Node) bool {
			if n.Pos().Offset() > pos.Offset() || pos.Offset() >= n.End().Offset() {
				return n == file
			}
			if field, ok := n.(*ast.Field); ok {
				found, _ = syntax.Name(field)
			}
			return true
		}, nil)
	}
	return found != "" && found == name
}

// rank prefers the error that says most.
func rank(e cueError) int {
	switch {
	case e.format == "field not allowed":
		return 0
	case strings.HasPrefix(e.format, "invalid value"):
		return 1
	case strings.HasPrefix(e.format, "conflicting values"):
		return 2
	}
	return 3
}

// place is where the user should look.
func (t translator) place(e cueError) token.Pos {
	if e.pos.IsValid() && e.format != missingField {
		return e.pos
	}
	if t.ev != nil && t.ev.root.Exists() {
		for n := len(e.path); n > 0; n-- {
			v := t.ev.root.LookupPath(stringPath(e.path[:n]))
			if pos := t.repo.userPos(v); pos.IsValid() {
				return pos
			}
		}
	}
	if e.pos.IsValid() {
		return e.pos
	}
	return e.any
}

// missingField is what CUE says of a required field, and missing what we say.
const (
	missingField = "field is required but not present"
	missing      = "missing"
	unknownField = "unknown field"
	noValue      = "has no value"
)

func (t translator) say(f *Finding, e cueError, group []cueError) {
	switch {
	case e.format == "field not allowed":
		f.Message = unknownField
		f.derived = !e.pos.IsValid() // the definitions set it, on what has no place
		f.DidYouMean = cmp.Or(typed.Closest(last(e.path), t.siblings(e.path)), t.grouped(e.path))
		if f.DidYouMean == "" {
			if names := t.siblings(e.path); len(names) > 0 {
				f.Expected = "one of " + enumerate(names)
				if slices.Contains(names, "patch") {
					f.Hint = "what has no field of its own goes into an object: patch: deployment: {...}"
				}
			}
		}
		if len(e.path) == unitDepth && e.path[1] == "apps" {
			f.closed = true
			f.Hint = "the list of apps that it is unified with is closed: add it there, or end that list with ..."
		}
	case e.format == missingField:
		f.Message = missing
		f.Expected = t.doc(e.path)
		if last(e.path) == "type" && f.Expected == "" {
			f.Expected = "a type, such as schema.#DubboProvider"
			if name := e.path[:len(e.path)-1]; len(name) == 3 && name[1] == "stacks" {
				f.Expected = "a type: this is none of the tool's stacks"
				f.DidYouMean = typed.Closest(last(name), t.siblings(name))
			}
			if name := e.path[:len(e.path)-1]; len(name) == unitDepth && name[1] == "apps" {
				if near := typed.Closest(last(name), t.siblings(name)); near != "" && f.File != "" {
					f.Path, f.DidYouMean = displayPath(name), near
					f.Message, f.Expected = "no such app, and no type that makes one", ""
					t.ev.list(f, near)
				}
			}
		}
	case strings.HasPrefix(e.format, "invalid value"):
		f.Message = "invalid value"
		f.Found = t.literal(e)
		t.expect(f, e.path, group)
	case strings.HasPrefix(e.format, "conflicting values"):
		t.conflict(f, e, group)
	case strings.HasPrefix(e.format, "incomplete value"), strings.HasPrefix(e.text, "non-concrete value"):
		f.derived = true
		f.Message = noValue
		t.expect(f, e.path, group)
	case e.format == "reference %q not found" || strings.HasPrefix(e.text, "reference ") && strings.HasSuffix(e.text, " not found"):
		f.Message = e.text
		if name, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(e.text, "reference "), " not found")); err == nil {
			f.DidYouMean = typed.Closest(name, t.names())
		}
	default:
		f.derived = derivedError.MatchString(e.text)
		f.Message = e.text
	}
	if shadowed.MatchString(f.Message) {
		f.Hint = "if a field of the same name hides the import, rename the import"
	}
}

// shadowed matches what CUE says where a field hides an import of the same name.
var shadowed = regexp.MustCompile(`^(undefined field: #\w+|imported and not used: .*)$`)

// derivedError matches what is usually no mistake of its own, but follows from a
// value that another one took away.
var derivedError = regexp.MustCompile(`^(undefined field: |required field missing: |imported and not used|error in call to |invalid interpolation|unresolved disjunction|.* not concrete|cycle error)`)

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
			break
		}
		return
	}
	f.Message = "invalid value"
	f.Found = t.literal(e)
	t.expect(f, e.path, group)
}

// literal is the value that stands in the user's file.
func (t translator) literal(e cueError) string {
	if found := t.literals([]cueError{e}); len(found) > 0 {
		return found[0]
	}
	if len(e.args) > 0 {
		return short(fmt.Sprint(e.args[0]))
	}
	return ""
}

// literals are the values at the user's positions, each once.
func (t translator) literals(group []cueError) []string {
	var found []string
	for _, e := range group {
		for _, pos := range e.inputs {
			if text := t.repo.literalAt(t.ev, pos); text != "" && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
	}
	return found
}

// expect says what the field's doc comment says, else what the constraints do.
func (t translator) expect(f *Finding, path []string, group []cueError) {
	t.otherForm(f, path, group)
	field := path
	if _, item := index(last(path)); item {
		field = path[:len(path)-1] // the comment stands on the list
	}
	if doc := t.doc(field); doc != "" {
		f.Expected, f.documented = doc, true
		if kind := t.kind(group); kind != "" && !strings.HasPrefix(doc, "true: ") && !strings.HasPrefix(doc, "false: ") {
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
			add(inWords(fmt.Sprint(e.args[1]), f.Found))
		case strings.HasPrefix(e.format, "conflicting values") && len(e.args) > 1:
			for _, arg := range e.args[:2] {
				if text := fmt.Sprint(arg); !slices.Contains(user, text) {
					add(inWords(text, f.Found))
				}
			}
		}
	}
	f.Expected = strings.Join(withoutDefaults(kinds), " or ")
}

// otherForm says how a value is written that has the form of another language: a
// text in single quotes, what Kubernetes has as a list and the definitions by name.
func (t translator) otherForm(f *Finding, path []string, group []cueError) {
	switch {
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
		}
	}
}

// inWords says without CUE what a struct of the definitions takes, and what else
// names one of them.
func inWords(constraint, found string) string {
	constraint = definitionName.ReplaceAllString(constraint, "$1")
	m := requiredFirst.FindStringSubmatch(constraint)
	switch {
	case m != nil && found != "" && !strings.HasPrefix(found, "[") && strings.Count(constraint, "!:") == 1:
		return fmt.Sprintf("{%s: %s}", m[1], found)
	case m != nil:
		return fmt.Sprintf("a struct, such as {%s: ...}", m[1])
	case strings.HasPrefix(constraint, "{") && strings.Contains(constraint, ":"):
		return "a struct"
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
			if slices.Contains(user, short(fmt.Sprint(e.args[i]))) {
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
	"bool": "true or false", "int": "a whole number", "list": "a list", "number": "a number", "string": "a string", "struct": "a struct",
}

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
		if name != "" && name != last(path) && name != "objects" {
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

// dropConsequences removes what the definitions make of a mistake: errors inside
// the objects of a unit, or its hidden fields, where the unit has another one; what
// a unit then lacks of a broken environment, or beside a field that it does not have; and all but one of the errors that one
// literal causes.
func dropConsequences(findings Findings) Findings {
	visible, broken, closed := map[string]bool{}, map[string]bool{}, map[string]bool{}
	meant, within, unknown, inside := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	undefined := false
	for _, f := range findings {
		undefined = undefined || strings.HasSuffix(f.Message, " is not defined")
		if list, _, ok := strings.Cut(f.Path, "["); ok {
			within[list] = true
		}
		for at := f.Path; at != ""; {
			at = strings.TrimSuffix(parentPath(at), ".")
			inside[at] = true
		}
		if f.Message == unknownField {
			unknown[parentPath(f.Path)] = true
		}
		visible[f.Unit] = visible[f.Unit] || !f.internal()
		closed[f.Unit] = closed[f.Unit] || f.closed
		broken[f.Unit] = broken[f.Unit] || !f.internal() && !f.derived
		if f.DidYouMean != "" && f.Path != "" {
			meant[parentPath(f.Path)+f.DidYouMean] = true
		}
	}
	findings = slices.DeleteFunc(findings, func(f Finding) bool {
		return f.internal() && (visible[f.Unit] || visible[""]) ||
			strings.HasPrefix(f.Found, "{") && inside[f.Path] || // what is wrong inside is said
			f.derived && (broken[f.Unit] || broken[""] || closed[f.Unit] && !f.closed) ||
			f.Message == noValue && f.Unit != "" && visible[""] ||
			f.Message == missing && (isBelow(f.Path, meant) || within[f.Path] || unknown[parentPath(f.Path)] || undefined && strings.HasSuffix(f.Path, ".type"))
	})
	best := map[token.Pos]int{}
	kept := findings[:0]
	for _, f := range findings {
		at, seen := best[f.pos]
		if !seen || !f.pos.IsValid() || f.Found == "" || f.Found != kept[at].Found {
			best[f.pos] = len(kept)
			kept = append(kept, f)
			continue
		}
		if len(f.Path) < len(kept[at].Path) {
			f, kept[at] = kept[at], f
		}
		if f.documented && !kept[at].documented {
			kept[at].Expected, kept[at].documented = f.Expected, true
		}
	}
	return kept
}

// isBelow says whether a path is one of those, or leads below one.
func isBelow(p string, paths map[string]bool) bool {
	for {
		if paths[p] {
			return true
		}
		at := strings.LastIndexByte(p, '.')
		if at < 0 {
			return false
		}
		p = p[:at]
	}
}

// parentPath is a path without its last name, with the dot.
func parentPath(p string) string { return p[:strings.LastIndexByte(p, '.')+1] }

// internal findings are about what the definitions make, not what a user writes.
func (f Finding) internal() bool {
	return strings.Contains(f.Path, ".objects.") || strings.Contains(f.Path, "#")
}

// unitOf is the unit that a path below the package leads into.
func unitOf(path []string) string {
	if len(path) >= unitDepth && path[0] == "environment" && (path[1] == "apps" || path[1] == "stacks") {
		return path[2]
	}
	return ""
}

func displayPath(path []string) string {
	out := make(typed.Path, 0, len(path))
	for _, step := range trimEnvironment(path) {
		if n, ok := index(step); ok {
			out = append(out, n)
			continue
		}
		out = append(out, step)
	}
	return out.String()
}

func stringPath(path []string) cue.Path {
	sels := make([]cue.Selector, len(path))
	for i, step := range path {
		switch n, ok := index(step); {
		case ok:
			sels[i] = cue.Index(n)
		case strings.HasPrefix(step, "#"):
			sels[i] = cue.Def(step)
		default:
			sels[i] = cue.Str(step)
		}
	}
	return cue.MakePath(sels...)
}

// index tells list indexes from labels: CUE's paths have both as text.
func index(step string) (int, bool) {
	n := 0
	for _, c := range step {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, step != "" && len(step) < 6
}

func unquoted(path []string) []string {
	out := make([]string, len(path))
	for i, step := range path {
		out[i] = strings.Trim(step, `"`)
	}
	return out
}

func last(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return path[len(path)-1]
}

// tidyMessage keeps a message of CUE to one line of bearable length: some inline
// whole values.
func tidyMessage(text string) string { return short(strings.Join(strings.Fields(text), " ")) }

func short(text string) string {
	const most = 160
	if len(text) > most {
		return text[:most-3] + "..."
	}
	return text
}
