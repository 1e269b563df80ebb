package edge

import (
	"cmp"
	"slices"
	"strings"
)

// Server is the server block of nginx that takes requests for a host.
type Server struct {
	// Name is the server name that matched; empty for the default server, which
	// closes the connection, or refuses the handshake.
	Name string
	// Redirect sends the client to HTTPS.
	Redirect bool
	// Certificate is the file of the certificate, where TLS ends here.
	Certificate string
}

// Server finds the block for a host on a port as nginx does: the exact name first,
// then the longest wildcard.
func (c Config) Server(host string, port int) Server {
	if t, ok := c.L7.TLS[host]; ok && port == portHTTPS {
		certificate, _ := t.files(host)
		return Server{Name: host, Certificate: certificate}
	} else if ok && port == portHTTP && t.Redirect {
		return Server{Name: host, Redirect: true}
	}
	if port != portHTTP {
		return Server{}
	}
	best := ""
	for _, name := range newData(c).PlainNames {
		if name == host {
			return Server{Name: name}
		}
		if serves(name, host) && len(name) > len(best) {
			best = name
		}
	}
	return Server{Name: best}
}

// Served are the names that the edge passes on.
func (c Config) Served() []string {
	return append([]string{c.L7.Domain, "*." + c.L7.Domain}, c.L7.Names...)
}

// Covers says whether a server block serves a host name.
func (c Config) Covers(host string) bool { return c.covers(host) }

// Ports are the ports that nginx listens on, in ascending order.
func (c Config) Ports() []int { return c.servedPorts() }

// Holders are the edge hosts in the order in which they hold the VIP.
func (c Config) Holders() []string {
	names := c.hostNames()
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(c.Hosts[b].Priority, c.Hosts[a].Priority) })
	return names
}

// serves says whether a server name serves a host. A wildcard of nginx stands for
// any number of labels.
func serves(name, host string) bool {
	return name == host || strings.HasPrefix(name, "*.") && strings.HasSuffix(host, name[1:]) && len(host) >= len(name)
}
