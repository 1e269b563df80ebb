package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkNetwork does the arithmetic of the site's addresses, which CUE cannot.
func checkNetwork(w *world) {
	networks := tree.Map(w.env.Site["networks"])
	ranges := map[string]netip.Prefix{}
	names := sortedKeys(networks)
	for _, name := range names {
		prefix, err := netip.ParsePrefix(tree.Text(networks[name]))
		if err != nil {
			w.report(Finding{
				Rule: "network", Path: typed.Path{"site", "networks", name},
				Message: "not a range of addresses", Expected: "such as 10.4.7.0/24", Found: quote(tree.Text(networks[name])),
			})
			continue
		}
		if prefix.Masked() != prefix {
			w.report(Finding{
				Rule: "network", Path: typed.Path{"site", "networks", name},
				Message: "has bits set behind its length", Expected: prefix.Masked().String(), Found: prefix.String(),
			})
		}
		for _, other := range names {
			if p, ok := ranges[other]; ok && p.Overlaps(prefix) {
				w.report(Finding{
					Rule: "network", Path: typed.Path{"site", "networks", name},
					Message: fmt.Sprintf("overlaps with %s, %s", other, p),
				})
			}
		}
		ranges[name] = prefix
	}
	w.checkDNSAddress(ranges["services"])
	for i := range w.env.Units {
		switch u := &w.env.Units[i]; u.Type {
		case "coredns":
			w.checkCoreDNS(u, ranges["services"])
		case "flannel":
			w.checkFlannel(u, ranges)
		}
	}
	for _, field := range []string{"nodes", "apiServers"} {
		w.checkNodeAddresses(field, ranges["nodes"])
	}
}

// SameAddress finds addresses that the site gives to two machines, or to a machine and
// to keepalived. It is asked before what is made of the site: all that follows from one
// such mistake would be said otherwise.
func SameAddress(site map[string]any) []Finding {
	var findings []Finding
	vip := tree.Text(tree.At(site, "edge", "vip"))
	machine := "" // that has the VIP
	said := map[string]bool{}
	for _, group := range [][]string{{"edge", "hosts"}, {"nodes"}, {"apiServers"}} {
		machines := tree.Map(tree.At(site, group...))
		owner := map[string]string{}
		for _, name := range sortedKeys(machines) {
			address := tree.Text(machines[name])
			if address == vip && machine == "" && vip != "" {
				machine = name
			}
			other, taken := owner[address]
			if !taken {
				owner[address] = name
				continue
			}
			if key := other + " " + name; !said[key] { // the API servers may be the nodes
				said[key] = true
				path := typed.Path{"site"}
				for _, step := range group {
					path = append(path, step)
				}
				findings = append(findings, Finding{Rule: "network", Path: append(path, name), Message: fmt.Sprintf("%s is the address of %s too", address, other)})
			}
		}
	}
	if machine != "" {
		findings = append(findings, Finding{
			Rule: "network", Path: typed.Path{"site", "edge", "vip"},
			Message: fmt.Sprintf("%s is the address of %s: keepalived moves the VIP between the edge hosts, and it needs an address of its own", vip, machine),
		})
	}
	return findings
}

// checkDNSAddress: the address of the cluster's DNS is in the range of Services,
// and not its first one, which is the API server's.
func (w *world) checkDNSAddress(services netip.Prefix) {
	text := tree.Text(tree.At(w.env.Site, "dns", "cluster"))
	addr, err := netip.ParseAddr(text)
	if err != nil || !services.IsValid() {
		return
	}
	f := Finding{Rule: "network", Path: typed.Path{"site", "dns", "cluster"}, Found: text}
	switch {
	case !services.Contains(addr):
		f.Message = "not in the range of the Services, " + services.String()
	case addr == services.Masked().Addr().Next():
		f.Message = "the first address of the Services belongs to the API server"
	default:
		return
	}
	w.report(f)
}

// checkCoreDNS: its address is one of the Services, and it does not ask itself:
// its plugin loop would stop the pods.
func (w *world) checkCoreDNS(u *Unit, services netip.Prefix) {
	own := tree.Text(u.at("clusterIP"))
	addr, err := netip.ParseAddr(own)
	if err == nil && services.IsValid() && !services.Contains(addr) && own != tree.Text(tree.At(w.env.Site, "dns", "cluster")) {
		w.report(Finding{
			Rule: "network", Unit: u.Name, Path: typed.Path{"clusterIP"},
			Message: "not in the range of the Services, " + services.String(), Found: own,
		})
	}
	asks := func(servers any, path ...any) {
		for i, server := range tree.Texts(servers) {
			host := server
			if at, err := netip.ParseAddrPort(server); err == nil {
				host = at.Addr().String()
			}
			if host != own && host != "127.0.0.53" {
				continue
			}
			w.report(Finding{
				Rule: "network", Unit: u.Name, Path: append(slices.Clip(path), i),
				Message: "CoreDNS would ask itself, and stop: name the servers outside the cluster", Found: quote(server),
			})
		}
	}
	asks(u.at("forward"), "forward")
	zones := tree.Map(u.at("zones"))
	for _, zone := range sortedKeys(zones) {
		asks(tree.At(zones[zone], "forward"), "zones", zone, "forward")
	}
}

// checkFlannel: the pods' addresses are those that the rest of the site reckons with.
func (w *world) checkFlannel(u *Unit, ranges map[string]netip.Prefix) {
	for field, name := range map[string]string{"network": "pods", "networkV6": "podsV6"} {
		prefix, err := netip.ParsePrefix(tree.Text(u.at(field)))
		if err != nil || !ranges[name].IsValid() || prefix == ranges[name] {
			continue
		}
		w.report(Finding{
			Rule: "network", Unit: u.Name, Path: typed.Path{field},
			Message: "not the site's range of the pods", Expected: ranges[name].String(), Found: prefix.String(),
		})
	}
}

func (w *world) checkNodeAddresses(field string, nodes netip.Prefix) {
	machines := tree.Map(w.env.Site[field])
	for _, name := range sortedKeys(machines) {
		addr, err := netip.ParseAddr(tree.Text(machines[name]))
		if err != nil || !nodes.IsValid() || nodes.Contains(addr) || addr.Is6() != nodes.Addr().Is6() {
			continue
		}
		w.report(Finding{
			Rule: "network", Warning: true, Path: typed.Path{"site", field, name},
			Message: "not in the range of the nodes, " + nodes.String(), Found: addr.String(),
		})
	}
}

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
	for _, w := range worlds {
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
		w.report(Finding{
			Rule: "edge", Unit: u.Name, Path: typed.Path{"l7", "port"},
			Message: fmt.Sprintf("the edge passes requests to port %d, but %s takes port %d of the nodes", port, h.source.unit.Name, h.number),
		})
		return
	}
}
