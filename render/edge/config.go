package edge

import (
	"maps"
	"slices"
)

// Config holds the facts of the hosts in front of one cluster. It is what the CUE
// definition stacks/edge evaluates to, which fills in the defaults, and what the
// environment and its neighbours add to that.
type Config struct {
	// VIP is the virtual address, IPv4.
	VIP string `json:"vip"`
	// VRID is the virtual router id, 1 to 255 (RFC 5798 section 5.2.3), unique on
	// the network segment.
	VRID int `json:"vrid"`
	// Hosts are the edge hosts by name.
	Hosts map[string]Host `json:"hosts"`
	// Mode is preempt, where a host of higher priority takes the VIP back when it
	// recovers, or nopreempt, where the VIP stays: one interruption less.
	Mode string `json:"mode"`
	// Auth is the password of VRRP version 2, 1 to 8 characters, cleartext on the
	// wire; optional. Without it the hosts speak VRRP version 3, which has none
	// (RFC 5798 section 9): a firewall that lets only the peers in is better.
	Auth string `json:"auth,omitempty"`
	// Unicast sends adverts to the other hosts' addresses, not to a multicast
	// group, which clouds and many switches drop.
	Unicast bool `json:"unicast"`
	// AdvertSeconds is the time between adverts; the VIP moves after three.
	AdvertSeconds int   `json:"advertSeconds"`
	Check         Check `json:"check"`
	L4            L4    `json:"l4"`
	L7            L7    `json:"l7"`

	// Site is the name of the site.
	Site string `json:"site"`
	// Network is the range of the nodes' addresses. Where one edge host is in it,
	// the others and the VIP must be. Optional.
	Network string `json:"network,omitempty"`
	// DNSServers are the name servers of the domain, which need the records.
	DNSServers []string `json:"dnsServers,omitempty"`
	// IngressHosts are the host names of all Ingresses of the cluster.
	IngressHosts []string `json:"ingressHosts,omitempty"`
}

// Host is one edge host.
type Host struct {
	Address string `json:"address"`
	// Priority is the VRRP priority, 1 to 254: the highest holds the VIP at first.
	Priority int `json:"priority"`
	// Interface is the network interface that carries the address and the VIP.
	Interface string `json:"interface"`
	// State is the initial state, BACKUP or MASTER; optional: BACKUP.
	State string `json:"state,omitempty"`
}

// Check is the health check that keepalived runs on every host.
type Check struct {
	IntervalSeconds int `json:"intervalSeconds"`
	TimeoutSeconds  int `json:"timeoutSeconds"`
	// Fall and Rise are how many runs in a row change the verdict.
	Fall int `json:"fall"`
	Rise int `json:"rise"`
	// Weight is added to the priority while the check fails: in mode preempt
	// negative and larger than the distance between the priorities, in mode
	// nopreempt 0, where the host gives the VIP up at once. (keepalived 2.2.7:
	// nopreempt with a negative weight leaves the VIP on the dead host.)
	Weight int `json:"weight"`
	// URLs must answer below status 400, beside nginx on all its ports. Best left
	// empty: a URL that leads through nginx to a server behind it fails on every
	// host at once when that server does, and then no host holds the VIP.
	URLs []string `json:"urls,omitempty"`
}

// L4 is the TCP proxy in front of the API servers.
type L4 struct {
	Enabled bool `json:"enabled"`
	Listen  int  `json:"listen"`
	// Backends are the API servers, as address:port.
	Backends []string `json:"backends"`
	// ConnectSeconds bounds the wait for a backend before the next is tried.
	ConnectSeconds int `json:"connectSeconds"`
	// IdleSeconds ends a connection that carries nothing.
	IdleSeconds int `json:"idleSeconds"`
}

// L7 is the HTTP proxy in front of the ingress controller.
type L7 struct {
	// Domain is served with all names below it.
	Domain string `json:"domain"`
	// Names are served too: host names, or wildcards such as *.example.org.
	Names []string `json:"names,omitempty"`
	// Nodes are the addresses of the nodes with an ingress controller.
	Nodes []string `json:"nodes"`
	// Port is the hostPort of the ingress controller.
	Port int `json:"port"`
	// BodySize is the largest body of a request, as nginx writes it: 50m; 0 is no
	// limit.
	BodySize string `json:"bodySize"`
	// ReadSeconds bounds the silence within an answer or a websocket; at least
	// 3600, as watches and kubectl exec are silent for long.
	ReadSeconds int `json:"readSeconds"`
	// TLS are the hosts whose TLS ends at the edge, by name.
	TLS map[string]TLS `json:"tls,omitempty"`
}

// TLS is what a host name needs whose TLS ends at the edge.
type TLS struct {
	// Certificate and Key are files on the edge hosts; optional:
	// /etc/nginx/certs/HOST.crt and .key.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// Redirect sends requests by HTTP to HTTPS; otherwise both are served.
	Redirect bool `json:"redirect"`
}

// What Config.Mode and Host.State say.
const (
	modePreempt   = "preempt"
	modeNoPreempt = "nopreempt"
	stateBackup   = "BACKUP"
	stateMaster   = "MASTER"
)

// Ports that nginx serves HTTP on.
const (
	portHTTP  = 80
	portHTTPS = 443
)

// hostNames are the names of the edge hosts, in order.
func (c Config) hostNames() []string { return slices.Sorted(maps.Keys(c.Hosts)) }

// tlsHosts are the host names whose TLS ends at the edge, in order.
func (c Config) tlsHosts() []string { return slices.Sorted(maps.Keys(c.L7.TLS)) }

// servedPorts are the ports that nginx listens on, in ascending order.
func (c Config) servedPorts() []int {
	ports := []int{portHTTP}
	if c.L4.Enabled {
		ports = append(ports, c.L4.Listen)
	}
	if len(c.L7.TLS) > 0 {
		ports = append(ports, portHTTPS)
	}
	slices.Sort(ports)
	return ports
}

// priorityDistance is how far the highest priority is above the lowest: a host
// whose check fails must fall below every healthy one.
func (c Config) priorityDistance() int {
	lowest, highest := 255, 0
	for _, h := range c.Hosts {
		lowest, highest = min(lowest, h.Priority), max(highest, h.Priority)
	}
	return max(0, highest-lowest)
}

// files are the certificate and the key of a host name.
func (t TLS) files(host string) (certificate, key string) {
	certificate, key = t.Certificate, t.Key
	if certificate == "" {
		certificate = "/etc/nginx/certs/" + host + ".crt"
	}
	if key == "" {
		key = "/etc/nginx/certs/" + host + ".key"
	}
	return certificate, key
}
