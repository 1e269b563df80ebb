package edge

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Problem is one thing that is wrong with a Config.
type Problem struct {
	Field   typed.Path
	Message string
}

func (p Problem) Error() string { return p.Field.String() + ": " + p.Message }

// Problems are all that is wrong with a Config, in the order of its fields.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Validate returns Problems, or nil. What passes is accepted by nginx -t and
// keepalived -t on a host that has the certificates and the interface.
func (c Config) Validate() error {
	v := &validator{Config: c}
	v.vrrp()
	v.hosts()
	v.failover()
	v.check()
	v.l4()
	v.l7()
	v.tls()
	v.names()
	if len(v.found) == 0 {
		return nil
	}
	return v.found
}

// validator collects what is wrong with a Config.
type validator struct {
	Config
	found Problems

	network netip.Prefix // of the edge hosts; invalid where it is not known
	vip     netip.Addr
}

func (v *validator) add(field typed.Path, format string, args ...any) {
	v.found = append(v.found, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}

var (
	nameRE      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	hostRE      = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	interfaceRE = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9._]{0,14}$`)
	authRE      = regexp.MustCompile(`^[-_.a-zA-Z0-9]*$`)
	pathRE      = regexp.MustCompile(`^/[-a-zA-Z0-9._/@+]+$`)
	sizeRE      = regexp.MustCompile(`^[0-9]{1,9}[kmg]?$`)
	urlRE       = regexp.MustCompile(`^https?://[-a-zA-Z0-9._~:/?=&%+,@\[\]]+$`)
)

func (v *validator) vrrp() {
	if !nameRE.MatchString(v.Site) {
		v.add(typed.Path{"site"}, "%q is not a name: lower case letters, digits and dashes", v.Site)
	}
	v.network = v.hostNetwork()
	v.vip = v.address(typed.Path{"vip"}, v.VIP)
	if v.vip.IsValid() && v.network.IsValid() && !v.network.Contains(v.vip) {
		v.add(typed.Path{"vip"}, "%s is outside %s, the network of the edge hosts: nobody there would ask for it", v.VIP, v.network)
	}
	if v.VRID < 1 || v.VRID > 255 {
		v.add(typed.Path{"vrid"}, "%d is not a virtual router id: 1 to 255, unique on the network segment", v.VRID)
	}
	switch n := len(v.Auth); {
	case n > 8:
		v.add(typed.Path{"auth"}, "%d characters, of which keepalived uses the first 8: shorten it", n)
	case !authRE.MatchString(v.Auth):
		v.add(typed.Path{"auth"}, "letters, digits and -_. only: keepalived reads others as its own syntax")
	}
	v.between(typed.Path{"advertSeconds"}, v.AdvertSeconds, 1, 40)
}

// hostNetwork is the network that the edge hosts stand in, as far as it is known:
// the nodes' one, where any of them is in it.
func (v *validator) hostNetwork() netip.Prefix {
	network, err := netip.ParsePrefix(v.Network)
	if err != nil {
		if v.Network != "" {
			v.add(typed.Path{"network"}, "%q is not a range such as 10.4.7.0/24", v.Network)
		}
		return netip.Prefix{}
	}
	for _, h := range v.Hosts {
		if addr, err := netip.ParseAddr(h.Address); err == nil && network.Contains(addr) {
			return network.Masked()
		}
	}
	return netip.Prefix{}
}

