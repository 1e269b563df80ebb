package report

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

const (
	// commentLimit keeps a comment below what GitHub takes: 65,536 characters. It
	// counts bytes, of which there are never fewer.
	commentLimit = 65_000
	// cutNote is what the word about a cut may take of it.
	cutNote = 1_500

	rowsInTable  = 50 // units, per environment
	namesInCut   = 5  // units that a cut names
	namesInGroup = 30
	alerts       = 10  // refusals and warnings, per environment
	fieldsInList = 10  // per object, where its body is not shown
	linesOfBody  = 400 // per object
	lineLength   = 300 // in characters
)

// Markdown writes plans as one comment on a pull request: a summary that is never
// cut, a table by unit, what many objects share, and folded details of each unit,
// as many as fit. Names come before fields and fields before bodies; what does not
// fit is named.
//
// Whatever comes from a cluster or a manifest stands in code: it can neither
// format the comment nor mention anybody.
func Markdown(w io.Writer, plans []*apply.Plan, opts Options) error {
	c := &comment{opts: opts}
	c.headline(plans)
	for _, p := range plans {
		c.plan(p)
	}
	_, err := io.WriteString(w, c.String())
	return err
}

// comment is a Markdown document of pieces.
type comment struct {
	opts   Options
	pieces []piece
}

// piece is a part of a comment in its short and its long form. Lower ranks get
// their room first; rank 0 is always there.
type piece struct {
	rank  int
	short string
	long  func() string // nil where the short form says all
	name  string        // by which a cut names it
}

func (c *comment) must(text string) { c.pieces = append(c.pieces, piece{short: text}) }

// headline says in a line what the rest is about, and which environments have
// nothing to show.
func (c *comment) headline(plans []*apply.Plan) {
	var changed, level []string
	for _, p := range plans {
		if shows(p) {
			changed = append(changed, p.Environment)
		} else {
			level = append(level, code(p.Environment))
		}
	}
	text := "<!-- evenkeel diff -->\n"
	switch {
	case len(changed) == 0:
		text += "### evenkeel: no changes\n"
	case len(plans) == 1:
		text += fmt.Sprintf("### evenkeel: changes in %s\n", code(changed[0]))
	default:
		text += fmt.Sprintf("### evenkeel: changes in %d of %s\n", len(changed), plural(len(plans), "environment"))
	}
	if c.opts.Against != "" {
		text += "\nThe rendered manifests, compared with " + code(c.opts.Against) + "; no cluster was asked.\n"
	}
	if len(level) > 0 {
		text += "\nNo changes in " + strings.Join(level, ", ") + ".\n"
	}
	c.must(text)
}

// shows reports whether there is anything to show of a plan.
func shows(p *apply.Plan) bool {
	return p.Summary[apply.Unchanged] != total(p) || len(p.Warnings) > 0 || len(p.Incomplete) > 0 || len(p.Reach) > 0
}

func total(p *apply.Plan) int {
	n := 0
	for _, count := range p.Summary {
		n += count
	}
	return n
}

func (c *comment) plan(p *apply.Plan) {
	if !shows(p) {
		return
	}
	c.must(fmt.Sprintf("\n**%s**: %s\n", code(p.Environment), Summary(p)))
	v := viewOf(p)
	c.alerts(p)
	c.reach(p)
	c.pieces = append(c.pieces, piece{rank: 2, short: table(v), name: "the table of " + p.Environment})
	for i := range v.groups {
		g := &v.groups[i]
		c.pieces = append(c.pieces, piece{rank: 3, short: c.group(g), name: fmt.Sprintf("a change in %d objects", len(g.objects))})
	}
	for i := range v.units {
		u := &v.units[i]
		if own := u.own(); len(own) > 0 {
			c.pieces = append(c.pieces, piece{
				rank: 4, short: c.unit(u, own, false), long: func() string { return c.unit(u, own, true) }, name: u.name,
			})
		}
	}
}

// alerts are what somebody must decide or know before the merge.
func (c *comment) alerts(p *apply.Plan) {
	var lines []string
	for _, change := range p.Refused() {
		text := "**refused** " + code(change.String()) + ": " + code(change.Refused)
		if change.Hint != "" {
			text += "; hint: " + code(change.Hint)
		}
		lines = append(lines, text)
	}
	for _, warning := range p.Warnings {
		lines = append(lines, "**warning** "+code(warning))
	}
	if len(p.Incomplete) > 0 {
		lines = append(lines, "**warning** no answer for "+code(strings.Join(p.Incomplete, ", "))+": nothing is deleted until there is one")
	}
	if len(lines) == 0 {
		return
	}
	if more := len(lines) - alerts; more > 0 {
		lines = append(lines[:alerts], fmt.Sprintf("and %d more", more))
	}
	var text strings.Builder
	text.WriteString("\n")
	for _, line := range lines {
		text.WriteString("- " + line + "\n")
	}
	c.pieces = append(c.pieces, piece{rank: 1, short: text.String(), name: "refusals and warnings of " + p.Environment})
}

