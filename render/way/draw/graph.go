package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/seed-428f4edd/evenkeel/render/way"
)

// Measures of a graph's picture.
const (
	margin     = 24.0
	cardWidth  = 244.0
	lineHeight = 16.0
	monoWidth  = 6.7 // of a letter of a URL
	cardGap    = 12.0
	trunkRoom  = 44.0 // left of the first column, for the wire from the controller
	laneGap    = 6.0
	bandGap    = 22.0
	manyCards  = 24 // from here on cards say less
	colours    = 8
)

// box is a card in its place.
type box struct {
	way.Card
	x, y, w, h float64
	column     int
	lines      []line
}

type line struct{ class, text string }

func (b *box) left() (x, y float64)  { return b.x, b.y + 20 }
func (b *box) right() (x, y float64) { return b.x + b.w, b.y + 20 }

// newBox measures a card.
func newBox(in Speech, card way.Card, w float64, brief bool) *box {
	b := &box{Card: card, w: w}
	room := w - 22
	add := func(class, text string) { b.lines = append(b.lines, line{class, text}) }
	says := strings.Join(card.Lines, " · ")
	if card.Type != "" {
		says = strings.Trim(card.Type+" · "+says, " ·")
	}
	switch {
	case card.Kind != way.App && card.Kind != way.External:
		for _, l := range card.Lines {
			for _, text := range wrap(l, 12, room) {
				add("dim", text)
			}
		}
	case says != "" && (!brief || len(card.URLs) > 0 || len(card.Breaks) > 0):
		add("dim", cutTo(says, 12, room))
	}
	if card.Live != nil {
		sign := signOf(card.Live.State)
		for i, text := range wrap(sign.mark+" "+liveText(in, card.Live, nil), 12, room) {
			if i == 3 {
				b.lines[len(b.lines)-1].text = cutTo(b.lines[len(b.lines)-1].text+" …", 12, room)
				break
			}
			add(sign.class+" live", text)
		}
	}
	shown := card.URLs
	if len(shown) > 4 {
		shown = shown[:3]
	}
	for _, url := range shown {
		add("mono", runewidth.Truncate(Clean(url), int(room/monoWidth), "…"))
	}
	if more := len(card.URLs) - len(shown); more > 0 {
		add("mono", in.Say("and %d more", more))
	}
	for i, reason := range card.Breaks {
		if i == 2 {
			add("badline", in.Say("and %d more", len(card.Breaks)-2))
			break
		}
		texts := wrap("✗ "+reason, 12, room)
		if len(texts) > 3 {
			texts = append(texts[:2], cutTo(texts[2]+" …", 12, room))
		}
		for _, text := range texts {
			add("badline", text)
		}
	}
	b.h = 28 + float64(len(b.lines))*lineHeight
	if len(b.lines) > 0 {
		b.h += 4
	}
	return b
}

func (b *box) draw(c *canvas) {
	class := "card"
	switch {
	case len(b.Breaks) > 0:
		class = "card broken"
	case b.Live != nil:
		class = "card " + signOf(b.Live.State).class
	}
	c.add(`<g class="node" data-id="%s"><rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="7"/>`, esc(b.ID), class, num(b.x), num(b.y), num(b.w), num(b.h))
	c.text(b.x+11, b.y+19, "name", cutTo(Clean(b.Name), 13.5, b.w-22))
	for i, l := range b.lines {
		c.text(b.x+11, b.y+36+float64(i)*lineHeight, l.class, l.text)
	}
	c.add(`</g>`)
}

// GraphSVG is the picture of a graph: what stands in front in a row, and below it a
// band for each environment, with the apps in the order of the way.
func GraphSVG(g *way.Graph) string {
	p := &picture{in: g}
	return p.draw(g)
}

// picture collects what is drawn: the backgrounds, the wires, and over them the cards.
type picture struct {
	in                       Speech
	background, wires, cards canvas
	width                    float64
}

// wide stands for the width of all, which is known last.
const wide = "WIDE"