func (v *validator) hosts() {
	if len(v.Hosts) == 0 {
		v.add(typed.Path{"hosts"}, "none: nginx and keepalived need a host to run on")
	}
	addresses, priorities := map[string]string{}, map[int]string{}
	for _, name := range v.hostNames() {
		h, field := v.Hosts[name], typed.Path{"hosts", name}
		switch {
		case !nameRE.MatchString(name):
			v.add(field, "%q is not a name: lower case letters, digits and dashes", name)
		case name == dirDNS:
			v.add(field, "%q is where the DNS records are written: give the host another name", name)
		}

		if addr := v.address(below(field, "address"), h.Address); addr.IsValid() {
			switch other, taken := addresses[h.Address]; {
			case addr == v.vip:
				v.add(below(field, "address"), "%s is the VIP: keepalived moves the VIP, a host needs an address of its own", h.Address)
			case taken:
				v.add(below(field, "address"), "%s is the address of %s too", h.Address, other)
			case v.network.IsValid() && !v.network.Contains(addr):
				v.add(below(field, "address"), "%s is outside %s, where the other hosts are: VRRP does not leave a network segment", h.Address, v.network)
			}
			addresses[h.Address] = name
		}

		other, taken := priorities[h.Priority]
		switch {
		case h.Priority < 1 || h.Priority > 254:
			v.add(below(field, "priority"), "%d is not a priority: 1 to 254", h.Priority)
		case taken:
			v.add(below(field, "priority"), "%d is the priority of %s too: which of them holds the VIP would be left to their addresses", h.Priority, other)
		}
		priorities[h.Priority] = name

		if !interfaceRE.MatchString(h.Interface) {
			v.add(below(field, "interface"), "%q is not an interface name such as eth0", h.Interface)
		}
	}
}

// failover holds the combinations of mode, state and weight that keepalived
// accepts and that do not fail over, or fail over twice.
func (v *validator) failover() {
	preempt := v.Mode == modePreempt
	if !preempt && v.Mode != modeNoPreempt {
		v.add(typed.Path{"mode"}, "%q is not a mode: nopreempt or preempt", v.Mode)
		return
	}
	for _, name := range v.hostNames() {
		h, field := v.Hosts[name], typed.Path{"hosts", name, "state"}
		switch {
		case h.State != "" && h.State != stateBackup && h.State != stateMaster:
			v.add(field, "%q is not a state: BACKUP, or MASTER with mode preempt", h.State)
		case h.State == stateMaster && !preempt:
			v.add(field, "MASTER with mode nopreempt: keepalived drops nopreempt on a host that starts as MASTER; leave the state out, or set mode: \"preempt\"")
		case h.State == stateMaster && v.higherThan(h.Priority):
			v.add(field, "MASTER on a host that has not the highest priority: the VIP would move twice at every start; leave the state out")
		}
	}
	w, distance := v.Check.Weight, v.priorityDistance()
	switch {
	case w < -253 || w > 253:
		v.add(typed.Path{"check", "weight"}, "%d is out of range: -253 to 0", w)
	case !preempt && w != 0:
		v.add(typed.Path{"check", "weight"}, "%d with mode nopreempt: the VIP would stay on a host whose check fails; leave the weight out, or set mode: \"preempt\"", w)
	case w > 0:
		v.add(typed.Path{"check", "weight"}, "%d is positive: a failing check adds the weight to the priority, so that it must be negative", w)
	case preempt && -w <= distance:
		v.add(typed.Path{"check", "weight"}, "%d does not bridge the distance of %d between the priorities: a host whose check fails would keep the VIP; use %d or less", w, distance, -distance-1)
	case preempt && v.fallsBelowOne(w):
		v.add(typed.Path{"check", "weight"}, "%d takes a priority below 1, where failed hosts are no longer told apart: raise the priorities", w)
	}
}

// higherThan says whether any host has a higher priority.
func (v *validator) higherThan(priority int) bool {
	for _, h := range v.Hosts {
		if h.Priority > priority {
			return true
		}
	}
	return false
}

func (v *validator) fallsBelowOne(weight int) bool {
	for _, h := range v.Hosts {
		if h.Priority >= 1 && h.Priority+weight < 1 {
			return true
		}
	}
	return false
}

