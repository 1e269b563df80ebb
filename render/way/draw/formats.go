package draw

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/way"
)

// format is a language that graphs are written in for other tools.
type format interface {
	card(id string, card way.Card, indent string)
	wire(from, to string, broken bool)
	begin(band int, title string)
	end()
}

// write goes through a graph once, in the order of the way: what stands in front,
// then each band with its cards, what leads into it, and its wires. Cards get short
// names, as Mermaid and DOT want them.
func write(g *way.Graph, f format) {
	names := map[string]string{}
	name := func(band int, card string) string {
		key := fmt.Sprintf("%d %s", band, card)
		if names[key] == "" {
			names[key] = fmt.Sprintf("n%d", len(names))
		}
		return names[key]
	}
	for i, card := range g.Entry {
		f.card(name(-1, card.ID), card, "  ")
		if i > 0 {
			f.wire(name(-1, g.Entry[previous(g.Entry, i)].ID), name(-1, card.ID), false)
		}
	}
	for n, band := range g.Bands {
		f.begin(n, strings.TrimSuffix(band.Environment+", "+band.Registry, ", "))
		for _, column := range append(slices.Clone(band.Columns), band.Alone) {
			for _, card := range column {
				f.card(name(n, card.ID), card, "    ")
			}
		}
		f.end()
		for _, card := range entered(band) {
			f.wire(name(-1, g.Entry[len(g.Entry)-1].ID), name(n, card.ID), false)
		}
		for _, w := range band.Wires {
			f.wire(name(n, w.From), name(n, w.To), w.Broken)
		}
	}
}

// previous is the card that leads to card i of those in front: controllers stand
// beside each other.
func previous(cards []way.Card, i int) int {
	j := i - 1
	for j > 0 && cards[i].Kind == way.Controller && cards[j].Kind == way.Controller {
		j--
	}
	return j
}

// entered are the apps that requests from outside reach.
func entered(band way.Band) []way.Card {
	var all []way.Card
	for _, column := range band.Columns {
		for _, card := range column {
			if len(card.URLs) > 0 {
				all = append(all, card)
			}
		}
	}
	return all
}

// says are the lines of a card below its name.
func says(in Speech, card way.Card) []string {
	lines := slices.Concat(card.Lines, card.URLs)
	if card.Live != nil {
		lines = append(lines, signOf(card.Live.State).mark+" "+liveText(in, card.Live, nil))
	}
	for _, text := range card.Breaks {
		lines = append(lines, "✗ "+text)
	}
	return lines
}

func isBroken(card way.Card) bool {
	return len(card.Breaks) > 0 || card.Live != nil && card.Live.State == way.Failed
}

// GraphMermaid is a graph as a flowchart of Mermaid.
func GraphMermaid(g *way.Graph) string {
	m := &mermaid{in: g}
	m.WriteString("flowchart LR\n")
	write(g, m)
	if len(m.broken) > 0 {
		fmt.Fprintf(m, "  class %s broken\n  classDef broken stroke:#c62828,stroke-width:2px,color:#c62828\n", strings.Join(m.broken, ","))
	}
	return m.String()
}

type mermaid struct {
	strings.Builder
	broken []string
	in     Speech
}

func (m *mermaid) card(id string, card way.Card, indent string) {
	parts := []string{"<b>" + mermaidText(card.Name) + "</b>"}
	for _, text := range says(m.in, card) {
		parts = append(parts, mermaidText(text))
	}
	if isBroken(card) {
		m.broken = append(m.broken, id)
	}
	fmt.Fprintf(m, "%s%s[\"%s\"]\n", indent, id, strings.Join(parts, "<br/>"))
}

func (m *mermaid) wire(from, to string, broken bool) {
	arrow := "-->"
	if broken {
		arrow = "-.->"
	}
	fmt.Fprintf(m, "  %s %s %s\n", from, arrow, to)
}

func (m *mermaid) begin(band int, title string) {
	fmt.Fprintf(m, "  subgraph e%d[\"%s\"]\n", band, mermaidText(title))
}

func (m *mermaid) end() { m.WriteString("  end\n") }

// GraphDOT is a graph for Graphviz.
func GraphDOT(g *way.Graph) string {
	d := &dot{in: g}
	d.WriteString("digraph evenkeel {\n  rankdir=LR; node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=11];\n")
	write(g, d)
	d.WriteString("}\n")
	return d.String()
}

type dot struct {
	strings.Builder
	in Speech
}

func (d *dot) card(id string, card way.Card, indent string) {
	colour := ""
	if isBroken(card) {
		colour = ", color=\"#c62828\", fontcolor=\"#c62828\""
	}
	label := strings.Join(append([]string{card.Name}, says(d.in, card)...), "\n")
	fmt.Fprintf(d, "%s%s [label=\"%s\"%s];\n", indent, id, dotText(label), colour)
}

func (d *dot) wire(from, to string, broken bool) {
	style := ""
	if broken {
		style = " [style=dashed, color=\"#c62828\"]"
	}
	fmt.Fprintf(d, "  %s -> %s%s;\n", from, to, style)
}

func (d *dot) begin(band int, title string) {
	fmt.Fprintf(d, "  subgraph cluster_%d {\n    label=\"%s\";\n", band, dotText(title))
}

func (d *dot) end() { d.WriteString("  }\n") }

func dotText(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Clean(line)))
	}
	return strings.Join(lines, `\n`)
}
