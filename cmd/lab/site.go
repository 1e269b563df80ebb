package main

// The od.com site, as envs/site/od.cue describes it.
const (
	vip          = "10.4.7.10"
	gateway      = "10.4.7.254" // leads nowhere: the lab has no way out
	serviceCIDR  = "192.168.0.0/16"
	podCIDR      = "172.7.0.0/16"
	clusterDNS   = "192.168.0.2"
	nameServer   = "10.4.7.11"
	apiURL       = "https://" + vip + ":7443" // through keepalived and nginx, as on the site
	opsHost      = "hdss7-200"
	kubernetes   = "1.37.1"
	shared       = "/run/lab" // where every host sees the lab's keys and kubeconfigs
	kubeconfig   = shared + "/pki/admin.kubeconfig"
	contextName  = "od"
	tlsName      = "dashboard.od.com"
	zookeeperMax = 64 // MB of heap
)

// host is a machine of the site. The switch is on the operators' host.
type host struct {
	name, address string
	edge, node    bool
	zookeeper     int // the server's number; 0: none
}

func hosts() []host {
	return []host{
		{name: opsHost, address: "10.4.7.200"},
		{name: "hdss7-11", address: nameServer, edge: true, zookeeper: 1},
		{name: "hdss7-12", address: "10.4.7.12", edge: true, zookeeper: 2},
		{name: "hdss7-21", address: "10.4.7.21", node: true, zookeeper: 3},
		{name: "hdss7-22", address: "10.4.7.22", node: true},
	}
}

func hostNamed(name string) (host, bool) {
	for _, h := range hosts() {
		if h.name == name {
			return h, true
		}
	}
	return host{}, false
}

// fqdn is what the host calls itself, and its node.
func (h host) fqdn() string { return h.name + ".host.com" }

// port is the host's interface on the switch; names of interfaces are short.
func (h host) port() string { return "evl" + h.name[len("hdss7-"):] }
