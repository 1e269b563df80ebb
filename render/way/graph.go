package way

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/words"
)

// Graph is the picture of environments of one cluster: what stands in front of it,
// and its apps in the order of the way.
type Graph struct {
	// Entry are the cards in front of all apps: DNS and edge or load balancer, then
	// the ingress controllers.
	Entry []Card `json:"entry"`
	Bands []Band `json:"bands"`

	words words.Words
}

// Band is one environment.
type Band struct {
	Environment string `json:"environment"`
	// Registry is where its apps find each other; empty where it has none.
	Registry string `json:"registry,omitempty"`
	// Columns are the apps that answer URLs, then what those call, and so on; what is
	// outside of the cluster comes last.
	Columns [][]Card `json:"columns"`
	// Alone are apps that no URL leads to, that call nothing and that nobody calls.
	Alone []Card `json:"alone,omitempty"`
	Wires []Wire `json:"wires"`
}

// Card is an app, or what stands in front of the apps, or outside.
type Card struct {
	ID    string   `json:"id"`
	Kind  Kind     `json:"kind"`
	Name  string   `json:"name"`
	Type  string   `json:"type,omitempty"`
	Lines []string `json:"lines,omitempty"`
	URLs  []string `json:"urls,omitempty"`
	// Breaks are the reasons why what leads here, or what this calls, breaks.
	Breaks []string `json:"breaks,omitempty"`
	// Units are those that the card stands for, as environment/unit.
	Units []string `json:"-"`
	// Live is what the cluster says, where it was asked.
	Live *Live `json:"live,omitempty"`
}

// Wire leads from one card to another.
type Wire struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Broken bool   `json:"broken,omitempty"`
}

// Graph draws environments, in the order in which they are named.
func (m *Model) Graph(names ...string) *Graph {
	g := &Graph{Entry: m.entry(), words: m.words}
	for _, name := range names {
		if env := m.env(name); env != nil {
			g.Bands = append(g.Bands, m.band(env))
		}
	}
	return g
}

// entry are the cards in front of the apps.
func (m *Model) entry() []Card {
	var cards []Card
	if c := m.front; c != nil {
		dns := Card{ID: "dns", Kind: DNS, Name: m.Say("names in %s", c.L7.Domain), Lines: []string{m.Say("lead to %s", c.VIP)}}
		if len(c.DNSServers) > 0 {
			dns.Lines = append(dns.Lines, m.Say("zone on %s", strings.Join(c.DNSServers, ", ")))
		}
		card := Card{ID: "edge", Kind: Edge, Name: m.Say("nginx behind %s", c.VIP), Lines: []string{m.heldBy(c.Holders())}}
		var tls []string
		for name := range c.L7.TLS {
			tls = append(tls, name)
		}
		slices.Sort(tls)
		if len(tls) > 0 {
			card.Lines = append(card.Lines, m.Say("ends TLS of %s", strings.Join(tls, ", ")))
		}
		card.Lines = append(card.Lines, m.Say("passes on to port %d of %s", c.L7.Port, strings.Join(c.L7.Nodes, ", ")))
		cards = append(cards, dns, card)
	} else {
		cards = append(cards, Card{ID: "dns", Kind: DNS, Name: m.Say("host names"), Lines: []string{m.Say("lead to the load balancer")}})
	}
	for i, c := range m.controllers {
		card := Card{ID: "controller" + itoa(i), Kind: Controller, Name: m.Say(c.kind)}
		if c.pods != nil {
			least, most, _ := m.count(c.pods)
			card.Units = []string{c.pods.env.Name + "/" + c.pods.unit.Name}
			card.Lines = append(card.Lines, c.pods.Kind+" "+c.pods.Namespace+"/"+c.pods.Name, m.podCount(least, most))
			if c.pods.Kind == "DaemonSet" {
				card.Lines[1] = m.Say("on every node")
			}
		}
		if classes := slices.Sorted(slices.Values(c.classes)); len(classes) > 0 {
			card.Lines = append(card.Lines, m.Say("class %s", strings.Join(classes, ", ")))
		}
		if m.front != nil && c.pods != nil && !slices.ContainsFunc(c.hostPorts(), func(p nodePort) bool { return p.node == m.front.L7.Port }) {
			card.Breaks = append(card.Breaks, m.Say("takes no requests on port %d of the nodes", m.front.L7.Port))
		}
		cards = append(cards, card)
	}
	return cards
}

