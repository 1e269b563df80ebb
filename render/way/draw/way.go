package draw

import (
	"fmt"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/way"
)

// WayMermaid is a way as a flowchart of Mermaid.
func WayMermaid(w *way.Way) string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	fmt.Fprintf(&b, "  url([\"%s\"])\n", mermaidText(w.URL))
	before := map[int]string{-1: "url"}
	for i, h := range w.Hops {
		id := fmt.Sprintf("h%d", i)
		fmt.Fprintf(&b, "  %s[\"<b>%s</b><br/>%s<br/>%s", id, mermaidText(w.Say(string(h.Kind))), mermaidText(h.Name), mermaidText(h.Says))
		if h.Break != nil {
			fmt.Fprintf(&b, "<br/>✗ %s", mermaidText(h.Break.Reason))
		}
		if h.Live != nil {
			fmt.Fprintf(&b, "<br/>%s %s", signOf(h.Live.State).mark, mermaidText(liveText(w, h.Live, h.Break)))
		}
		b.WriteString("\"]\n")
		from := caller(w.Hops, i)
		arrow := "-->"
		if h.Break != nil {
			arrow = "-.->"
			fmt.Fprintf(&b, "  class %s broken\n", id)
		}
		fmt.Fprintf(&b, "  %s %s %s\n", before[from], arrow, id)
		before[i] = id
	}
	b.WriteString("  classDef broken stroke:#c62828,stroke-width:2px,color:#c62828\n")
	return b.String()
}

// caller is the hop that leads to hop i: the one before it, or of what an app calls
// the one before the calls.
func caller(hops []way.Hop, i int) int {
	h := hops[i]
	for j := i - 1; j >= 0; j-- {
		other := hops[j]
		switch {
		case other.Calls < h.Calls:
			return j
		case other.Calls == h.Calls && h.Calls == 0:
			return j
		case other.Calls == h.Calls && (other.Kind == way.Registry && h.Kind == way.Provider ||
			h.Kind == way.Policy || h.Kind == way.Pods || other.Kind == way.Service && h.Kind == way.External):
			return j
		}
	}
	return -1
}

func mermaidText(text string) string {
	return strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "`", "#96;", "\n", " ").Replace(strings.ReplaceAll(Clean(text), "#", "#35;"))
}

// Measures of a way's picture.
const (
	wayWidth  = 860.0
	wayLeft   = 60.0
	wayIndent = 34.0
)

// WaySVG is a way as a picture: its hops from top to bottom.
func WaySVG(w *way.Way) string {
	var c canvas
	y := 38.0
	for _, line := range wrap(w.URL, 19, wayWidth-60) {
		c.text(28, y, "h1", line)
		y += 24
	}
	class := "ok"
	if w.Broken {
		class = "bad"
	}
	c.text(28, y, class, headline(w, false))
	y += 26
	if w.Probe != nil {
		for _, line := range wrap(probeText(w, w.Probe), 13, wayWidth-60) {
			c.text(28, y, "line", line)
			y += 18
		}
		y += 8
	}
	var rails, marks canvas
	type point struct{ x, y float64 }
	at := make([]point, len(w.Hops))
	for i, h := range w.Hops {
		x := wayLeft + float64(h.Calls)*wayIndent
		at[i] = point{x - 22, y + 16}
		if from := caller(w.Hops, i); from >= 0 {
			rails.add(`<path class="rail" d="M%s %sV%sH%s"/>`, num(at[from].x), num(at[from].y), num(at[i].y), num(at[i].x))
		}
		sign := signOfHop(h)
		marks.add(`<circle cx="%s" cy="%s" r="9" style="fill:var(--%s)"/>`, num(at[i].x), num(at[i].y), sign.class)
		marks.text(at[i].x, at[i].y+4, "mark", sign.mark)
		y = hopCard(&c, w, h, x, y)
	}
	rails.WriteString(marks.String())
	return document(wayWidth, y+8, w.Say("The way of %s", w.URL), strings.TrimSpace(WayText(w, false)), rails.String()+c.String())
}

// hopCard draws a hop and returns where the next one begins.
func hopCard(c *canvas, in Speech, h way.Hop, x, y float64) float64 {
	room := wayWidth - x - 44
	type line struct{ class, text string }
	var lines []line
	share := ""
	if h.Share != "" {
		share = " · " + h.Share
	}
	for _, text := range wrap(h.Name+" "+h.Says, 13, room) {
		lines = append(lines, line{"", text})
	}
	if h.Break != nil {
		for _, text := range wrap("✗ "+h.Break.Reason, 12, room) {
			lines = append(lines, line{"badline", text})
		}
		for _, text := range wrap("→ "+h.Break.Fix, 12, room) {
			lines = append(lines, line{"dim", text})
		}
	}
	if h.Live != nil {
		for _, text := range wrap(in.Say("live:")+" "+liveText(in, h.Live, h.Break), 12, room) {
			lines = append(lines, line{signOf(h.Live.State).class + " live", text})
		}
	}
	for _, note := range h.Notes {
		for _, text := range wrap(in.Say("note:")+" "+note, 12, room) {
			lines = append(lines, line{"dim", text})
		}
	}
	if by := By(in, h.By); by != "" {
		for _, text := range wrap(by, 11.5, room) {
			lines = append(lines, line{"mono", text})
		}
	}
	height := 26 + float64(len(lines))*17
	class := "card"
	if h.Break != nil {
		class = "card broken"
	}
	c.add(`<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="7"/>`, class, num(x), num(y), num(wayWidth-x-24), num(height))
	c.text(x+12, y+19, "kind", strings.ToUpper(in.Say(string(h.Kind)))+share)
	for i, l := range lines {
		c.text(x+12, y+37+float64(i)*17, strings.TrimSpace("line "+l.class), l.text)
	}
	return y + height + 10
}