func (v *validator) check() {
	v.between(typed.Path{"check", "intervalSeconds"}, v.Check.IntervalSeconds, 1, 300)
	v.between(typed.Path{"check", "timeoutSeconds"}, v.Check.TimeoutSeconds, 1, 300)
	v.between(typed.Path{"check", "fall"}, v.Check.Fall, 1, 255)
	v.between(typed.Path{"check", "rise"}, v.Check.Rise, 1, 255)
	for i, u := range v.Check.URLs {
		if _, err := url.Parse(u); err != nil || !urlRE.MatchString(u) {
			v.add(typed.Path{"check", "urls", i}, "%q is not a URL such as https://127.0.0.1:7443/readyz", u)
		}
	}
}

func (v *validator) l4() {
	if !v.L4.Enabled {
		return
	}
	v.between(typed.Path{"l4", "listen"}, v.L4.Listen, 1, 65535)
	if v.L4.Listen == portHTTP || v.L4.Listen == portHTTPS {
		v.add(typed.Path{"l4", "listen"}, "%d is a port of HTTP, which nginx serves too: use another, such as 7443", v.L4.Listen)
	}
	if len(v.L4.Backends) == 0 {
		v.add(typed.Path{"l4", "backends"}, "none: name the API servers, as address:port, or set l4: enabled: false")
	}
	seen := map[string]bool{}
	for i, backend := range v.L4.Backends {
		field := typed.Path{"l4", "backends", i}
		addr, err := netip.ParseAddrPort(backend)
		if err != nil || addr.Port() == 0 || addr.Addr().Zone() != "" {
			v.add(field, "%q is not an address and port such as 10.4.7.21:6443 (nginx does not start where a name cannot be resolved)", backend)
			continue
		}
		host, here := v.hostAt(addr.Addr())
		switch {
		case seen[backend]:
			v.add(field, "%s stands twice", backend)
		case addr.Addr() == v.vip && !here: // or hosts says it
			v.add(field, "%s is the VIP: nginx would connect to itself; name the API servers", backend)
		case here && int(addr.Port()) == v.L4.Listen:
			v.add(typed.Path{"l4", "listen"}, "%d is the port of the API server on %s, which is an edge host too: use another, such as 7443", v.L4.Listen, host)
		}
		seen[backend] = true
	}
	v.between(typed.Path{"l4", "connectSeconds"}, v.L4.ConnectSeconds, 1, 60)
	v.between(typed.Path{"l4", "idleSeconds"}, v.L4.IdleSeconds, 60, 86400)
}

func (v *validator) l7() {
	if !isHost(v.L7.Domain) || len(v.L7.Domain) > longestFile {
		v.add(typed.Path{"l7", "domain"}, "%q is not a domain such as od.com", v.L7.Domain)
	}
	// nginx serves a name by the first server that has it, with a warning for the next.
	served := map[string]string{
		v.L7.Domain: "the domain of the edge, which it serves by itself", "*." + v.L7.Domain: "the domain of the edge, which it serves by itself",
		healthHost: "the name of the edge's own health check",
	}
	if v.L7.Domain == healthHost {
		v.add(typed.Path{"l7", "domain"}, "%s is %s", healthHost, served[healthHost])
	}
	for i, name := range v.L7.Names {
		switch taken := served[name]; {
		case !isHost(strings.TrimPrefix(name, "*.")):
			v.add(typed.Path{"l7", "names", i}, "%q is not a host name", name)
		case taken != "":
			v.add(typed.Path{"l7", "names", i}, "%s is %s", name, taken)
		}
		served[name] = "there twice"
	}
	if len(v.L7.Nodes) == 0 {
		v.add(typed.Path{"l7", "nodes"}, "none: name the addresses of the nodes with an ingress controller")
	}
	v.between(typed.Path{"l7", "port"}, v.L7.Port, 1, 65535)
	seen := map[string]bool{}
	for i, node := range v.L7.Nodes {
		field := typed.Path{"l7", "nodes", i}
		addr := v.address(field, node)
		if !addr.IsValid() {
			continue
		}
		host, here := v.hostAt(addr)
		switch {
		case seen[node]:
			v.add(field, "%s stands twice", node)
		case addr == v.vip && !here:
			v.add(field, "%s is the VIP: nginx would send requests to itself; name the nodes", node)
		case here && slices.Contains(v.servedPorts(), v.L7.Port):
			v.add(typed.Path{"l7", "port"}, "%d is a port of nginx on %s, which is a node too: give the ingress controller another hostPort, such as 81", v.L7.Port, host)
		}
		seen[node] = true
	}
	if !sizeRE.MatchString(v.L7.BodySize) {
		v.add(typed.Path{"l7", "bodySize"}, "%q is not a size such as 50m", v.L7.BodySize)
	}
	v.between(typed.Path{"l7", "readSeconds"}, v.L7.ReadSeconds, 3600, 86400)
}

