package render

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
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
	t.refusals = map[string]bool{}
	var order []string
	var findings Findings
	for _, e := range r.causes(errors.Errors(err)) {
		if mixed := (*load.MultiplePackageError)(nil); errors.As(e, &mixed) {
			findings = append(findings, r.otherPackage(mixed)...)
			continue
		}
		ce := t.refused(t.read(e))
		key := strings.Join(ce.path, "\x00")
		if len(ce.path) == 0 {
			key = "\x00" + ce.pos.String() + ce.text
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], ce)
		if ce.format == notAllowed {
			t.refusals[strings.Join(ce.path, "\x00")] = true
		}
	}
	for _, key := range order {
		if f, ok := t.fold(groups[key]); ok {
			findings = append(findings, f)
		}
	}
	return dropConsequences(findings).tidy()
}

// otherPackage finds the files of a directory whose package is another than that of most.
func (r *Repo) otherPackage(mixed *load.MultiplePackageError) (findings Findings) {
	dir := r.below(mixed.Dir)
	if !filepath.IsAbs(mixed.Dir) {
		dir = filepath.ToSlash(mixed.Dir)
	}
	names, _ := fs.Glob(r.fsys, dir+"/*.cue") // the pattern is well formed
	files := map[string][]*ast.Package{}
	most := path.Base(dir)
	for _, name := range names {
		data, err := fs.ReadFile(r.fsys, name)
		if err != nil {
			continue
		}
		file, err := parser.ParseFile(filepath.Join(r.root, filepath.FromSlash(name)), data, parser.PackageClauseOnly)
		if err != nil || file.PackageName() == "" {
			continue
		}
		of := file.PackageName()
		for _, decl := range file.Decls {
			if clause, ok := decl.(*ast.Package); ok {
				files[of] = append(files[of], clause)
			}
		}
		if len(files[of]) > len(files[most]) {
			most = of
		}
	}
	for _, of := range slices.Sorted(maps.Keys(files)) {
		for _, clause := range files[of] {
			if of == most {
				continue
			}
			f := Finding{
				Message: fmt.Sprintf("the files of a directory are of one package, and this one is of %s", of),
				Hint:    fmt.Sprintf("write package %s, or move the file to a directory of its own", most),
			}
			if empty := path.Join(path.Dir(dir), of); r.isEmpty(empty) {
				f.Hint = fmt.Sprintf("move the file back to %s, which is empty, or write package %s", empty, most)
				f.from = r.fileName(filepath.Join(r.root, filepath.FromSlash(empty)))
			}
			r.place(&f, clause.Name.Pos())
			findings = append(findings, f)
		}
	}
	return findings
}

// isEmpty says whether a directory of the repository has nothing in it.
func (r *Repo) isEmpty(dir string) bool {
	entries, err := fs.ReadDir(r.fsys, dir)
	return err == nil && len(entries) == 0
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
	repo     *Repo
	ev       *evaluated
	refusals map[string]bool // the paths of fields that are not allowed
}

// notAllowed is what CUE says of a field that a definition does not have.
const notAllowed = "field not allowed"

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
	if ce.text == "" { // an error of another kind: CUE has only its text
		ce.text = strings.TrimPrefix(tidyMessage(e.Error()), "invalid module file "+t.repo.root+"/cue.mod/module.cue: ")
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
	if e.format == notAllowed && !e.pos.IsValid() && len(e.path) > unitDepth && e.path[1] == "apps" {
		e.path = e.path[:unitDepth]
	}
	return e
}

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
	if e.format == missingField && t.given(e.path) {
		return Finding{}, false // it is there, and something else is wrong with it
	}
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

