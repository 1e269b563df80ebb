package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/seed-428f4edd/evenkeel/internal/reach"
)

// Who answers may lead on to other hosts: by a redirect, a list of archives, or the place
// of its tokens. A name of theirs may have any address, as that of the machine itself,
// or the one where a cloud tells a machine its credentials (169.254.169.254).

// foreign is the key of a led in the context of a request.
type foreign struct{}

// led is a host that the user did not name, and the one that was named.
type led struct{ host, named string }

// elsewhere says of a request that its host was not named by the user, who named another.
func elsewhere(req *http.Request, named string) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), foreign{}, led{host: req.URL.Hostname(), named: named}))
}

// From is a transport for what begins at a host that the user named.
func From(host string) http.RoundTripper { return from{host: host, base: Transport()} }

type from struct {
	host string // without a port
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (f from) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Hostname() != f.host {
		req = elsewhere(req, f.host)
	}
	return f.base.RoundTrip(req)
}

// dialer connects, but where nobody named the host not to this machine, its link or the
// services of its cloud.
// Through a proxy it is the proxy that decides. A nil resolver is the machine's.
func dialer(resolver *net.Resolver) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: 10 * time.Second, Resolver: resolver}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if l, ok := ctx.Value(foreign{}).(led); ok && l.host == host {
			d.Control = func(_, to string, _ syscall.RawConn) error { return l.outside(ctx, resolver, to) }
		}
		return d.DialContext(ctx, network, address)
	}
}

// outside refuses addresses that mean nothing beyond this machine, its link and its cloud.
// In the range that a provider shares with its customers only a host of the range may lead
// to another one.
func (l led) outside(ctx context.Context, resolver *net.Resolver, to string) error {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	refused := reach.Own(ip)
	if !refused && reach.Shared(ip) {
		named, err := resolver.LookupNetIP(ctx, "ip", l.named)
		refused = err != nil || !slices.ContainsFunc(named, reach.Shared)
	}
	if refused {
		return Refusal(fmt.Sprintf("it sends to %s, which is %s: no address of others", l.host, ip))
	}
	return nil
}