func (p *picture) draw(g *way.Graph) string {
	title := g.Say("How requests reach %s", strings.Join(environments(g), ", "))
	top := 76.0
	entry := p.entry(g.Entry, top)
	y := top
	for _, b := range entry {
		y = max(y, b.y+b.h)
	}
	turn := y + bandGap/2
	y += bandGap
	trunk, last := margin+18, 0.0
	for _, b := range g.Bands {
		next, to := p.band(b, y, trunk)
		y, last = next+bandGap, max(last, to)
	}
	if last > 0 { // one wire for all requests
		for _, b := range entry {
			if b.Kind == way.Controller {
				p.wires.add(`<path class="wire trunk" d="%s"/>`, path(point{b.x + 28, b.y + b.h}, point{b.x + 28, turn}, point{trunk, turn}, point{trunk, last}))
			}
		}
	}
	p.width = max(p.width, width(title, 19)+2*margin)
	var heading canvas
	heading.text(margin, 38, "h1", title)
	body := heading.String() + strings.ReplaceAll(p.background.String(), wide, num(p.width-2*margin)) + p.wires.String() + p.cards.String()
	return document(p.width, y-bandGap+margin, title, Describe(g), body)
}

func environments(g *way.Graph) []string {
	var all []string
	for _, b := range g.Bands {
		all = append(all, b.Environment)
	}
	return all
}

// entry draws what stands in front, from left to right.
func (p *picture) entry(cards []way.Card, y float64) []*box {
	x := margin
	var all []*box
	for i, card := range cards {
		b := newBox(p.in, card, cardWidth+16, false)
		b.x, b.y = x, y
		if i > 0 && (card.Kind != way.Controller || cards[i-1].Kind != way.Controller) {
			p.wires.add(`<path class="wire trunk" d="M%s %sH%s"/>`, num(x-30), num(y+20), num(x-6))
			p.wires.add(`<path class="tip" d="%s"/>`, tip(x, y+20))
		}
		p.cards.text(x+11, y-5, "kind", strings.ToUpper(p.in.Say(string(card.Kind))))
		b.draw(&p.cards)
		all = append(all, b)
		x += b.w + 30
	}
	p.width = max(p.width, x-30+margin)
	return all
}

// band draws an environment; it returns where it ends, and where the wire from the
// controller does.
func (p *picture) band(band way.Band, top, trunk float64) (bottom, last float64) {
	b := layout(p.in, band, top)
	for _, o := range b.boxes {
		if o.column == 0 && len(o.URLs) > 0 {
			x, y := o.left()
			p.wires.add(`<path class="wire trunk" d="%s"/>`, path(point{trunk, y - 8}, point{trunk, y}, point{x - 6, y}))
			p.wires.add(`<path class="tip" d="%s"/>`, tip(x, y))
			last = max(last, y-8)
		}
	}
	b.connect(&p.wires, band.Wires)
	for _, o := range b.boxes {
		o.draw(&p.cards)
	}
	if b.note > 0 {
		p.cards.text(margin+trunkRoom+8, b.note, "dim", p.in.Say("without a URL, calls or callers"))
	}
	p.background.add(`<rect class="band" x="%s" y="%s" width="%s" height="%s" rx="10"/>`, num(margin), num(top), wide, num(b.bottom-top))
	p.background.text(margin+trunkRoom+8, top+24, "h2", band.Environment)
	registry := ""
	if band.Registry != "" {
		registry = p.in.Say("registry: %s", band.Registry)
		p.background.text(margin+trunkRoom+8+width(band.Environment, 15)+18, top+24, "dim", registry)
	}
	p.width = max(p.width, b.right+2*margin, margin*3+trunkRoom+width(band.Environment, 15)+width(registry, 12))
	return b.bottom, last
}

// bandLayout is where everything of a band stands.
type bandLayout struct {
	in            Speech
	boxes         []*box
	byID          map[string]*box
	lanes         []map[string]float64 // by column, the x of the lane that leads to a card of it
	overpass      map[string]float64   // the y of the wire above all cards that leads to a card
	bottom, right float64
	note          float64 // where the line above apps without wires stands; 0 is nowhere
}

