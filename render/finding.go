package render

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/chart"
	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Finding is one thing that is wrong with the input, or, as a warning, one that
// deserves a look.
type Finding struct {
	// File, Line and Col are where to look: the user's own literal where it is
	// known, else the line of the unit. File is relative to the working directory
	// where it is below it, else to the repository.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`

	Environment string `json:"environment,omitempty"`
	// Environments are all that have the mistake, where it stands in what several share.
	Environments []string `json:"environments,omitempty"`
	Unit         string   `json:"unit,omitempty"`
	Object       string   `json:"object,omitempty"` // Kind/namespace/name

	Path     string `json:"path,omitempty"` // of the field, below environment
	Message  string `json:"message"`
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
	// DidYouMean is the name that was probably meant.
	DidYouMean string `json:"didYouMean,omitempty"`
	Hint       string `json:"hint,omitempty"` // what to do about it

	// Rule names the check, where it can be silenced per unit.
	Rule    string `json:"rule,omitempty"`
	Warning bool   `json:"warning,omitempty"`

	// Absent is the object that something refers to and nobody makes.
	Absent *lint.Absent `json:"-"`

	pos     token.Pos   // of File, Line and Col
	others  []token.Pos // further places in the user's files
	derived bool        // may be no mistake of its own, but follow from another
	cluster string      // of the environment, where the finding is about what the cluster has
	closed  bool        // a closed list does not have the app: what else is said of it follows from that

	// listed is where the unit stands in a list that the environment takes from elsewhere.
	listed     token.Pos
	listedFile string
	home       token.Pos // where the environment that lacks something says what the unit is

	field   typed.Path // of Object
	literal bool       // pos is the very value, or the word that it was made of

	documented bool // Expected is the field's doc comment

	contradicts     token.Pos // the literal of a list that environments share, which this one contradicts
	contradictsFile string
	contradictory   string

	from   string // the directory that the file of the finding was moved out of
	gone   string // what is not there, in as many environments as there are
	ours   string // the field of the definitions that says what one of Kubernetes does
	inside string // an app that stands in another one
	quiet  bool   // said only where nothing else is wrong: it may follow from that

	makes []chart.Made // the fields that lack what the finding is about
}

// causes says whether what another finding is about lacks what this one is about.
func (f Finding) causes(other Finding) bool {
	return f.Unit == other.Unit && f.Environment == other.Environment && slices.ContainsFunc(f.makes, func(m chart.Made) bool {
		return strings.HasPrefix(other.Object, m.Kind+"/") && strings.HasSuffix(other.Object, "/"+m.Name) && alongside(m.Path, other.field)
	})
}

