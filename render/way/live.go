package way

import (
	"net"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/edge"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Live is what the cluster and the hosts say of a hop or a card. The model asks
// nobody: whoever does writes it here.
type Live struct {
	// State is healthy, progressing, failed or unknown, as `evenkeel status` says it.
	State string   `json:"state"`
	Says  []string `json:"says,omitempty"`
}

// Failed is the state of what does not do what it was declared to do.
const Failed = "failed"

// Probe is the answer to a request that was really sent.
type Probe struct {
	// Says is the answer in words, At the kind of the hop where it was made; empty
	// where none came.
	Says string `json:"says"`
	At   Kind   `json:"at,omitempty"`
	// Behind says that hops behind At could not be asked from here.
	Behind bool `json:"orBehind,omitempty"`
}

// Object is an object of a unit of an environment.
type Object struct {
	Environment string
	Unit        string
	schema.Ref
}

func (o *object) object() Object {
	version := tree.Text(o.Content["apiVersion"])
	return Object{Environment: o.env.Name, Unit: o.unit.Name, Ref: schema.Ref{APIVersion: version, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}}
}

// Objects are those that do what the hop says: a Service, the workloads of pods, or
// the object that decides.
func (h *Hop) Objects() []Object {
	if h.service != nil {
		return []Object{h.service.object()}
	}
	var all []Object
	for _, p := range h.pods {
		all = append(all, p.object.object())
	}
	if len(all) == 0 && h.By.object != nil {
		all = append(all, h.By.object.object())
	}
	return all
}

// See notes what is said of a hop. One that failed breaks the way.
func (w *Way) See(i int, live Live, fix string) {
	h := &w.Hops[i]
	h.Live = &live
	if live.State == Failed && h.Break == nil {
		reason := w.Say("the cluster says so")
		if len(live.Says) > 0 {
			reason = live.Says[0]
		}
		h.Break = &Break{Reason: reason, Fix: fix}
	}
	w.Broken = w.Broken || h.Break != nil
}

// Addresses are where a request for a hop can be sent to, as address:port, as far as
// the source says; TLS says that it begins with a handshake there.
func (m *Model) Addresses(w *Way, i int) (addresses []string, tls bool) {
	if m.front == nil {
		return nil, false
	}
	switch w.Hops[i].Kind {
	case Edge:
		r, err := parse(w.URL)
		if err != nil {
			return nil, false
		}
		if slices.ContainsFunc(w.Hops[:i], func(h Hop) bool { return h.Kind == Edge }) {
			r = r.secured() // a client that was sent there
		}
		return []string{net.JoinHostPort(m.front.VIP, itoa(r.port))}, r.scheme == "https"
	case Controller:
		for _, node := range m.front.L7.Nodes {
			addresses = append(addresses, net.JoinHostPort(node, itoa(m.front.L7.Port)))
		}
	}
	return addresses, false
}

// Front is the configuration of the hosts in front of the cluster, nil where no
// environment describes them.
func (m *Model) Front() *edge.Config { return m.front }

// Environment finds an environment of the cluster by name, nil where there is none.
func (m *Model) Environment(name string) *Environment { return m.env(name) }

// Environments are the names of all environments of the cluster.
func (m *Model) Environments() []string {
	var names []string
	for _, e := range m.envs {
		names = append(names, e.Name)
	}
	return names
}

// Cards calls fn for every card of a graph.
func (g *Graph) Cards(fn func(*Card)) {
	for i := range g.Entry {
		fn(&g.Entry[i])
	}
	for i := range g.Bands {
		b := &g.Bands[i]
		for _, column := range append(slices.Clone(b.Columns), b.Alone) {
			for j := range column {
				fn(&column[j])
			}
		}
	}
}