func layout(in Speech, band way.Band, top float64) *bandLayout {
	b := &bandLayout{in: in, byID: map[string]*box{}, overpass: map[string]float64{}}
	brief := 0
	for _, column := range band.Columns {
		brief += len(column)
	}
	columns := make([][]*box, len(band.Columns))
	for i, column := range band.Columns {
		for _, card := range column {
			o := newBox(in, card, cardWidth, brief > manyCards)
			o.column = i
			columns[i] = append(columns[i], o)
			b.boxes = append(b.boxes, o)
			b.byID[o.ID] = o
		}
	}
	callers := map[string][]*box{}
	over := 0
	for _, w := range band.Wires {
		from, to := b.byID[w.From], b.byID[w.To]
		if from == nil || to == nil {
			continue
		}
		callers[w.To] = append(callers[w.To], from)
		if to.column != from.column+1 && b.overpass[w.To] == 0 {
			b.overpass[w.To] = top + 38 + float64(over)*laneGap
			over++
		}
	}
	first := top + 40
	if over > 0 {
		first += float64(over)*laneGap + 6
	}
	x := margin + trunkRoom + 8
	tallest := 0.0
	for _, column := range columns {
		height := -cardGap
		for _, o := range column {
			height += o.h + cardGap
		}
		tallest = max(tallest, height)
	}
	for i, column := range columns {
		lanes := map[string]float64{}
		if i > 0 {
			x += cardWidth + 18
			x = b.lane(column, callers, x, lanes) + 20
		}
		b.lanes = append(b.lanes, lanes)
		place(column, callers, x, first, first+tallest)
	}
	b.bottom, b.right = first+max(tallest, 0)+18, x+cardWidth
	if tallest == 0 {
		b.bottom = first
	}
	b.alone(band.Alone, brief+len(band.Alone) > manyCards)
	return b
}

// alone puts the apps that have no wires into rows below the others.
func (b *bandLayout) alone(cards []way.Card, brief bool) {
	if len(cards) == 0 {
		return
	}
	left := margin + trunkRoom + 8
	b.right = max(b.right, left+3*cardWidth+2*cardGap)
	b.note = b.bottom + 10
	x, y, tall := left, b.note+12, 0.0
	for _, card := range cards {
		o := newBox(b.in, card, cardWidth, brief)
		if x+o.w > b.right {
			x, y, tall = left, y+tall+cardGap, 0
		}
		o.x, o.y, o.column = x, y, -1
		x, tall = x+o.w+cardGap, max(tall, o.h)
		b.boxes = append(b.boxes, o)
	}
	b.bottom = y + tall + 18
}

// lane gives each card of a column that is called a place between the columns where
// the wires to it come together.
func (b *bandLayout) lane(column []*box, callers map[string][]*box, x float64, lanes map[string]float64) float64 {
	for _, o := range slices.Backward(column) {
		if len(callers[o.ID]) > 0 {
			lanes[o.ID] = x
			x += laneGap
		}
	}
	return x
}

// place puts the cards of a column beside those that call them, without overlap and
// within the band.
func place(column []*box, callers map[string][]*box, x, top, bottom float64) {
	y := top
	for _, o := range column {
		o.x = x
		wanted := y
		if from := callers[o.ID]; len(from) > 0 {
			sum := 0.0
			for _, f := range from {
				sum += f.y
			}
			wanted = sum / float64(len(from))
		}
		o.y = max(y, wanted)
		y = o.y + o.h + cardGap
	}
	for _, o := range slices.Backward(column) {
		o.y = min(o.y, bottom-o.h)
		bottom = o.y - cardGap
	}
}

// connect draws the wires. Those to one card come together on its lane.
func (b *bandLayout) connect(c *canvas, wires []way.Wire) {
	colour := map[string]int{}
	for _, o := range b.boxes {
		colour[o.ID] = len(colour) % colours
	}
	sorted := slices.Clone(wires)
	slices.SortStableFunc(sorted, func(x, y way.Wire) int { return cmp.Compare(x.To, y.To) })
	for _, w := range sorted {
		from, to := b.byID[w.From], b.byID[w.To]
		if from == nil || to == nil {
			continue
		}
		x1, y1 := from.right()
		x2, y2 := to.left()
		points := []point{{x1, y1}}
		lane, ok := b.lanes[to.column][w.To]
		switch {
		case !ok: // called by a card of its own column, or of one to the right
			turn := x2 - 10
			points = append(points, point{x1 + 8, y1}, point{x1 + 8, b.overpass[w.To]}, point{turn, b.overpass[w.To]}, point{turn, y2})
		case to.column == from.column+1:
			points = append(points, point{lane, y1}, point{lane, y2})
		default:
			points = append(points, point{x1 + 8, y1}, point{x1 + 8, b.overpass[w.To]}, point{lane, b.overpass[w.To]}, point{lane, y2})
		}
		points = append(points, point{x2 - 6, y2})
		style, class := fmt.Sprintf("stroke:var(--c%d)", colour[w.To]), "wire"
		if w.Broken {
			class = "wire broken"
		}
		c.add(`<path class="%s" style="%s" data-from="%s" data-to="%s" d="%s"/>`, class, style, esc(w.From), esc(w.To), path(points...))
		c.add(`<path class="tip" style="fill:var(--c%d)" d="%s"/>`, colour[w.To], tip(x2, y2))
	}
}