// String is the finding on one line: file:line:col: path: message (details).
func (f Finding) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", f.Line, f.Col)
		}
		b.WriteString(": ")
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	var details []string
	if f.Expected != "" {
		details = append(details, "expected "+f.Expected)
	}
	if f.Found != "" {
		details = append(details, "found "+f.Found)
	}
	if f.DidYouMean != "" {
		details = append(details, "did you mean "+strconv.Quote(f.DidYouMean)+"?")
	}
	if f.Hint != "" {
		details = append(details, f.Hint)
	}
	if len(f.Environments) > 0 {
		details = append(details, "in "+strings.Join(f.Environments, ", "))
	}
	if len(details) > 0 {
		b.WriteString(" (" + strings.Join(details, "; ") + ")")
	}
	if f.Rule != "" {
		b.WriteString(" [" + f.Rule + "]")
	}
	return strings.Join(strings.FieldsFunc(b.String(), func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

// Findings are all that is wrong with one input, in the order of the files.
type Findings []Finding

// Error lists the findings, one on each line.
func (fs Findings) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// tidy sorts the findings and drops those that say the same at the same place.
func (fs Findings) tidy() Findings {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message),
		)
	})
	kept := fs[:0]
	for _, f := range fs {
		if n := len(kept); n > 0 && kept[n-1].same(f) {
			kept[n-1].shared(f)
			continue
		}
		if i := slices.IndexFunc(kept, f.follows); i >= 0 {
			if f.Rule == "consumes" && strings.Contains(kept[i].Message, lint.LeftOutHere) {
				kept[i], f = f, kept[i] // what it is says more than that it is off in one environment
			}
			kept[i].shared(f)
			continue
		}
		if i := slices.IndexFunc(kept, f.elsewhere); i >= 0 {
			if kept[i].DidYouMean == "" && f.DidYouMean != "" {
				kept[i], f = f, kept[i] // the other environment knows more
			}
			kept[i].shared(f)
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

// follows says whether another finding, of the same word in the user's files and of the
// same rule, says enough: the definitions make several fields of one word, several
// environments share it, and many URLs may not be answered for it.
func (f Finding) follows(other Finding) bool {
	if !f.literal || !other.literal || f.pos != other.pos || f.Rule != other.Rule || f.Warning != other.Warning {
		return false
	}
	if f.Message == other.Message && f.Found == other.Found && f.Unit == "" && other.Unit == "" {
		return true // two fields of the site, of which one takes what the other has
	}
	switch f.Rule {
	case "consumes", "duplicate", "host-taken", "name", lint.RuleServer, lint.RuleWay:
		return true
	case "":
		return false
	}
	return (f.Environment != other.Environment && f.Path == other.Path || f.Unit != other.Unit) &&
		strings.ReplaceAll(f.Message, f.Environment, other.Environment) == other.Message
}

// inNamespace matches the namespace of an object in a path: an app that environments share
// makes it in each of theirs.
var inNamespace = regexp.MustCompile(`^\S+ [A-Z][A-Za-z]*(/[^/ ]+/)`)

// elsewhere says whether another finding is of the same word and the same field in
// another environment, which may know better what was meant.
func (f Finding) elsewhere(other Finding) bool {
	if f.File == "" || f.File != other.File || f.Line != other.Line || f.Col != other.Col || f.Environment == "" || f.Environment == other.Environment {
		return false
	}
	ours, theirs := inNamespace.FindStringSubmatch(f.Path), inNamespace.FindStringSubmatch(other.Path)
	alike := func(a, b string) bool {
		if ours != nil && theirs != nil {
			a = strings.ReplaceAll(a, ours[1], theirs[1])
			a = strings.ReplaceAll(a, " namespace "+strings.Trim(ours[1], "/"), " namespace "+strings.Trim(theirs[1], "/"))
		}
		return a == b
	}
	return f.Rule == other.Rule && f.Warning == other.Warning && f.Found == other.Found && alike(f.Path, other.Path) && alike(f.Message, other.Message) &&
		(alike(f.Expected, other.Expected) && f.DidYouMean == other.DidYouMean || f.Rule == "" && f.Message == "unknown field")
}

// same says whether two findings are of one mistake.
func (f Finding) same(other Finding) bool {
	f.Environments, other.Environments = nil, nil
	return f.String() == other.String()
}

// shared notes that another environment has the mistake too. What is only a warning
// is not worth the words.
func (f *Finding) shared(other Finding) {
	if f.Warning || f.File == "" || f.Environment == "" || other.Environment == "" {
		return
	}
	var names []string
	for _, one := range []Finding{*f, other} {
		names = append(names, one.Environment)
		names = append(names, one.Environments...)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 1 {
		f.Environments = names
	}
}

// atHome moves what one environment alone lacks of a unit in a list that others take as
// well to that environment: the list is as it should be.
func (fs Findings) atHome(r *Repo) {
	for i, f := range fs {
		if f.Message != missing || !f.home.IsValid() || !f.listed.IsValid() || len(f.Environments) > 0 || f.home == f.pos {
			continue
		}
		r.place(&fs[i], f.home)
		fs[i].Hint = fmt.Sprintf("give it here, or leave the unit out: %s: enabled: false", syntax.Label(f.Unit))
	}
}

// ofOne names the environment of what one alone has, where the place does not: in a file
// that is not of its directory.
func (fs Findings) ofOne(dirs []envDir, r *Repo) {
	for i, f := range fs {
		at := slices.IndexFunc(dirs, func(dir envDir) bool { return dir.name == f.Environment })
		if f.File == "" || at < 0 || len(f.Environments) > 0 || strings.Contains(f.Message, f.Environment) {
			continue
		}
		if own := r.fileName(filepath.Join(r.root, filepath.FromSlash(dirs[at].dir))); f.File != own && !strings.HasPrefix(f.File, own+"/") {
			fs[i].Environments = []string{f.Environment}
		}
	}
}

// everywhere puts what several environments have of one list, and none of them wrote,
// into one finding, at the unit in the list: the places in the environments are as many
// as they are, and show nothing of it.
func (fs Findings) everywhere() Findings {
	type mistake struct {
		listed                          token.Pos
		rule, path, message, didYouMean string
		warning                         bool
	}
	first := map[mistake]int{}
	undefined := map[[2]string]bool{}
	var kept Findings
	for _, f := range fs {
		if f.Rule == lint.RuleDefinition {
			of := [2]string{f.cluster, f.Message}
			if undefined[of] {
				continue
			}
			undefined[of] = true
		}
		if strings.HasPrefix(f.Message, noPackage) || f.Message == noRegistry {
			if at := slices.IndexFunc(kept, func(k Finding) bool { return k.Message == f.Message && k.Found == f.Found }); at >= 0 {
				kept[at].shared(f) // one that is gone, however many refer to it
				continue
			}
		}
		if f.contradicts.IsValid() {
			if at := slices.IndexFunc(kept, func(k Finding) bool {
				return k.contradicts == f.contradicts && k.Path == f.Path && k.Environment != f.Environment
			}); at >= 0 {
				kept[at].contradicted(f)
				continue
			}
		}
		if f.missed() {
			if at := slices.IndexFunc(kept, func(k Finding) bool { return k.gone == f.gone && k.Message == f.Message && k.Path == f.Path }); at >= 0 {
				kept[at].shared(f)
				continue
			}
		}
		if !f.listed.IsValid() || f.literal {
			kept = append(kept, f)
			continue
		}
		m := mistake{f.listed, f.Rule, strings.ReplaceAll(f.Path, f.Environment, "\x00"), strings.ReplaceAll(f.Message, f.Environment, "\x00"), f.DidYouMean, f.Warning}
		at, again := first[m]
		switch {
		case !again:
			first[m] = len(kept)
			kept = append(kept, f)
		case kept[at].Environment != f.Environment:
			one := &kept[at]
			p := f.listed.Position()
			one.pos, one.File, one.Line, one.Col = f.listed, f.listedFile, p.Line, p.Column
			one.shared(f)
		default:
			kept = append(kept, f)
		}
	}
	return kept
}

// missed says whether a finding is about what is not there, for each environment that
// refers to it.
func (f Finding) missed() bool {
	return f.gone != "" || strings.HasSuffix(f.Message, notDefined) || strings.HasPrefix(f.Message, `no environment "`) || f.Message == lint.NoServers
}

// contradicted moves a value of a shared list, that one environment contradicts, to the
// list where another one does so too: there it is too much.
func (f *Finding) contradicted(other Finding) {
	if f.pos != f.contradicts {
		p := f.contradicts.Position()
		f.Hint = fmt.Sprintf("also set at %s; take one out, or make this a default: *%s | _", f.at(), f.contradictory)
		f.pos, f.File, f.Line, f.Col = f.contradicts, f.contradictsFile, p.Line, p.Column
		f.Message, f.Found = "the environments have other values", f.contradictory
	}
	f.shared(other)
}

// notDefined ends what is said of a name that a package does not declare.
const notDefined = " is not defined"

// wrong says whether one of the findings is an error.
func (fs Findings) wrong() bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return !f.Warning })
}