// reach says how the answers to URLs differ.
func (c *comment) reach(p *apply.Plan) {
	if len(p.Reach) == 0 {
		return
	}
	changes := reachOf(p)
	more := len(changes) - alerts
	if more > 0 {
		changes = changes[:alerts]
	}
	var text strings.Builder
	text.WriteString("\nURLs and calls:\n\n")
	for _, r := range changes {
		word := reachWord(r)
		if alarming(r) {
			word = "**" + word + "**"
		}
		fmt.Fprintf(&text, "- %s %s: %s\n", word, code(r.Subject), code(r.Says))
	}
	if more > 0 {
		fmt.Fprintf(&text, "- and %d more\n", more)
	}
	c.pieces = append(c.pieces, piece{rank: 1, short: text.String(), name: "the URLs of " + p.Environment})
}

// table counts by unit. Units of which groups say everything share one row.
func table(v *view) string {
	var columns []apply.Action
	for _, a := range actions() {
		if a != apply.Unchanged && v.plan.Summary[a] > 0 {
			columns = append(columns, a)
		}
	}
	if len(columns) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| unit |")
	for _, a := range columns {
		fmt.Fprintf(&b, " %s |", a)
	}
	b.WriteString(" |\n|---|" + strings.Repeat("--:|", len(columns)) + "---|\n")
	row := func(name string, u *unit) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, a := range columns {
			fmt.Fprintf(&b, " %s |", strings.TrimPrefix(fmt.Sprint(u.counts[a]), "0"))
		}
		fmt.Fprintf(&b, " %s |\n", u.remarks())
	}
	rows, rest, merged := 0, unit{counts: map[apply.Action]int{}}, 0
	for i := range v.units {
		u := &v.units[i]
		if rows < rowsInTable && len(u.own()) > 0 {
			rows++
			row(cell(code(u.name)), u)
			continue
		}
		merged++
		rest.plus(u)
	}
	if merged > 0 {
		row(plural(merged, "more unit"), &rest)
	}
	return b.String()
}

// plus adds the counts of another unit.
func (u *unit) plus(o *unit) {
	for a, n := range o.counts {
		u.counts[a] += n
	}
	u.restarts += o.restarts
	u.refused += o.refused
}

func (u *unit) remarks() string {
	var parts []string
	if u.refused > 0 {
		parts = append(parts, fmt.Sprintf("**%d refused**", u.refused))
	}
	if u.restarts > 0 {
		parts = append(parts, plural(u.restarts, "workload")+" restarted")
	}
	return strings.Join(parts, ", ")
}

// group is one change with the objects that share it.
func (c *comment) group(g *group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n<details><summary>%s: %s</summary>\n\n", g.action, html.EscapeString(g.headline()))
	if g.message != "" {
		b.WriteString(code(g.message) + "\n\n")
	}
	b.WriteString(fenced(fieldDiff(g.objects[0], g.fields)))
	b.WriteString("\nIn " + some(g.refs(), namesInGroup) + "\n\n</details>\n")
	return b.String()
}

func (c *comment) unit(u *unit, own []change, withBodies bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n<details><summary><code>%s</code>: %s</summary>\n", html.EscapeString(Clean(u.name)), counts(u.counts))
	for i := range own {
		c.change(&b, &own[i], withBodies)
	}
	if hidden := len(u.changes) - len(own); hidden > 0 {
		fmt.Fprintf(&b, "\nand %s with the rest\n", plural(hidden, "object"))
	}
	b.WriteString("\n</details>\n")
	return b.String()
}

func (c *comment) change(b *strings.Builder, ch *change, withBody bool) {
	fmt.Fprintf(b, "\n**%s** %s%s\n", ch.Action, code(ch.String()), c.notes(ch.Change))
	hunks := bodies(ch.Change, c.opts.context())
	switch {
	case !withBody:
		for i, f := range ch.fields {
			if i == fieldsInList {
				fmt.Fprintf(b, "- and %s\n", plural(len(ch.fields)-i, "more field"))
				break
			}
			b.WriteString("- " + code(sentence(ch.Change, f, painter(false))) + "\n")
		}
	case len(hunks) > 0:
		b.WriteString(fenced(hunkLines(hunks)))
		for _, f := range ch.fields {
			if by := attribution(ch.Change, f); by != "" {
				b.WriteString("- " + code(f.Path) + " " + code(by) + "\n")
			}
		}
	case len(ch.fields) > 0:
		b.WriteString(fenced(fieldDiff(ch.Change, ch.fields)))
	}
}

