package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

//go:embed page
var pageFiles embed.FS

// openUpTo is the number of changes up to which a page shows them unfolded.
const openUpTo = 12

// HTML writes plans as one self-contained page: navigation, search, folding, side
// by side, keyboard. It loads nothing and runs no script but its own, by a content
// security policy that names its hash.
func HTML(w io.Writer, plans []*apply.Plan, opts Options) error {
	tmpl, err := template.New("page.html").Funcs(template.FuncMap{"plural": plural}).ParseFS(pageFiles, "page/page.html")
	if err != nil {
		return err
	}
	p := page{Against: opts.Against}
	if p.Style, p.Script, p.Policy, err = assets(); err != nil {
		return err
	}
	changes := 0
	for _, plan := range plans {
		changes += len(plan.Changes)
	}
	for _, plan := range plans {
		p.Envs = append(p.Envs, newPageEnv(plan, opts, changes <= openUpTo))
	}
	return tmpl.Execute(w, p)
}

// assets are the style and the script of a page, with the policy that allows
// these two alone.
func assets() (template.CSS, template.JS, string, error) {
	style, err := pageFiles.ReadFile("page/page.css")
	if err != nil {
		return "", "", "", err
	}
	script, err := pageFiles.ReadFile("page/page.js")
	if err != nil {
		return "", "", "", err
	}
	policy := fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", digest(style), digest(script))
	return template.CSS(style), template.JS(script), policy, nil
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// page and the types below it are what the template reads.
type page struct {
	Style   template.CSS
	Script  template.JS
	Policy  string
	Against string
	Envs    []pageEnv
}

type pageEnv struct {
	Name, Cluster, Summary string
	Warnings               []string
	Reach                  []pageReach
	Chips                  []pageChip
	Groups                 []pageGroup
	Units                  []pageUnit
}

// pageReach is how the answer to a URL differs.
type pageReach struct {
	Word, Subject, Says string
	Alarming            bool
}

type pageChip struct {
	Action apply.Action
	Count  int
	Title  string
}

type pageGroup struct {
	ID, Headline, Message string
	Action                apply.Action
	Fields                []pageField
	Objects               []string
}

type pageUnit struct {
	ID, Name, Summary string
	Changes           []pageChange
	Hidden            int // changes of which groups say all
	Refused           bool
}

type pageChange struct {
	ID, Kind, Namespace, Name, Message, Refused, Hint string
	Action                                            apply.Action
	Meaning                                           string
	Unverified, Restarts, Open                        bool
	Fields                                            []pageField
	Shared                                            int
	// Whole is the body of what is only on one side, Hunks the difference of what
	// is on both.
	Whole, Sign string
	Hunks       []pageHunk
}

type pageField struct {
	Path, From, To, Note, By string
	Hunks                    []pageHunk
}

type pageHunk struct {
	Head  string
	Lines []pageLine
}

// pageLine is a line with its numbers on either side, and the part of it in which
// it differs from its counterpart.
type pageLine struct {
	Class, Old, New     string
	Left, Marked, Right string
}

func newPageEnv(p *apply.Plan, opts Options, open bool) pageEnv {
	v := viewOf(p)
	e := pageEnv{Name: p.Environment, Cluster: p.Cluster.Context, Summary: Summary(p)}
	for _, warning := range p.Warnings {
		e.Warnings = append(e.Warnings, Clean(warning))
	}
	if len(p.Incomplete) > 0 {
		e.Warnings = append(e.Warnings, "no answer for "+strings.Join(p.Incomplete, ", ")+": nothing is deleted until there is one")
	}
	for _, r := range reachOf(p) {
		e.Reach = append(e.Reach, pageReach{reachWord(r), Clean(r.Subject), Clean(r.Says), alarming(r)})
	}
	for _, a := range actions() {
		if p.Summary[a] > 0 {
			e.Chips = append(e.Chips, pageChip{Action: a, Count: p.Summary[a], Title: meaning(a)})
		}
	}
	for i := range v.groups {
		g := &v.groups[i]
		group := pageGroup{ID: fmt.Sprintf("%s/same/%d", p.Environment, i+1), Headline: g.headline(), Message: Clean(g.message), Action: g.action, Objects: g.refs()}
		for _, f := range g.fields {
			group.Fields = append(group.Fields, newPageField(g.objects[0], f))
		}
		e.Groups = append(e.Groups, group)
	}
	for i := range v.units {
		u := &v.units[i]
		own := u.own()
		if len(own) == 0 {
			continue
		}
		unit := pageUnit{
			ID: p.Environment + "/" + u.name, Name: Clean(u.name), Summary: counts(u.counts),
			Hidden: len(u.changes) - len(own), Refused: u.refused > 0,
		}
		for j := range own {
			unit.Changes = append(unit.Changes, newPageChange(p.Environment, &own[j], opts, open))
		}
		e.Units = append(e.Units, unit)
	}
	return e
}

func newPageChange(env string, c *change, opts Options, open bool) pageChange {
	pc := pageChange{
		ID:     fmt.Sprintf("%s/%s/%s", env, c.Ref, c.Action),
		Action: c.Action, Meaning: meaning(c.Action), Kind: Clean(c.Kind), Namespace: Clean(c.Namespace), Name: Clean(c.Name),
		Message: Clean(c.Message), Refused: Clean(c.Refused), Hint: Clean(c.Hint),
		Unverified: opts.Against == "" && unverified(c.Change), Restarts: c.Restarts, Open: open, Shared: c.shared,
	}
	if pc.Message == pc.Refused {
		pc.Message = ""
	}
	for _, f := range c.fields {
		pc.Fields = append(pc.Fields, newPageField(c.Change, f))
	}
	before, after := body(c.Before), body(c.After)
	switch {
	case before == "" && after != "":
		pc.Whole, pc.Sign = Clean(after), "add"
	case before != "" && after == "":
		pc.Whole, pc.Sign = Clean(before), "del"
	default:
		pc.Hunks = newPageHunks(diffLines(before, after, opts.context()))
	}
	return pc
}

func newPageField(c *apply.Change, f managed.Field) pageField {
	pf := pageField{Path: Clean(f.Path), By: attribution(c, f)}
	switch {
	case asBlock(f):
		pf.Hunks = newPageHunks(fieldLines(c, f, 1))
	case isAddition(c):
		pf.To = Clean(inline(f.From))
	default:
		if f.From != nil {
			pf.From = Clean(inline(f.From))
		}
		if f.To != nil && !isRemoval(c, f) {
			pf.To = Clean(inline(f.To))
		}
	}
	switch {
	case isAddition(c):
		pf.Note = "added"
	case isRemoval(c, f):
		pf.Note = "removed"
	case f.From == nil:
		pf.Note = "set"
	}
	return pf
}

func newPageHunks(hunks []hunk) []pageHunk {
	out := make([]pageHunk, 0, len(hunks))
	for _, h := range hunks {
		p := pageHunk{Head: fmt.Sprintf("@@ -%d +%d @@", h.From, h.To), Lines: make([]pageLine, len(h.Lines))}
		from, to := h.From, h.To
		for i, l := range h.Lines {
			line := pageLine{Left: Clean(l.Text)}
			if l.Sign != '+' {
				line.Old = fmt.Sprint(from)
				from++
			}
			if l.Sign != '-' {
				line.New = fmt.Sprint(to)
				to++
			}
			line.Class = map[byte]string{' ': "ctx", '-': "del", '+': "add"}[l.Sign]
			p.Lines[i] = line
		}
		markPairs(p.Lines)
		out = append(out, p)
	}
	return out
}

// markPairs finds runs of removed lines followed by as many added ones, and marks
// where the lines of a pair differ.
func markPairs(lines []pageLine) {
	for i := 0; i < len(lines); {
		removed := run(lines[i:], "del")
		added := run(lines[i+removed:], "add")
		if removed > 0 && removed == added {
			for j := range removed {
				markPair(&lines[i+j], &lines[i+removed+j])
			}
		}
		i += max(removed+added, 1)
	}
}

func run(lines []pageLine, class string) int {
	n := 0
	for n < len(lines) && lines[n].Class == class {
		n++
	}
	return n
}

// markPair parts two lines at their common head and tail. Lines that share less
// than a third are left alone: there the marks would only distract.
func markPair(a, b *pageLine) {
	x, y := []rune(a.Left), []rune(b.Left)
	head, tail := 0, 0
	for head < min(len(x), len(y)) && x[head] == y[head] {
		head++
	}
	for tail < min(len(x), len(y))-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	if 3*(head+tail) < max(len(x), len(y)) {
		return
	}
	a.Left, a.Marked, a.Right = string(x[:head]), string(x[head:len(x)-tail]), string(x[len(x)-tail:])
	b.Left, b.Marked, b.Right = string(y[:head]), string(y[head:len(y)-tail]), string(y[len(y)-tail:])
}