type point struct{ x, y float64 }

// path goes through points along the axes, with round corners.
func path(points ...point) string {
	const radius = 5.0
	var b strings.Builder
	fmt.Fprintf(&b, "M%s %s", num(points[0].x), num(points[0].y))
	for i := 1; i < len(points)-1; i++ {
		before, at, after := points[i-1], points[i], points[i+1]
		in, out := toward(at, before, radius), toward(at, after, radius)
		fmt.Fprintf(&b, "L%s %sQ%s %s %s %s", num(in.x), num(in.y), num(at.x), num(at.y), num(out.x), num(out.y))
	}
	end := points[len(points)-1]
	fmt.Fprintf(&b, "L%s %s", num(end.x), num(end.y))
	return b.String()
}

// toward is a point at most a distance from one point on the way to another.
func toward(at, other point, distance float64) point {
	dx, dy := other.x-at.x, other.y-at.y
	length := max(abs(dx), abs(dy))
	if length == 0 {
		return at
	}
	share := min(distance, length/2) / length
	return point{at.x + dx*share, at.y + dy*share}
}

func abs(f float64) float64 { return max(f, -f) }

// tip is the head of an arrow that ends at a point.
func tip(x, y float64) string {
	return fmt.Sprintf("M%s %sl-8 -4.5v9z", num(x), num(y))
}

// Describe says in words what a graph shows, for those who do not see it.
func Describe(g *way.Graph) string {
	var b strings.Builder
	for i, card := range g.Entry {
		if i > 0 {
			b.WriteString(" → ")
		}
		fmt.Fprintf(&b, "%s %s", g.Say(string(card.Kind)), card.Name)
		if len(card.Lines) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(card.Lines, "; "))
		}
		if card.Live != nil {
			fmt.Fprintf(&b, " %s %s", signOf(card.Live.State).mark, liveText(g, card.Live, nil))
		}
		for _, reason := range card.Breaks {
			fmt.Fprintf(&b, " ✗ %s", reason)
		}
	}
	for _, band := range g.Bands {
		b.WriteString("\n\n" + g.Say("Environment %s", band.Environment))
		if band.Registry != "" {
			b.WriteString(g.Say(", registry %s", band.Registry))
		}
		names := map[string]string{}
		for _, column := range band.Columns {
			for _, card := range column {
				names[card.ID] = card.Name
			}
		}
		for _, column := range append(slices.Clone(band.Columns), band.Alone) {
			for _, card := range column {
				if card.Kind == way.External {
					continue
				}
				fmt.Fprintf(&b, "\n- %s", card.Name)
				if says := strings.Trim(card.Type+", "+strings.Join(card.Lines, ", "), ", "); says != "" {
					fmt.Fprintf(&b, " (%s)", says)
				}
				if len(card.URLs) > 0 {
					b.WriteString(g.Say(" answers %s", strings.Join(card.URLs, ", ")))
				}
				var calls []string
				for _, w := range band.Wires {
					if w.From == card.ID {
						calls = append(calls, names[w.To])
					}
				}
				if len(calls) > 0 {
					b.WriteString(g.Say("; calls %s", strings.Join(calls, ", ")))
				}
				if card.Live != nil {
					fmt.Fprintf(&b, "; %s %s", signOf(card.Live.State).mark, liveText(g, card.Live, nil))
				}
				for _, reason := range card.Breaks {
					fmt.Fprintf(&b, "; ✗ %s", reason)
				}
			}
		}
	}
	return b.String()
}