// rank prefers the error that says most.
func rank(e cueError) int {
	switch {
	case e.format == notAllowed:
		return 0
	case strings.HasPrefix(e.format, "invalid value"):
		return 1
	case strings.HasPrefix(e.format, "conflicting values"):
		return 2
	}
	return 3
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
	case e.format == notAllowed:
		f.Message = unknownField
		f.derived = !e.pos.IsValid() // the definitions set it, on what has no place
		names := t.siblings(e.path)
		free := t.unset(names, e.path)
		f.ours = ourWord(last(e.path), free)
		f.DidYouMean = cmp.Or(f.ours, typed.Closest(inASCII(last(e.path)), names), t.grouped(e.path))
		if place := placeOf(last(e.path), names); place != "" {
			f.DidYouMean, f.Hint = "", "see "+place
		}
		if f.DidYouMean == "" && f.Hint == "" {
			f.DidYouMean = cmp.Or(t.below(e.path, names), fuller(last(e.path), free))
		}
		t.misplaced(f, e.path)
		if f.DidYouMean == "" && f.Hint == "" {
			f.Hint = t.ofType(e.path)
		}
		if f.DidYouMean == "" && f.Hint == "" {
			if len(names) > 0 {
				t.listed(f, e.path, names)
			} else if last(e.path) == "containerPort" {
				f.DidYouMean = "port"
			}
		}
		if len(e.path) == unitDepth && e.path[1] == "apps" {
			f.closed = true
			f.Hint = "the list of apps that it is unified with is closed: add it there, or end that list with ..."
		}
	case e.format == missingField:
		f.Message = missing
		if f.Unit != "" && len(e.path) == unitDepth+1 {
			t.ev.list(f, f.Unit)
			f.home = t.ev.home(f.Unit)
		}
		f.Expected = t.doc(e.path)
		if last(e.path) == "type" && f.Expected == "" {
			f.Expected = "a type, such as schema.#DubboProvider"
			if name := e.path[:len(e.path)-1]; len(name) == 3 && name[1] == "stacks" {
				f.Expected = "a type: this is none of the tool's stacks"
				f.DidYouMean = typed.Closest(last(name), t.siblings(name))
			}
			if name := e.path[:len(e.path)-1]; len(name) == unitDepth && name[1] == "apps" {
				if slices.Contains(t.siblings([]string{name[0], "stacks", ""}), last(name)) {
					f.Path, f.Message, f.Expected = displayPath(name), "this is one of the tool's stacks, and no app", ""
					f.Hint = fmt.Sprintf("write it into stacks: {%s: ...}", last(name))
				} else if near := typed.Closest(last(name), t.siblings(name)); near != "" && f.File != "" {
					f.Path, f.DidYouMean = displayPath(name), near
					f.Message, f.Expected = "no such app, and no type that makes one", ""
					t.ev.list(f, near)
				} else if f.File != "" && t.ev.sharesList() {
					f.Path, f.Message, f.Expected, f.gone = displayPath(name), noSuchApp, "", last(name)
					f.Hint = fmt.Sprintf("take it out here, or begin with %s: schema.#WebApp & {", syntax.Label(last(name)))
				}
			}
		}
	case len(e.path) == unitDepth+1 && last(e.path) == "name" && strings.HasPrefix(e.format, "invalid value"):
		t.unnamed(f, e)
	case strings.HasPrefix(e.format, "invalid value"):
		f.Message = "invalid value"
		f.Found = t.literal(e)
		t.expect(f, e.path, group)
	case strings.HasPrefix(e.format, "conflicting values"):
		if f.Unit != "" && len(e.path) == unitDepth+1 && last(e.path) == "type" {
			if types := quotedArgs(group); len(types) == 2 {
				f.Message, f.Hint = fmt.Sprintf("two types, %s and %s", types[0], types[1]), "an app has one: take one of them out"
				break
			}
		}
		if f.Unit != "" && len(e.path) == unitDepth+1 && last(e.path) == "registry" && len(t.words(group, "")) == 0 {
			t.unregistered(f, e, t.literal(e))
			break
		}
		t.conflict(f, e, group)
	case strings.HasPrefix(e.format, "incomplete value"), strings.HasPrefix(e.text, "non-concrete value"):
		f.derived = true
		f.Message = noValue
		t.expect(f, e.path, group)
	case e.format == "reference %q not found" || strings.HasPrefix(e.text, "reference ") && strings.HasSuffix(e.text, " not found"):
		f.Message = e.text
		if name, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(e.text, "reference "), " not found")); err == nil {
			f.DidYouMean = cmp.Or(typed.Closest(name, t.names()), t.exported(name))
		}
	case strings.HasPrefix(e.text, noPackage):
		if t.repo.inPackage(f, e.text) {
			break
		}
		f.Message = e.text
		if wanted, err := strconv.Unquote(strings.TrimPrefix(e.text, noPackage)); err == nil {
			if t.repo.otherModule(f, wanted) {
				break
			}
			f.DidYouMean = t.repo.packageLike(wanted)
		}
	case e.format == "incompatible list lengths (%d and %d)":
		f.Message = fmt.Sprintf(twoLists+", one of %d and one of %d", e.args...)
		f.Hint = "lists are not joined: say it in one place"
		for _, pos := range e.inputs {
			if p := pos.Position(); t.repo.fileName(p.Filename) != f.File || p.Line != f.Line {
				f.Hint = fmt.Sprintf("also set at %s:%d:%d; lists are not joined: say it in one place", t.repo.fileName(p.Filename), p.Line, p.Column)
				break
			}
		}
	case last(e.path) == "#registry" && strings.HasPrefix(e.text, noField):
		e.path = append(slices.Clone(e.path[:len(e.path)-1]), "registry")
		e.pos = token.NoPos
		t.repo.place(f, t.place(e))
		t.unregistered(f, e, strconv.Quote(strings.TrimPrefix(e.text, noField)))
	case strings.HasPrefix(e.text, twoDefaults) && t.ofTwoDefaults(f, e):
	default:
		f.derived = derivedError.MatchString(e.text)
		f.Message = e.text
		t.undefinedField(f)
		t.wrongWord(f)
	}
	if shadowed.MatchString(f.Message) {
		f.Hint = "if a field of the same name hides the import, rename the import"
		switch name := t.hides(f); {
		case name == "" && strings.HasPrefix(f.Message, notUsed):
			f.Hint = "take the line out, or refer to it"
		case name != "":
			f.Message = fmt.Sprintf("the field %s hides this import of the same name", name)
			f.Hint = fmt.Sprintf("give the import another name: facts %s, and write facts.#... for %s.#...", strings.TrimPrefix(e.text, notUsed), name)
		}
	}
}

// noSuchApp is what is said of an app that stands in an environment alone, and has no type.
const noSuchApp = "no such app in the list that is shared, and no type that makes one"

// twoLists begins what is said of lists that contradict each other.
const twoLists = "two lists that are not the same"

// quotedArgs are the texts that contradict each other.
func quotedArgs(group []cueError) (texts []string) {
	for _, e := range group {
		for _, arg := range e.args {
			if text, err := strconv.Unquote(fmt.Sprint(arg)); err == nil && !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	slices.Sort(texts)
	return texts
}

// shadowed matches what CUE says where a field hides an import of the same name.
var shadowed = regexp.MustCompile(`^(undefined field: #\w+|imported and not used: .*)$`)

// derivedError matches what is usually no mistake of its own, but follows from a
// value that another one took away.
var derivedError = regexp.MustCompile(`^(undefined field: |required field missing: |imported and not used|error in call to |invalid interpolation|unresolved disjunction|.* not concrete|cycle error)`)

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