// band is the picture of one environment.
func (m *Model) band(env *Environment) Band {
	b := Band{Environment: env.Name}
	if r := declaredRegistry(env); r.kind != "" {
		b.Registry = m.registryText(r)
	}
	cards := map[string]*Card{}
	card := func(in *instance) *Card {
		if c := cards[in.name()]; c != nil {
			return c
		}
		c := &Card{ID: in.name(), Kind: App, Name: in.unit.Name, Type: in.unit.Type, Units: []string{in.name()}}
		if in.env != env {
			c.Name = in.name()
		}
		if len(in.pods) > 0 {
			ref := m.ref(in)
			c.Lines = append(c.Lines, m.podCount(ref.Pods, ref.PodsMax))
			if ref.Pods == 0 && ref.PodsMax == 0 {
				c.Breaks = append(c.Breaks, m.Say("replicas is 0"))
			}
		}
		cards[in.name()] = c
		return c
	}
	for _, row := range m.Table(env.Name) {
		owner := m.registered[row.declared.object.env.Name+"/"+row.declared.object.unit.Name]
		if row.App != nil {
			owner = m.registered[row.App.Environment+"/"+row.App.Unit]
		}
		if owner == nil {
			continue
		}
		c := card(owner)
		if !slices.Contains(c.URLs, row.URL) {
			c.URLs = append(c.URLs, row.URL)
		}
		for _, h := range row.Breaks() {
			if h.Calls == 0 && h.Break.Reason != m.Say("there are no pods: replicas is 0") {
				c.breaks(h.Break.Reason)
			}
		}
	}
	for i := range env.Units {
		in := m.registered[env.Name+"/"+env.Units[i].Name]
		if in.unit.App && len(in.pods) > 0 {
			card(in)
		}
	}
	m.wire(env, &b, cards, card)
	for _, id := range sortedIDs(cards) {
		wired := slices.ContainsFunc(b.Wires, func(w Wire) bool { return w.From == id || w.To == id })
		if len(cards[id].URLs) == 0 && !wired {
			b.Alone = append(b.Alone, *cards[id])
			delete(cards, id)
		}
	}
	b.Columns = columns(cards, b.Wires)
	return b
}

func (c *Card) breaks(reason string) {
	if !slices.Contains(c.Breaks, reason) {
		c.Breaks = append(c.Breaks, reason)
	}
}

// wire follows what each app calls itself.
func (m *Model) wire(env *Environment, b *Band, cards map[string]*Card, card func(*instance) *Card) {
	for i := range env.Units {
		in := m.registered[env.Name+"/"+env.Units[i].Name]
		if !in.unit.App && cards[in.name()] == nil || len(in.pods) == 0 {
			continue
		}
		from := card(in)
		for _, h := range m.direct(in) {
			if h.Break != nil {
				from.breaks(h.Name + ": " + h.Break.Reason)
			}
			to := ""
			switch h.Kind {
			case Provider, Pods:
				if len(h.pods) == 0 {
					continue
				}
				to = card(m.owner(h.pods[0])).ID
			case External:
				to = "outside " + h.Name
				if cards[to] == nil {
					cards[to] = &Card{ID: to, Kind: External, Name: h.Name}
				}
			default:
				continue
			}
			w := Wire{From: from.ID, To: to, Broken: h.Break != nil}
			if to != from.ID && !slices.ContainsFunc(b.Wires, func(o Wire) bool { return o.From == w.From && o.To == w.To }) {
				b.Wires = append(b.Wires, w)
			}
		}
	}
	slices.SortFunc(b.Wires, func(x, y Wire) int { return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To)) })
}

// columns puts what is called to the right of its callers; within a column, what
// belongs together stands together.
func columns(cards map[string]*Card, wires []Wire) [][]Card {
	depth := map[string]int{}
	callers := map[string][]string{}
	for _, w := range wires {
		callers[w.To] = append(callers[w.To], w.From)
	}
	var deep func(id string, seen []string) int
	deep = func(id string, seen []string) int {
		if d, ok := depth[id]; ok {
			return d
		}
		if slices.Contains(seen, id) {
			return 0 // they call each other: where one was met first decides
		}
		d := 0
		for _, from := range callers[id] {
			d = max(d, deep(from, append(slices.Clone(seen), id))+1)
		}
		if len(seen) == 0 || len(callers[id]) == 0 {
			depth[id] = d
		}
		return d
	}
	ids := sortedIDs(cards)
	last := 0
	for _, id := range ids {
		depth[id] = deep(id, nil)
		if cards[id].Kind != External {
			last = max(last, depth[id])
		}
	}
	if len(ids) == 0 {
		return nil
	}
	all := make([][]Card, last+1)
	var outside []Card
	for _, id := range ids {
		if cards[id].Kind == External {
			outside = append(outside, *cards[id])
			continue
		}
		all[depth[id]] = append(all[depth[id]], *cards[id])
	}
	if outside != nil {
		all = append(all, outside)
	}
	slices.SortStableFunc(all[0], func(a, b Card) int { // what answers URLs, then the others
		return cmp.Or(cmp.Compare(min(len(b.URLs), 1), min(len(a.URLs), 1)), cmp.Compare(a.Name, b.Name))
	})
	order(all, wires)
	return all
}

func sortedIDs(cards map[string]*Card) []string {
	ids := make([]string, 0, len(cards))
	for id := range cards {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// order sorts each column by where its callers stand, and the first by what it
// calls, so that wires cross little.
func order(all [][]Card, wires []Wire) {
	at := map[string]float64{}
	place := func() {
		for _, column := range all {
			for i, c := range column {
				at[c.ID] = float64(i) / float64(len(column))
			}
		}
	}
	mean := func(id string, left bool) float64 {
		sum, n := 0.0, 0.0
		for _, w := range wires {
			switch {
			case left && w.To == id:
				sum, n = sum+at[w.From], n+1
			case !left && w.From == id:
				sum, n = sum+at[w.To], n+1
			}
		}
		if n == 0 {
			return at[id]
		}
		return sum / n
	}
	for round := range 4 {
		place()
		for i := range all {
			left := round%2 == 0
			slices.SortStableFunc(all[i], func(a, b Card) int {
				if i == 0 {
					if c := cmp.Compare(min(len(b.URLs), 1), min(len(a.URLs), 1)); c != 0 {
						return c
					}
				}
				return cmp.Compare(mean(a.ID, left && i > 0), mean(b.ID, left && i > 0))
			})
		}
	}
}
