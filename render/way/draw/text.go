package draw

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/seed-428f4edd/evenkeel/render/way"
)

// Colours of a terminal.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

type painter bool

func (p painter) paint(color, text string) string {
	if !p || text == "" {
		return text
	}
	return color + text + reset
}

// Clean takes out what a terminal would obey, and what hides or reorders the text beside
// it: what is drawn comes from files of others.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// WayText is a way, a hop on each line, with what decides it below.
func WayText(w *way.Way, color bool) string {
	var b strings.Builder
	p := painter(color)
	fmt.Fprintf(&b, "%s\n%s\n", p.paint(bold, Clean(w.URL)), headline(w, p))
	if w.Probe != nil {
		fmt.Fprintln(&b, Clean(probeText(w, w.Probe)))
	}
	b.WriteByte('\n')
	for _, h := range w.Hops {
		writeHop(&b, w, h, p)
	}
	return b.String()
}

// Headline says how a way ends.
func Headline(w *way.Way) string { return headline(w, false) }

// headline says how it ends.
func headline(w *way.Way, p painter) string {
	breaks := w.Breaks()
	to := ""
	if w.App != nil {
		to = w.Say("%s of %s (%s), %s", w.App.Unit, w.App.Environment, w.App.Type, podCount(w, w.App))
		if w.Rewritten != "" {
			to += w.Say(", as %s", w.Rewritten)
		}
	}
	switch {
	case len(breaks) == 0 && to != "":
		return p.paint(green, w.Say("is answered by ")) + Clean(to)
	case len(breaks) == 0:
		return p.paint(green, w.Say("is answered by ")) + Clean(w.Hops[len(w.Hops)-1].Name)
	case len(breaks) == 1:
		return p.paint(red, w.Say("breaks at the hop %s", w.Say(string(breaks[0].Kind))))
	}
	return p.paint(red, w.Say("breaks at %d hops, first at %s", len(breaks), w.Say(string(breaks[0].Kind))))
}

func podCount(in Speech, a *way.AppRef) string {
	switch {
	case a.PodsMax > a.Pods:
		return in.Say("%d to %d pods", a.Pods, a.PodsMax)
	case a.Pods == 1:
		return in.Say("1 pod")
	}
	return in.Say("%d pods", a.Pods)
}

// HopText is one hop.
func HopText(w *way.Way, h way.Hop) string {
	var b strings.Builder
	writeHop(&b, w, h, false)
	return b.String()
}

// kindWidth is the width of the longest common kind.
const kindWidth = 14

func writeHop(b *strings.Builder, in Speech, h way.Hop, p painter) {
	indent := strings.Repeat("  ", h.Calls)
	sign := signOfHop(h)
	mark := p.paint(sign.color, sign.mark)
	share := ""
	if h.Share != "" {
		share = " (" + h.Share + ")"
	}
	fmt.Fprintf(b, "%s%s %s %s%s %s\n", indent, mark, p.paint(bold, pad(in.Say(string(h.Kind)), kindWidth)), Clean(h.Name), share, Clean(h.Says))
	below := indent + strings.Repeat(" ", kindWidth+3)
	if by := By(in, h.By); by != "" {
		fmt.Fprintf(b, "%s%s\n", below, p.paint(dim, Clean(by)))
	}
	if h.Break != nil {
		fmt.Fprintf(b, "%s%s %s\n", below, p.paint(red, in.Say("breaks:")), Clean(h.Break.Reason))
		if h.Break.Fix != "" {
			fmt.Fprintf(b, "%s%s %s\n", below, p.paint(bold, in.Say("change:")), Clean(h.Break.Fix))
		}
	}
	if h.Live != nil {
		fmt.Fprintf(b, "%s%s %s\n", below, p.paint(signOf(h.Live.State).color, in.Say("live:")), Clean(liveText(in, h.Live, h.Break)))
	}
	for _, note := range h.Notes {
		fmt.Fprintf(b, "%s%s %s\n", below, p.paint(yellow, in.Say("note:")), Clean(note))
	}
}

// By is a place in a line: file and line, then the object or unit and the field.
func By(in Speech, p way.Place) string {
	var parts []string
	if p.File != "" {
		at := p.File
		if p.Line > 0 {
			at += fmt.Sprintf(":%d", p.Line)
		}
		parts = append(parts, at)
	}
	switch {
	case p.Object != "":
		parts = append(parts, strings.TrimSpace(p.Object+" "+p.Field))
	case p.Unit != "":
		parts = append(parts, strings.TrimSpace(in.Say("unit %s", p.Unit)+" "+p.Field))
	case p.Environment != "":
		parts = append(parts, strings.TrimSpace(in.Say("environment %s", p.Environment)+" "+p.Field))
	}
	return strings.Join(parts, "  ")
}

// pad fills a text up to a width in columns of a terminal.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-runewidth.StringWidth(text)))
}

// TableText is the table of URLs, and below it what breaks.
func TableText(in Speech, rows []way.Row, color bool) string {
	p := painter(color)
	if len(rows) == 0 {
		return in.Say("no URL leads to this environment") + "\n"
	}
	lines := [][]string{{"URL", in.Say("APP"), in.Say("PODS"), in.Say("TLS ENDS AT"), in.Say("CALLS")}}
	for _, row := range rows {
		lines = append(lines, cells(in, row))
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	var b strings.Builder
	for n, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			text.WriteString(pad(cell, widths[i]))
			if i < len(line)-1 {
				text.WriteString("  ")
			}
		}
		mark := " "
		switch {
		case n > 0 && rows[n-1].Broken:
			mark = p.paint(red, "✗")
		case n > 0:
			mark = p.paint(green, "✓")
		}
		fmt.Fprintf(&b, "%s %s\n", mark, strings.TrimRight(text.String(), " "))
	}
	for _, row := range rows {
		for _, h := range row.Breaks() {
			fmt.Fprintf(&b, "\n%s %s\n", p.paint(red, "✗"), in.Say("%s breaks at %s %s: %s", Clean(row.URL), in.Say(string(h.Kind)), Clean(h.Name), Clean(h.Break.Reason)))
			if by := By(in, h.By); by != "" {
				fmt.Fprintf(&b, "  %s\n", p.paint(dim, Clean(by)))
			}
			if h.Break.Fix != "" {
				fmt.Fprintf(&b, "  %s %s\n", p.paint(bold, in.Say("change:")), Clean(h.Break.Fix))
			}
		}
	}
	return b.String()
}

func cells(in Speech, row way.Row) []string {
	line := []string{Clean(row.URL), "-", "-", "-", "-"}
	if row.App != nil {
		line[1] = Clean(row.App.Unit)
		if row.App.Environment != row.Environment {
			line[1] = Clean(row.App.Environment + "/" + row.App.Unit)
		}
		line[2] = strconv.Itoa(row.App.Pods)
		if row.App.PodsMax > row.App.Pods {
			line[2] = in.Say("%d to %d", row.App.Pods, row.App.PodsMax)
		}
	}
	if row.TLS != "" {
		line[3] = in.Say(row.TLS)
	}
	if calls := row.Providers(); len(calls) > 0 {
		line[4] = Clean(strings.Join(unique(calls), ", "))
	}
	return line
}

func unique(names []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			all = append(all, name)
		}
	}
	return all
}
