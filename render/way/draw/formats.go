package draw

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/way"
)

// ids are short names for cards, as Mermaid and DOT want them.
type ids map[string]string

func (i ids) of(band int, card string) string {
	key := fmt.Sprintf("%d %s", band, card)
	if i[key] == "" {
		i[key] = fmt.Sprintf("n%d", len(i))
	}
	return i[key]
}

// GraphMermaid is a graph as a flowchart of Mermaid.
func GraphMermaid(g *way.Graph) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	names := ids{}
	var broken []string
	node := func(band int, card way.Card, indent string) {
		id := names.of(band, card.ID)
		parts := []string{"<b>" + mermaidText(card.Name) + "</b>"}
		for _, text := range append(append([]string{}, card.Lines...), card.URLs...) {
			parts = append(parts, mermaidText(text))
		}
		for _, text := range card.Breaks {
			parts = append(parts, "✗ "+mermaidText(text))
		}
		if len(card.Breaks) > 0 {
			broken = append(broken, id)
		}
		fmt.Fprintf(&b, "%s%s[\"%s\"]\n", indent, id, strings.Join(parts, "<br/>"))
	}
	for i, card := range g.Entry {
		node(-1, card, "  ")
		if i > 0 {
			fmt.Fprintf(&b, "  %s --> %s\n", names.of(-1, g.Entry[previous(g.Entry, i)].ID), names.of(-1, card.ID))
		}
	}
	for n, band := range g.Bands {
		fmt.Fprintf(&b, "  subgraph e%d[\"%s\"]\n", n, mermaidText(strings.TrimSuffix(band.Environment+", "+band.Registry, ", ")))
		for _, column := range append(slices.Clone(band.Columns), band.Alone) {
			for _, card := range column {
				node(n, card, "    ")
			}
		}
		b.WriteString("  end\n")
		for _, card := range entered(band) {
			fmt.Fprintf(&b, "  %s --> %s\n", names.of(-1, g.Entry[len(g.Entry)-1].ID), names.of(n, card.ID))
		}
		for _, w := range band.Wires {
			arrow := "-->"
			if w.Broken {
				arrow = "-.->"
			}
			fmt.Fprintf(&b, "  %s %s %s\n", names.of(n, w.From), arrow, names.of(n, w.To))
		}
	}
	if len(broken) > 0 {
		fmt.Fprintf(&b, "  class %s broken\n  classDef broken stroke:#c62828,stroke-width:2px,color:#c62828\n", strings.Join(broken, ","))
	}
	return b.String()
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

// GraphDOT is a graph for Graphviz.
func GraphDOT(g *way.Graph) string {
	var b strings.Builder
	b.WriteString("digraph evenkeel {\n  rankdir=LR; node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=11];\n")
	names := ids{}
	node := func(band int, card way.Card, indent string) {
		parts := append([]string{card.Name}, card.Lines...)
		parts = append(parts, card.URLs...)
		colour := ""
		for _, text := range card.Breaks {
			parts = append(parts, "✗ "+text)
			colour = ", color=\"#c62828\", fontcolor=\"#c62828\""
		}
		fmt.Fprintf(&b, "%s%s [label=\"%s\"%s];\n", indent, names.of(band, card.ID), dotText(strings.Join(parts, "\n")), colour)
	}
	for i, card := range g.Entry {
		node(-1, card, "  ")
		if i > 0 {
			fmt.Fprintf(&b, "  %s -> %s;\n", names.of(-1, g.Entry[previous(g.Entry, i)].ID), names.of(-1, card.ID))
		}
	}
	for n, band := range g.Bands {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=\"%s\";\n", n, dotText(strings.TrimSuffix(band.Environment+", "+band.Registry, ", ")))
		for _, column := range append(slices.Clone(band.Columns), band.Alone) {
			for _, card := range column {
				node(n, card, "    ")
			}
		}
		b.WriteString("  }\n")
		for _, card := range entered(band) {
			fmt.Fprintf(&b, "  %s -> %s;\n", names.of(-1, g.Entry[len(g.Entry)-1].ID), names.of(n, card.ID))
		}
		for _, w := range band.Wires {
			style := ""
			if w.Broken {
				style = " [style=dashed, color=\"#c62828\"]"
			}
			fmt.Fprintf(&b, "  %s -> %s%s;\n", names.of(n, w.From), names.of(n, w.To), style)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func dotText(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean(line)))
	}
	return strings.Join(lines, `\n`)
}