func (v *validator) tls() {
	for _, host := range v.tlsHosts() {
		field := typed.Path{"l7", "tls", host}
		switch {
		case !isHost(host) || len(host) > longestFile:
			v.add(field, "%q is not a host name", host)
		case host == healthHost:
			v.add(field, "%s is the name of the edge's own health check", host)
		case !v.covers(host):
			v.add(field, "%s is outside the domain %s: no Ingress of the edge has such a host; add it to l7.names where one has", host, v.L7.Domain)
		}
		certificate, key := v.L7.TLS[host].files(host)
		if !pathRE.MatchString(certificate) {
			v.add(below(field, "certificate"), "%q is not the path of a file on the edge hosts", certificate)
		}
		if !pathRE.MatchString(key) {
			v.add(below(field, "key"), "%q is not the path of a file on the edge hosts", key)
		}
		if certificate == key {
			v.add(below(field, "key"), "%s is the certificate: the key stands in a file of its own that only root reads", key)
		}
	}
}

func (v *validator) names() {
	for i, server := range v.DNSServers {
		// netip takes any text for the zone of an address, a newline too.
		if addr, err := netip.ParseAddr(server); err != nil || addr.Zone() != "" {
			v.add(typed.Path{"dnsServers", i}, "%q is not an address", server)
		}
	}
	for _, name := range v.IngressHosts {
		if !isHost(strings.TrimPrefix(name, "*.")) {
			v.add(typed.Path{"ingressHosts"}, "%q is not a host name", name)
		}
	}
}

// covers says whether a server block serves a host name. A wildcard of nginx
// stands for any number of labels.
func (c Config) covers(host string) bool {
	if host == c.L7.Domain || strings.HasSuffix(host, "."+c.L7.Domain) {
		return true
	}
	for _, name := range c.L7.Names {
		if host == name || strings.HasPrefix(name, "*.") && strings.HasSuffix(host, name[1:]) {
			return true
		}
	}
	return false
}

func (v *validator) address(field typed.Path, s string) netip.Addr {
	addr, err := netip.ParseAddr(s)
	if err != nil || !addr.Is4() {
		v.add(field, "%q is not an IPv4 address", s)
		return netip.Addr{}
	}
	return addr
}

// hostAt is the name of the edge host with an address.
func (v *validator) hostAt(addr netip.Addr) (name string, ok bool) {
	for name, h := range v.Hosts {
		if h.Address == addr.String() {
			return name, true
		}
	}
	return "", false
}

// isHost says whether a text is a host name (RFC 1123 section 2.1).
func isHost(s string) bool { return len(s) <= 253 && hostRE.MatchString(s) }

// longestFile is the longest name that still has room for tls- and .conf in the name
// of a file.
const longestFile = 240

func below(field typed.Path, name string) typed.Path { return append(slices.Clip(field), name) }

func (v *validator) between(field typed.Path, n, least, most int) {
	if n < least || n > most {
		v.add(field, "%d is out of range: %d to %d", n, least, most)
	}
}