// split separates errors from warnings, and leaves out what may follow from others.
func (fs Findings) split() (errs, warnings Findings) {
	for i, f := range fs {
		caused := func(other Finding) bool { return f.causes(other) }
		if len(f.makes) == 0 || !slices.ContainsFunc(fs, caused) {
			continue
		}
		fs[i].Warning = fs[i].Warning && !slices.ContainsFunc(fs, func(other Finding) bool { return !other.Warning && f.causes(other) })
		rest := slices.Clone(fs[i:])
		return append(slices.DeleteFunc(slices.Clone(fs[:i]), caused), slices.DeleteFunc(rest, caused)...).split()
	}
	for _, f := range fs {
		if f.Warning {
			warnings = append(warnings, f)
		} else {
			errs = append(errs, f)
		}
	}
	warnings = slices.DeleteFunc(warnings, func(w Finding) bool {
		return w.literal && slices.ContainsFunc(errs, func(f Finding) bool { return f.literal && f.pos == w.pos && f.Rule != w.Rule })
	})
	warnings = slices.DeleteFunc(warnings, func(w Finding) bool { // what the server does not take answers nobody
		return w.Rule == lint.RuleWay && w.Object != "" && slices.ContainsFunc(errs, func(f Finding) bool { return f.Object == w.Object && f.Environment == w.Environment })
	})
	warnings = slices.DeleteFunc(slices.Clone(warnings), func(w Finding) bool { // nothing answers because of what the other says
		return w.Rule == lint.RuleWay && slices.ContainsFunc(warnings, func(f Finding) bool {
			return f.Rule != w.Rule && (f.Rule == "network" && f.Environment == w.Environment && strings.HasPrefix(f.Path, "networkPolicy.controller") && strings.Contains(w.Path, " NetworkPolicy/") || w.literal && f.literal && f.pos == w.pos ||
				f.Rule == "registry" && f.Environment == w.Environment && strings.HasPrefix(f.Path, w.Path+"."))
		})
	})
	errs = slices.DeleteFunc(slices.Clone(errs), func(e Finding) bool {
		return e.Message == emptyDir && slices.ContainsFunc(errs, func(f Finding) bool { return f.from != "" && f.from == e.File })
	})
	if slices.ContainsFunc(errs, func(f Finding) bool { return !f.quiet }) {
		errs = slices.DeleteFunc(errs, func(f Finding) bool { return f.quiet })
	}
	return errs.tidy(), warnings.tidy()
}
