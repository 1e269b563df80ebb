package lint

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

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
	w.checkNodeAddresses("nodes", ranges["nodes"])
	if !reflect.DeepEqual(w.env.Site["nodes"], w.env.Site["apiServers"]) {
		w.checkNodeAddresses("apiServers", ranges["nodes"])
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
	outside := 0
	for _, address := range machines {
		if addr, err := netip.ParseAddr(tree.Text(address)); err == nil && nodes.IsValid() && !nodes.Contains(addr) && addr.Is6() == nodes.Addr().Is6() {
			outside++
		}
	}
	if outside > 1 && outside == len(machines) { // it is the range that is wrong
		first := sortedKeys(machines)[0]
		w.report(Finding{
			Rule: "network", Warning: true, Path: typed.Path{"site", "networks", "nodes"},
			Message: "none of the " + field + " is in this range", Found: nodes.String(), Hint: first + " is " + tree.Text(machines[first]),
		})
		return
	}
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
