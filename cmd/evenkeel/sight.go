package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/look"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/edge"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// sight writes what clusters and hosts say onto what the model of the way says: the
// two do not know each other.
type sight struct {
	connect func(*schema.Environment) (*apply.Cluster, error)
	ways    *render.Ways
	// may says which environments somebody else may look at, who asks from another
	// machine: nothing is asked of the others, of hosts or of names. Nil is who runs this.
	may func(env string) bool
}

func (g *global) sight(ways *render.Ways) *sight {
	return &sight{ways: ways, connect: func(env *schema.Environment) (*apply.Cluster, error) { return g.cluster(env.Cluster) }}
}

// follow asks at each hop of a way and, with probe, sends the request.
func (s *sight) follow(ctx context.Context, model *way.Model, w *way.Way, probe bool) error {
	said, err := s.along(ctx, model, w)
	if err != nil || !probe {
		return err
	}
	return s.probe(ctx, model, w, said)
}

// along asks what there is to know of each hop of a way.
func (s *sight) along(ctx context.Context, model *way.Model, w *way.Way) ([]look.Object, error) {
	refs := map[string][]schema.Ref{}
	for i := range w.Hops {
		for _, o := range w.Hops[i].Objects() {
			refs[o.Environment] = append(refs[o.Environment], o.Ref)
		}
	}
	var all []look.Object
	for _, name := range model.Environments() {
		if len(refs[name]) == 0 || s.ways.Results[name] == nil || s.may != nil && !s.may(name) {
			continue
		}
		env := s.ways.Results[name].Env
		cluster, err := s.connect(env)
		if err != nil {
			return nil, err
		}
		objects, err := look.Objects(ctx, cluster, env, refs[name])
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	var front front
	if s.may == nil {
		front = frontOf(ctx, model)
	}
	for i := range w.Hops {
		h := &w.Hops[i]
		switch h.Kind {
		case way.DNS:
			if s.may != nil {
				continue
			}
			w.See(i, nameOf(ctx, h.Name, model.Front()), "")
		case way.VIP, way.Edge:
			if front != nil {
				w.See(i, front.live(h.Kind), "look at keepalived and nginx there: evenkeel status "+w.Hops[i].By.Environment+" --edge")
			}
		default:
			if live, ok := liveOf(h.Objects(), all); ok {
				w.See(i, live, fixOf(h))
			}
		}
	}
	return all, nil
}

// elsewhere stands for what is of an environment that somebody may not look at.
const elsewhere = "of an environment that you may not look at"

// veil takes out of a way what is of environments that its reader may not look at. What
// all share in front of the apps stays: hosts, and the controllers behind them.
func (s *sight) veil(w *way.Way) {
	shared := []way.Kind{way.DNS, way.VIP, way.Edge, way.LoadBalancer, way.Controller, way.Redirect, way.APIServer}
	for i := range w.Hops {
		h := &w.Hops[i]
		hidden := h.By.Environment != "" && !s.may(h.By.Environment)
		for _, o := range h.Objects() {
			hidden = hidden || !s.may(o.Environment)
		}
		if !hidden || slices.Contains(shared, h.Kind) {
			continue
		}
		was := h.Break
		*h = way.Hop{Kind: h.Kind, Name: w.Say(elsewhere), Calls: h.Calls}
		if was != nil {
			h.Break = &way.Break{Reason: w.Say("it breaks here")}
		}
	}
	if w.App != nil && !s.may(w.App.Environment) {
		w.App = &way.AppRef{Environment: w.Say(elsewhere)}
	}
}

func fixOf(h *way.Hop) string {
	objects := h.Objects()
	return fmt.Sprintf("look closer: evenkeel status %s --unit %s", objects[0].Environment, objects[0].Unit)
}

// liveOf is what was said of the objects of a hop.
func liveOf(objects []way.Object, said []look.Object) (way.Live, bool) {
	live := way.Live{State: "healthy"}
	found := false
	for _, o := range objects {
		at := slices.IndexFunc(said, func(s look.Object) bool { return s.ID() == o.ID() })
		if at < 0 {
			continue
		}
		found = true
		live.State = worse(live.State, string(said[at].State()))
		for _, line := range said[at].Lines() {
			if len(objects) > 1 {
				line = o.String() + ": " + line
			}
			live.Says = append(live.Says, report.Line(line))
		}
	}
	return live, found
}

// worse is the worse of two states.
func worse(a, b string) string {
	order := []string{"healthy", "progressing", "unknown", way.Failed}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// front are the answers of the hosts in front of a cluster.
type front []edge.Answer

// frontOf asks the hosts in front, where an environment describes them.
func frontOf(ctx context.Context, model *way.Model) front {
	if model.Front() == nil {
		return nil
	}
	return edge.Probe(ctx, *model.Front())
}

// live is what they say of the virtual address, or of themselves: as long as one of
// them answers at the address, requests pass.
func (f front) live(kind way.Kind) way.Live {
	live := way.Live{State: "healthy"}
	asked, broken := 0, 0
	for _, a := range f {
		if (a.Host == "") != (kind == way.VIP) {
			continue
		}
		asked++
		if a.Problem != "" {
			broken++
		}
		live.Says = append(live.Says, report.Line(a.String()))
	}
	switch {
	case asked > 0 && broken == asked:
		live.State = way.Failed
	case broken > 0:
		live.State = "unknown"
	}
	return live
}

// nameOf is what this machine knows of a host name.
func nameOf(ctx context.Context, host string, c *edge.Config) way.Live {
	addresses, err := look.Name(ctx, host)
	if err != nil {
		return way.Live{State: "unknown", Says: []string{report.Line(err.Error())}}
	}
	says := "this machine resolves it to " + strings.Join(addresses, ", ")
	if c != nil && !slices.Contains(addresses, c.VIP) {
		return way.Live{State: "unknown", Says: []string{says + ", not to " + c.VIP}}
	}
	return way.Live{State: "healthy", Says: []string{says}}
}

// podsAsked is how many pods of a hop are asked.
const podsAsked = 3

// probe sends the request to the hops that have an address, and finds out which of
// them made the answer.
func (s *sight) probe(ctx context.Context, model *way.Model, w *way.Way, said []look.Object) error {
	u, err := url.Parse(w.URL)
	if err != nil {
		return err
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	var points []look.Point
	for i := range w.Hops {
		addresses, tls := model.Addresses(w, i)
		for _, address := range addresses {
			points = append(points, look.Point{Hop: i, Address: address, TLS: tls})
		}
		for _, o := range objectsOf(w.Hops[i].Objects(), said) {
			switch h := w.Hops[i]; {
			case h.Kind == way.LoadBalancer:
				for _, address := range o.Addresses {
					points = append(points, look.Point{Hop: i, Address: net.JoinHostPort(address, port), TLS: u.Scheme == "https", Said: true})
				}
			case h.Kind == way.Pods && h.Calls == 0 && h.Port != 0:
				for _, pod := range o.Pods[:min(len(o.Pods), podsAsked)] {
					if pod.IP != "" {
						points = append(points, look.Point{Hop: i, Address: net.JoinHostPort(pod.IP, strconv.Itoa(h.Port)), Said: true, Path: w.Rewritten})
					}
				}
			}
		}
	}
	outside := func(p look.Point) bool {
		return slices.Contains([]way.Kind{way.Edge, way.LoadBalancer}, w.Hops[p.Hop].Kind)
	}
	if !slices.ContainsFunc(points, outside) { // only the name leads there
		points = append([]look.Point{{Address: net.JoinHostPort(u.Hostname(), port), TLS: u.Scheme == "https"}}, points...)
	}
	noteAnswers(w, look.Send(ctx, u, points))
	return nil
}

func objectsOf(objects []way.Object, said []look.Object) []look.Object {
	return slices.DeleteFunc(slices.Clone(said), func(s look.Object) bool {
		return !slices.ContainsFunc(objects, func(o way.Object) bool { return o.ID() == s.ID() })
	})
}

// noteAnswers writes the answers onto the hops. An error that was made on the way, or an
// answer that never came, breaks it.
func noteAnswers(w *way.Way, answers []look.Answer) {
	for _, a := range answers {
		h := &w.Hops[a.Hop]
		if h.Live == nil {
			h.Live = &way.Live{State: "unknown"}
		}
		h.Live.Says = append(h.Live.Says, "asked directly: "+report.Line(a.String()))
	}
	outer := answers[0]
	w.Probe = &way.Probe{Says: report.Line(outer.String())}
	hop, behind, ok := look.Made(answers)
	if !ok {
		broken(w, outer.Hop, "the request that was sent got no answer here")
		return
	}
	h := w.Hops[hop]
	w.Probe.At, w.Probe.Behind = h.Kind, behind
	if outer.Status >= 500 || outer.Status >= 400 && h.Kind != way.Pods && !behind {
		broken(w, hop, fmt.Sprintf("the request that was sent was answered %d here", outer.Status))
	}
}

func broken(w *way.Way, hop int, reason string) {
	if h := &w.Hops[hop]; h.Break == nil {
		h.Break = &way.Break{Reason: reason}
	}
	w.Broken = true
}

// over asks what there is to know of the cards of a graph.
func (s *sight) over(ctx context.Context, model *way.Model, g *way.Graph) error {
	wanted := map[string][]string{} // units by environment
	g.Cards(func(c *way.Card) {
		for _, name := range c.Units {
			env, unit, _ := strings.Cut(name, "/")
			wanted[env] = append(wanted[env], unit)
		}
	})
	units := map[string]way.Live{}
	for _, name := range model.Environments() {
		if len(wanted[name]) == 0 || s.ways.Results[name] == nil {
			continue
		}
		env := s.ways.Results[name].Env
		cluster, err := s.connect(env)
		if err != nil {
			return err
		}
		status, err := cluster.Status(ctx, env, apply.StatusOptions{Units: wanted[name]})
		if err != nil {
			return fmt.Errorf("env %s: %w", name, err)
		}
		for _, u := range status.Units {
			units[name+"/"+u.Name] = liveUnitOf(u)
		}
	}
	colour(g, units, frontOf(ctx, model))
	return nil
}

// liveUnitOf is what is said of a unit.
func liveUnitOf(u apply.UnitStatus) way.Live {
	live := way.Live{State: string(u.State)}
	for _, line := range look.UnitLines(u) {
		live.Says = append(live.Says, report.Line(line))
	}
	return live
}

// colour writes onto the cards of a graph how their units and the hosts in front are.
func colour(g *way.Graph, units map[string]way.Live, hosts front) {
	g.Cards(func(c *way.Card) {
		if c.Kind == way.Edge && hosts != nil {
			live := hosts.live(way.VIP)
			c.Live = &live
		}
		for _, name := range c.Units {
			if live, ok := units[name]; ok {
				c.Live = &live
			}
		}
	})
}
