package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// namesInText is how many objects of a group the text names.
const namesInText = 3

// Text writes a plan for a terminal: a summary line, what many objects share,
// then each unit with its changes and the fields that differ, or with
// Options.Unified their bodies.
func Text(w io.Writer, p *apply.Plan, opts Options) error {
	out := &printer{w: w, paint: painter(opts.Color), opts: opts}
	out.line("%s: %s", out.paint(bold, p.Environment), Summary(p))
	for _, warning := range p.Warnings {
		out.line("  %s %s", out.paint(yellow, "warning:"), Clean(warning))
	}
	if len(p.Incomplete) > 0 {
		out.line("  %s no answer for %s: nothing is deleted until there is one",
			out.paint(yellow, "warning:"), strings.Join(p.Incomplete, ", "))
	}
	for _, r := range reachOf(p) {
		color := yellow
		if alarming(r) {
			color = red
		}
		out.line("  %s %s: %s", out.paint(color, reachWord(r)), Clean(r.Subject), Clean(r.Says))
	}
	v := viewOf(p)
	for i := range v.groups {
		out.group(&v.groups[i])
	}
	for i := range v.units {
		out.unit(&v.units[i])
	}
	return out.err
}

// printer keeps the first write error, so that callers check once.
type printer struct {
	w     io.Writer
	paint func(color, string) string
	opts  Options
	err   error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) group(g *group) {
	p.line("")
	p.line("%s", p.paint(bold, g.headline()))
	note := ""
	if g.message != "" {
		note = " (" + Clean(g.message) + ")"
	}
	names := g.refs()
	if more := len(names) - namesInText; more > 0 {
		names = append(names[:namesInText], fmt.Sprintf("and %d more", more))
	}
	p.line("  %s %s%s", p.paint(colorOf(g.action), string(g.action)), Clean(strings.Join(names, ", ")), note)
	for _, f := range g.fields {
		p.field(g.objects[0], f)
	}
}

func (p *printer) unit(u *unit) {
	own := u.own()
	if len(own) == 0 {
		return
	}
	p.line("")
	p.line("%s", p.paint(bold, Clean(u.name)))
	for i := range own {
		p.change(&own[i])
	}
	if hidden := len(u.changes) - len(own); hidden > 0 {
		p.line("  and %s above", plural(hidden, "object"))
	}
}

func (p *printer) change(c *change) {
	p.line("  %s %s%s", p.paint(colorOf(c.Action), string(c.Action)), c.Ref, p.notes(c.Change))
	if hunks := bodies(c.Change, p.opts.context()); p.opts.Unified && len(hunks) > 0 {
		p.hunks(hunks, "    ", true)
		p.attributions(c)
	} else {
		for _, f := range c.fields {
			p.field(c.Change, f)
		}
		if c.shared > 0 {
			p.line("      and %s above", plural(c.shared, "field"))
		}
	}
	if c.Refused != "" {
		p.line("      %s %s", p.paint(red, "refused:"), Clean(c.Refused))
	}
	if c.Hint != "" {
		p.line("      hint: %s", Clean(c.Hint))
	}
}

// notes is what else there is to say about a change, in brackets.
func (p *printer) notes(c *apply.Change) string {
	var parts []string
	if c.Message != "" && c.Message != c.Refused {
		parts = append(parts, Clean(c.Message))
	}
	if p.opts.Against == "" && unverified(c) && !strings.Contains(c.Message, "not verified") {
		parts = append(parts, "not verified by the server")
	}
	if c.Restarts {
		parts = append(parts, "restarts its pods")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

func (p *printer) field(c *apply.Change, f managed.Field) {
	by := attribution(c, f)
	if by != "" {
		by = " (" + by + ")"
	}
	if !asBlock(f) {
		p.line("      %s%s", sentence(c, f, p.paint), by)
		return
	}
	word := "changed"
	switch {
	case isAddition(c):
		word = "added"
	case isRemoval(c, f):
		word = "removed"
	case f.From == nil:
		word = "set"
	}
	p.line("      %s: %s%s", Clean(f.Path), word, by)
	p.hunks(fieldLines(c, f, 1), "        ", false)
}

// attributions says below a unified diff whose values it replaces.
func (p *printer) attributions(c *change) {
	for _, f := range c.Fields {
		if by := attribution(c.Change, f); by != "" {
			p.line("      %s %s", Clean(f.Path), by)
		}
	}
}

func (p *printer) hunks(hunks []hunk, indent string, numbered bool) {
	for i, h := range hunks {
		if numbered {
			p.line("%s%s", indent, p.paint(cyan, fmt.Sprintf("@@ -%d +%d @@", h.From, h.To)))
		} else if i > 0 {
			p.line("%s%s", indent, p.paint(cyan, "..."))
		}
		for _, l := range h.Lines {
			text := string(l.Sign) + " " + Clean(l.Text)
			switch l.Sign {
			case '-':
				text = p.paint(red, text)
			case '+':
				text = p.paint(green, text)
			}
			p.line("%s%s", indent, text)
		}
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