func (c *comment) notes(ch *apply.Change) string {
	var text string
	if ch.Message != "" {
		text += ": " + code(ch.Message)
	}
	if c.opts.Against == "" && unverified(ch) && !strings.Contains(ch.Message, "not verified") {
		text += ", not verified by the server"
	}
	if ch.Restarts {
		text += ", restarts its pods"
	}
	return text
}

// fieldDiff shows fields as lines of a diff.
func fieldDiff(c *apply.Change, fields []managed.Field) []string {
	var lines []string
	for _, f := range fields {
		head := "  " + f.Path
		if by := attribution(c, f); by != "" {
			head += " (" + by + ")"
		}
		lines = append(lines, head)
		if asBlock(f) {
			lines = append(lines, hunkLines(fieldLines(c, f, 1))...)
			continue
		}
		switch {
		case isAddition(c):
			lines = append(lines, "  "+inline(f.From))
		default:
			if f.From != nil {
				lines = append(lines, "- "+inline(f.From))
			}
			if !isRemoval(c, f) {
				lines = append(lines, "+ "+inline(f.To))
			}
		}
	}
	return lines
}

func hunkLines(hunks []hunk) []string {
	var lines []string
	for i, h := range hunks {
		if i > 0 || h.From > 1 {
			lines = append(lines, fmt.Sprintf("@@ -%d +%d @@", h.From, h.To))
		}
		for _, l := range h.Lines {
			lines = append(lines, string(l.Sign)+" "+l.Text)
		}
	}
	return lines
}

// fenced puts lines into a code block that they cannot end.
func fenced(lines []string) string {
	if more := len(lines) - linesOfBody; more > 0 {
		lines = append(lines[:linesOfBody:linesOfBody], fmt.Sprintf("  ... %d more lines", more))
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(clip(Clean(l)) + "\n")
	}
	text := b.String()
	fence := strings.Repeat("`", max(3, longestRun(text, '`')+1))
	return fence + "diff\n" + text + fence + "\n"
}

// code is text as inline code (CommonMark 6.1): on one line, between more
// backticks than it holds.
func code(s string) string {
	s = clip(strings.Join(strings.Fields(Clean(s)), " "))
	if s == "" {
		return ""
	}
	marks := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return marks + s + marks
}

// cell keeps text within its cell of a table, where a pipe would end it even in
// code (GFM 4.10).
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// clip shortens what is longer than a line may be.
func clip(s string) string {
	runes := []rune(s)
	if len(runes) <= lineLength {
		return s
	}
	return fmt.Sprintf("%s... (%d more characters)", string(runes[:lineLength]), len(runes)-lineLength)
}

func longestRun(s string, of rune) int {
	longest, run := 0, 0
	for _, r := range s {
		if r != of {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// String fits the pieces into the limit: first the short forms, by rank, then
// what is left of the room goes to the long ones.
func (c *comment) String() string {
	room := commentLimit - cutNote
	texts := make([]string, len(c.pieces))
	for rank := range 5 {
		for i, p := range c.pieces {
			if p.rank == rank && (rank == 0 || len(p.short) <= room) {
				texts[i] = p.short
				room -= len(p.short)
			}
		}
	}
	var shortened, dropped []string
	misses := 0
	for i, p := range c.pieces {
		switch {
		case texts[i] == "" && p.short != "":
			dropped = append(dropped, p.name)
		case p.long == nil:
		case misses > 10:
			shortened = append(shortened, p.name) // making it costs more than it may bring
		default:
			if long := p.long(); len(long)-len(p.short) <= room {
				texts[i] = long
				room -= len(long) - len(p.short)
				misses = 0
			} else {
				shortened = append(shortened, p.name)
				misses++
			}
		}
	}
	if len(shortened)+len(dropped) > 0 {
		texts[0] += cut(shortened, dropped)
	}
	return strings.Join(texts, "")
}

// cut says what a comment leaves out and where the rest is.
func cut(shortened, dropped []string) string {
	var parts []string
	if len(shortened) > 0 {
		parts = append(parts, fmt.Sprintf("the bodies of %s (%s)", plural(len(shortened), "unit"), some(shortened, namesInCut)))
	}
	if len(dropped) > 0 {
		parts = append(parts, fmt.Sprintf("all of %s (%s)", plural(len(dropped), "unit"), some(dropped, namesInCut)))
	}
	return fmt.Sprintf("\n> **This comment was cut** at %d characters. Left out: %s. `evenkeel diff -o html` shows everything.\n",
		commentLimit, strings.Join(parts, "; "))
}

// some are the first n names and how many more there are.
func some(names []string, n int) string {
	var parts []string
	for _, name := range names[:min(len(names), n)] {
		parts = append(parts, code(cmp.Or(name, "without unit")))
	}
	if more := len(names) - n; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}
