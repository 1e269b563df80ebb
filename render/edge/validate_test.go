package edge_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// Each wrong input has one clear error.
func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*edge.Config)
		want   string // "" means valid
	}{
		{"as it is", func(*edge.Config) {}, ""},
		{"one host", func(c *edge.Config) { delete(c.Hosts, "hdss7-12") }, ""},
		{"edge hosts in a network of their own", func(c *edge.Config) { c.Network = "10.9.0.0/16" }, ""},
		{"network not known", func(c *edge.Config) { c.Network = "" }, ""},
		{"MASTER with preempt", func(c *edge.Config) { preempt(c, -20); edit(c, "hdss7-11", func(h *edge.Host) { h.State = "MASTER" }) }, ""},
		{"API servers on the edge hosts", func(c *edge.Config) { c.L4.Backends = []string{"10.4.7.11:6443"} }, ""},
		{"listen 6443 on hosts of its own", func(c *edge.Config) { c.L4.Listen = 6443 }, ""},
		{"no layer 4", func(c *edge.Config) { c.L4 = edge.L4{} }, ""},
		{"Ingress host among the further names", func(c *edge.Config) {
			c.L7.Names = []string{"*.example.org"}
			c.IngressHosts = []string{"a.b.example.org"}
		}, ""},

		{"name server with a zone", func(c *edge.Config) { c.DNSServers = []string{"fe80::1%\nevil 60 IN A 6.6.6.6"} }, `dnsServers[0]: "fe80::1%\nevil 60 IN A 6.6.6.6" is not an address`},
		{"site", func(c *edge.Config) { c.Site = "Od Com" }, `site: "Od Com" is not a name: lower case letters, digits and dashes`},
		{"VIP is no address", func(c *edge.Config) { c.VIP = "10.4.7.256" }, `vip: "10.4.7.256" is not an IPv4 address`},
		{"VIP is IPv6", func(c *edge.Config) { c.VIP = "fd00::10" }, `vip: "fd00::10" is not an IPv4 address`},
		{"VIP elsewhere", func(c *edge.Config) { c.VIP = "10.4.8.10" }, "vip: 10.4.8.10 is outside 10.4.7.0/24, the network of the edge hosts: nobody there would ask for it"},
		{"VIP is a host", func(c *edge.Config) { c.VIP = "10.4.7.12" }, "hosts.hdss7-12.address: 10.4.7.12 is the VIP: keepalived moves the VIP, a host needs an address of its own"},
		{"network", func(c *edge.Config) { c.Network = "10.4.7.0" }, `network: "10.4.7.0" is not a range such as 10.4.7.0/24`},
		{"VRID 0", func(c *edge.Config) { c.VRID = 0 }, "vrid: 0 is not a virtual router id: 1 to 255, unique on the network segment"},
		{"VRID 256", func(c *edge.Config) { c.VRID = 256 }, "vrid: 256 is not a virtual router id: 1 to 255, unique on the network segment"},
		{"long password", func(c *edge.Config) { c.Auth = "123456789" }, "auth: 9 characters, of which keepalived uses the first 8: shorten it"},
		{"odd password", func(c *edge.Config) { c.Auth = "a}b" }, "auth: letters, digits and -_. only: keepalived reads others as its own syntax"},
		{"adverts", func(c *edge.Config) { c.AdvertSeconds = 41 }, "advertSeconds: 41 is out of range: 1 to 40"},

		{"no hosts", func(c *edge.Config) { c.Hosts = nil }, "hosts: none: nginx and keepalived need a host to run on"},
		{"host name", func(c *edge.Config) { rename(c, "hdss7-12", "../etc") }, `hosts["../etc"]: "../etc" is not a name: lower case letters, digits and dashes`},
		{"host named dns", func(c *edge.Config) { rename(c, "hdss7-12", "dns") }, `hosts.dns: "dns" is where the DNS records are written: give the host another name`},
		{"address twice", func(c *edge.Config) { edit(c, "hdss7-12", func(h *edge.Host) { h.Address = "10.4.7.11" }) }, "hosts.hdss7-12.address: 10.4.7.11 is the address of hdss7-11 too"},
		{"address elsewhere", func(c *edge.Config) { edit(c, "hdss7-12", func(h *edge.Host) { h.Address = "10.4.8.12" }) }, "hosts.hdss7-12.address: 10.4.8.12 is outside 10.4.7.0/24, where the other hosts are: VRRP does not leave a network segment"},
		{"same priority", func(c *edge.Config) { edit(c, "hdss7-12", func(h *edge.Host) { h.Priority = 100 }) }, "hosts.hdss7-12.priority: 100 is the priority of hdss7-11 too: which of them holds the VIP would be left to their addresses"},
		{"priority 255", func(c *edge.Config) { edit(c, "hdss7-12", func(h *edge.Host) { h.Priority = 255 }) }, "hosts.hdss7-12.priority: 255 is not a priority: 1 to 254"},
		{"interface", func(c *edge.Config) { edit(c, "hdss7-12", func(h *edge.Host) { h.Interface = "eth0; reboot" }) }, `hosts.hdss7-12.interface: "eth0; reboot" is not an interface name such as eth0`},

		{"mode", func(c *edge.Config) { c.Mode = "no-preempt" }, `mode: "no-preempt" is not a mode: nopreempt or preempt`},
		{"state", func(c *edge.Config) { edit(c, "hdss7-11", func(h *edge.Host) { h.State = "SLAVE" }) }, `hosts.hdss7-11.state: "SLAVE" is not a state: BACKUP, or MASTER with mode preempt`},
		{"nopreempt with MASTER", func(c *edge.Config) { edit(c, "hdss7-11", func(h *edge.Host) { h.State = "MASTER" }) }, `hosts.hdss7-11.state: MASTER with mode nopreempt: keepalived drops nopreempt on a host that starts as MASTER; leave the state out, or set mode: "preempt"`},
		{"MASTER on the lower priority", func(c *edge.Config) { preempt(c, -20); edit(c, "hdss7-12", func(h *edge.Host) { h.State = "MASTER" }) }, "hosts.hdss7-12.state: MASTER on a host that has not the highest priority: the VIP would move twice at every start; leave the state out"},
		{"nopreempt with a weight", func(c *edge.Config) { c.Check.Weight = -20 }, `check.weight: -20 with mode nopreempt: the VIP would stay on a host whose check fails; leave the weight out, or set mode: "preempt"`},
		{"weight too small", func(c *edge.Config) { preempt(c, -10) }, "check.weight: -10 does not bridge the distance of 10 between the priorities: a host whose check fails would keep the VIP; use -11 or less"},
		{"no weight", func(c *edge.Config) { preempt(c, 0) }, "check.weight: 0 does not bridge the distance of 10 between the priorities: a host whose check fails would keep the VIP; use -11 or less"},
		{"weight positive", func(c *edge.Config) { preempt(c, 20) }, "check.weight: 20 is positive: a failing check adds the weight to the priority, so that it must be negative"},
		{"weight beyond the priorities", func(c *edge.Config) { preempt(c, -95) }, "check.weight: -95 takes a priority below 1, where failed hosts are no longer told apart: raise the priorities"},
		{"weight out of range", func(c *edge.Config) { preempt(c, -300) }, "check.weight: -300 is out of range: -253 to 0"},

		{"interval", func(c *edge.Config) { c.Check.IntervalSeconds = 0 }, "check.intervalSeconds: 0 is out of range: 1 to 300"},
		{"check timeout", func(c *edge.Config) { c.Check.TimeoutSeconds = 0 }, "check.timeoutSeconds: 0 is out of range: 1 to 300"},
		{"fall", func(c *edge.Config) { c.Check.Fall = 0 }, "check.fall: 0 is out of range: 1 to 255"},
		{"rise", func(c *edge.Config) { c.Check.Rise = 256 }, "check.rise: 256 is out of range: 1 to 255"},
		{"URL", func(c *edge.Config) { c.Check.URLs = []string{"http://127.0.0.1/'; reboot"} }, `check.urls[0]: "http://127.0.0.1/'; reboot" is not a URL such as https://127.0.0.1:7443/readyz`},

		{"no API servers", func(c *edge.Config) { c.L4.Backends = nil }, "l4.backends: none: name the API servers, as address:port, or set l4: enabled: false"},
		{"API server by name", func(c *edge.Config) { c.L4.Backends[0] = "hdss7-21:6443" }, `l4.backends[0]: "hdss7-21:6443" is not an address and port such as 10.4.7.21:6443 (nginx does not start where a name cannot be resolved)`},
		{"API server twice", func(c *edge.Config) { c.L4.Backends[1] = "10.4.7.21:6443" }, "l4.backends[1]: 10.4.7.21:6443 stands twice"},
		{"API server is the VIP", func(c *edge.Config) { c.L4.Backends[1] = "10.4.7.10:7443" }, "l4.backends[1]: 10.4.7.10:7443 is the VIP: nginx would connect to itself; name the API servers"},
		{"6443 taken by the API server", func(c *edge.Config) { c.L4.Listen = 6443; c.L4.Backends[1] = "10.4.7.12:6443" }, "l4.listen: 6443 is the port of the API server on hdss7-12, which is an edge host too: use another, such as 7443"},
		{"L4 on port 80", func(c *edge.Config) { c.L4.Listen = 80 }, "l4.listen: 80 is a port of HTTP, which nginx serves too: use another, such as 7443"},
		{"L4 port", func(c *edge.Config) { c.L4.Listen = 70000 }, "l4.listen: 70000 is out of range: 1 to 65535"},
		{"connect timeout", func(c *edge.Config) { c.L4.ConnectSeconds = 0 }, "l4.connectSeconds: 0 is out of range: 1 to 60"},
		{"idle timeout", func(c *edge.Config) { c.L4.IdleSeconds = 10 }, "l4.idleSeconds: 10 is out of range: 60 to 86400"},

		{"domain", func(c *edge.Config) { c.L7.Domain = "od.com;"; c.L7.TLS, c.IngressHosts = nil, nil }, `l7.domain: "od.com;" is not a domain such as od.com`},
		{"further name", func(c *edge.Config) { c.L7.Names = []string{"a{}.org"} }, `l7.names[0]: "a{}.org" is not a host name`},
		{"no nodes", func(c *edge.Config) { c.L7.Nodes = nil }, "l7.nodes: none: name the addresses of the nodes with an ingress controller"},
		{"node by name", func(c *edge.Config) { c.L7.Nodes[0] = "hdss7-21" }, `l7.nodes[0]: "hdss7-21" is not an IPv4 address`},
		{"node twice", func(c *edge.Config) { c.L7.Nodes[1] = "10.4.7.21" }, "l7.nodes[1]: 10.4.7.21 stands twice"},
		{"node is the VIP", func(c *edge.Config) { c.L7.Nodes[1] = "10.4.7.10" }, "l7.nodes[1]: 10.4.7.10 is the VIP: nginx would send requests to itself; name the nodes"},
		{"no hostPort", func(c *edge.Config) { c.L7.Port = 0 }, "l7.port: 0 is out of range: 1 to 65535"},
		{"hostPort 80 on an edge host", func(c *edge.Config) { c.L7.Port = 80; c.L7.Nodes[0] = "10.4.7.11" }, "l7.port: 80 is a port of nginx on hdss7-11, which is a node too: give the ingress controller another hostPort, such as 81"},
		{"body size", func(c *edge.Config) { c.L7.BodySize = "10 MB" }, `l7.bodySize: "10 MB" is not a size such as 50m`},
		{"short read timeout", func(c *edge.Config) { c.L7.ReadSeconds = 60 }, "l7.readSeconds: 60 is out of range: 3600 to 86400"},
		{"name twice", func(c *edge.Config) { c.L7.Names = []string{"*.example.org", "a.example.net", "*.example.org"} }, `l7.names[2]: *.example.org is there twice`},
		{"the domain once more", func(c *edge.Config) { c.L7.Names = []string{"od.com"} }, `l7.names[0]: od.com is the domain of the edge, which it serves by itself`},
		{"the wildcard once more", func(c *edge.Config) { c.L7.Names = []string{"*.od.com"} }, `l7.names[0]: *.od.com is the domain of the edge, which it serves by itself`},
		{"the name of the health check", func(c *edge.Config) { c.L7.Names = []string{"edge-health.invalid"} }, `l7.names[0]: edge-health.invalid is the name of the edge's own health check`},
		{"TLS for the health check", func(c *edge.Config) {
			c.L7.Names = []string{"*.invalid"}
			setTLS(c, "edge-health.invalid", edge.TLS{})
		}, `l7.tls["edge-health.invalid"]: edge-health.invalid is the name of the edge's own health check`},
		{"TLS host elsewhere", func(c *edge.Config) { setTLS(c, "dashboard.od.org", edge.TLS{}) }, `l7.tls["dashboard.od.org"]: dashboard.od.org is outside the domain od.com: no Ingress of the edge has such a host; add it to l7.names where one has`},
		{"TLS host that only ends alike", func(c *edge.Config) { setTLS(c, "wood.com", edge.TLS{}) }, `l7.tls["wood.com"]: wood.com is outside the domain od.com: no Ingress of the edge has such a host; add it to l7.names where one has`},
		{"TLS host name", func(c *edge.Config) { setTLS(c, "*.od.com", edge.TLS{Certificate: "/c", Key: "/k"}) }, `l7.tls["*.od.com"]: "*.od.com" is not a host name`},
		{"certificate path", func(c *edge.Config) { setTLS(c, "a.od.com", edge.TLS{Certificate: "certs/a.crt"}) }, `l7.tls["a.od.com"].certificate: "certs/a.crt" is not the path of a file on the edge hosts`},
		{"key is the certificate", func(c *edge.Config) { setTLS(c, "a.od.com", edge.TLS{Certificate: "/a.pem", Key: "/a.pem"}) }, `l7.tls["a.od.com"].key: /a.pem is the certificate: the key stands in a file of its own that only root reads`},

		{"DNS server", func(c *edge.Config) { c.DNSServers[0] = "ns.od.com" }, `dnsServers[0]: "ns.od.com" is not an address`},
		{"Ingress host", func(c *edge.Config) { c.IngressHosts = append(c.IngressHosts, "a b.od.com") }, `ingressHosts: "a b.od.com" is not a host name`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := od()
			tt.change(&c)
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if _, err := edge.Files(c); (err != nil) != (tt.want != "") {
				t.Errorf("Files: %v", err)
			}
		})
	}
}

// All that is wrong comes back at once, and a password is not part of it.
func TestValidateAll(t *testing.T) {
	c := od()
	c.VRID, c.Auth, c.L4.Backends = 0, "much-too-long", nil
	edit(&c, "hdss7-11", func(h *edge.Host) { h.State = "MASTER" })
	err := c.Validate()
	var problems edge.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%T is no Problems", err)
	}
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field.String())
	}
	if d := cmp.Diff([]string{"vrid", "auth", "hosts.hdss7-11.state", "l4.backends"}, fields); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if strings.Contains(err.Error(), "much-too-long") {
		t.Errorf("the password is shown: %s", err)
	}
}

func preempt(c *edge.Config, weight int) { c.Mode, c.Check.Weight = "preempt", weight }

func edit(c *edge.Config, name string, change func(*edge.Host)) {
	h := c.Hosts[name]
	change(&h)
	c.Hosts[name] = h
}

func rename(c *edge.Config, from, to string) {
	c.Hosts[to] = c.Hosts[from]
	delete(c.Hosts, from)
}

func setTLS(c *edge.Config, host string, t edge.TLS) { c.L7.TLS = map[string]edge.TLS{host: t} }
