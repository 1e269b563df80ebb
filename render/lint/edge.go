package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkEdge: the edge hosts pass requests to the port that the ingress controller
// takes on the nodes.
func checkEdge(w *world) {
	for i := range w.env.Units {
		if u := &w.env.Units[i]; u.Type == typeEdge {
			w.checkEdgePort(u)
		}
	}
}

// typeEdge is the type of the unit that describes the hosts in front of a cluster.
const typeEdge = "edge"

// checkEdgeHosts: the edge hosts, which an environment of the cluster describes,
// pass on requests for each host of an Ingress.
func checkEdgeHosts(worlds []*world) {
	names := map[string][]string{} // what the edge serves beside the domain, by cluster
	for _, w := range worlds {
		for _, u := range w.env.Units {
			if u.Type == typeEdge {
				names[w.env.Cluster] = append(names[w.env.Cluster], tree.Texts(u.at("l7", "names"))...)
			}
		}
	}
	hosts := map[string][]string{} // of a cluster
	for _, w := range worlds {
		for _, h := range hostNames(w) {
			hosts[w.env.Cluster] = append(hosts[w.env.Cluster], h.host)
		}
	}
	for _, w := range worlds {
		w.checkEdgeTLS(hosts[w.env.Cluster])
		if domain := tree.Text(w.env.Site["domain"]); domain != "" && tree.Text(w.env.Site["entry"]) == "edge" {
			w.checkServed(domain, append([]string{domain, "*." + domain}, names[w.env.Cluster]...))
		}
	}
}

// checkRouters: two pairs of edge hosts on one network segment have virtual routers
// of their own (RFC 5798 section 5.2.3). Where both send their adverts to each other
// alone it does no harm, until one no longer does.
func checkRouters(worlds []*world) {
	for i, w := range worlds {
		for _, other := range worlds[:i] {
			for _, u := range w.edges() {
				for _, v := range other.edges() {
					w.checkRouter(u, other, v)
				}
			}
		}
	}
}

func (w *world) edges() (units []*Unit) {
	for i := range w.env.Units {
		if u := &w.env.Units[i]; u.Type == typeEdge {
			units = append(units, u)
		}
	}
	return units
}

func (w *world) checkRouter(u *Unit, other *world, v *Unit) {
	id, ok := u.at("vrid").(int64)
	if !ok || v.at("vrid") != id || tree.Text(u.at("vip")) == tree.Text(v.at("vip")) { // one edge, described twice
		return
	}
	here, err := netip.ParsePrefix(tree.Text(tree.At(w.env.Site, "networks", "nodes")))
	if err != nil {
		return
	}
	there, err := netip.ParsePrefix(tree.Text(tree.At(other.env.Site, "networks", "nodes")))
	if err != nil || !here.Overlaps(there) {
		return
	}
	w.report(Finding{
		Rule: "edge", Unit: u.Name, Path: typed.Path{"vrid"}, Warning: u.at("unicast") == true && v.at("unicast") == true,
		Message: fmt.Sprintf("%d is the virtual router of the edge of environment %s too, on the same network", id, other.env.Name),
		Hint:    "give each its own: hosts that hear the adverts of the other pair take its address for theirs",
	})
}

// checkEdgeTLS: TLS that ends at the edge is for a host of the cluster. One that is unlike
// all may be of somebody else.
func (w *world) checkEdgeTLS(hosts []string) {
	for _, u := range w.edges() {
		for _, name := range sortedKeys(tree.Map(u.at("l7", "tls"))) {
			const slip = 2 // letters
			near := typed.Near(name, hosts, slip)
			if near == "" || slices.ContainsFunc(hosts, func(host string) bool { return host == name || covers(host, name) }) {
				continue
			}
			w.report(Finding{
				Rule: "edge", Unit: u.Name, Path: typed.Path{"l7", "tls", name}, Warning: true,
				Message: "no app of this cluster has this host", Found: name, DidYouMean: near,
			})
		}
	}
}

func (w *world) checkServed(domain string, served []string) {
	for _, h := range hostNames(w) {
		if h.host == "" || meantDomain(h.host, tree.Text(w.env.Site["domain"])) != "" || slices.ContainsFunc(served, func(name string) bool { return covers(name, h.host) }) {
			continue
		}
		f := h.object.at("edge", h.path...)
		f.Warning = true
		f.Message = fmt.Sprintf("%s is not below %s: the edge does not pass it on unless it is told to", h.host, domain)
		f.Hint = "let the edge pass it on: stacks: edge: l7: names"
		w.report(f)
	}
}

// covers says whether a server name of nginx serves a host; its wildcard stands
// for any number of labels.
func covers(name, host string) bool {
	return host == name || strings.HasPrefix(name, "*.") && strings.HasSuffix(host, name[1:])
}

func (w *world) checkEdgePort(u *Unit) {
	port, ok := u.at("l7", "port").(int64)
	if !ok {
		return
	}
	for _, h := range hostPorts(w) {
		switch h.source.unit.Type {
		case "traefik", "ingress-nginx":
		default:
			continue
		}
		if h.number == port {
			return
		}
		if h.number == 443 || h.number == 8443 {
			continue
		}
		const byDefault = 81 // what both have unless one of them is told otherwise
		if port == byDefault && h.source.unit.Type == "traefik" {
			w.report(Finding{
				Rule: "edge", Unit: h.source.unit.Name, Path: typed.Path{"hostPort"},
				Message: fmt.Sprintf("traefik takes port %d of the nodes, but the edge passes requests to port %d", h.number, port),
				Hint:    fmt.Sprintf("give both one: stacks: edge: l7: port: %d", h.number),
			})
			return
		}
		w.report(Finding{
			Rule: "edge", Unit: u.Name, Path: typed.Path{"l7", "port"},
			Message: fmt.Sprintf("the edge passes requests to port %d, but %s takes port %d of the nodes", port, h.source.unit.Name, h.number),
		})
		return
	}
}
