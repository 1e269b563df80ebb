package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Who answers may lead on to other hosts: by a redirect, a list of archives, or the place
// of its tokens. A name of theirs may have any address, as that of the machine itself,
// or the one where a cloud tells a machine its credentials (169.254.169.254).

// foreign is the key of a host, in the context of a request, that nobody named.
type foreign struct{}

// elsewhere says of a request that its host was not named by the user.
func elsewhere(req *http.Request) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), foreign{}, req.URL.Hostname()))
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
		req = elsewhere(req)
	}
	return f.base.RoundTrip(req)
}

// dialer connects, but where nobody named the host not to this machine or its link.
// Through a proxy it is the proxy that decides. A nil resolver is the machine's.
func dialer(resolver *net.Resolver) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: 10 * time.Second, Resolver: resolver}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if host == ctx.Value(foreign{}) {
			d.Control = func(_, to string, _ syscall.RawConn) error { return outside(host, to) }
		}
		return d.DialContext(ctx, network, address)
	}
}

// outside refuses addresses that mean nothing beyond this machine and its link.
func outside(host, to string) error {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	if ip := at.Addr().Unmap(); ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() {
		return Refusal(fmt.Sprintf("it sends to %s, which is %s: no address of others", host, ip))
	}
	return nil
}
