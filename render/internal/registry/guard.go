// Package registry bounds what a registry of container images can do to who asks it.
package registry

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/publicsuffix"
)

// mostHeaders bounds the headers of an answer, in bytes.
const mostHeaders = 64 << 10

// Transport is the way to registries: one that does not answer is given up.
func Transport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer(nil),
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  20 * time.Second,
		MaxResponseHeaderBytes: mostHeaders,
		ForceAttemptHTTP2:      true,
	}
}

// Guard is between the client of a registry and the network: only TLS, so many requests and
// bytes, and credentials only for the registry and the token server of its own domain
// (auth.docker.io of docker.io).
type Guard struct {
	base      http.RoundTripper
	host      string
	plainHTTP bool
	most      Most
	requests  atomic.Int64 // that are left
	bytes     atomic.Int64 // that are left
}

// Most bounds what one repository may cost: how many requests, and how many bytes all of
// its answers together may have.
type Most struct{ Requests, Bytes int64 }

// NewGuard is a guard for requests to the repositories of a registry, HOST or HOST:PORT.
func NewGuard(base http.RoundTripper, host string, plainHTTP bool, most Most) *Guard {
	g := &Guard{base: base, host: host, plainHTTP: plainHTTP, most: most}
	g.requests.Store(most.Requests)
	g.bytes.Store(most.Bytes)
	return g
}

// Refusal is a request of the registry's that is not made.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// RoundTrip sends a request, or refuses to (Refusal).
func (g *Guard) RoundTrip(req *http.Request) (*http.Response, error) {
	own := req.URL.Host == g.host
	switch {
	case g.requests.Add(-1) < 0:
		return nil, Refusal(fmt.Sprintf("it wants more than %d requests", g.most.Requests))
	case req.URL.Scheme == "https":
	case req.URL.Scheme != "http" || !own:
		return nil, Refusal("it sends to an address without TLS")
	case !g.plainHTTP:
		return nil, Refusal("it has no TLS; --plain-http allows that")
	}
	if !own {
		req = elsewhere(req, hostname(g.host))
	}
	if !own && (net.ParseIP(req.URL.Hostname()) != nil || req.URL.Hostname() == "localhost") {
		return nil, Refusal("it sends to an address in place of a name")
	}
	if secret := req.Header.Get("Authorization") != "" || req.Method != http.MethodGet; secret && !own && !sameDomain(g.host, req.URL.Host) {
		return nil, Refusal("it wants its credentials sent to another domain")
	}
	res, err := g.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &limited{ReadCloser: res.Body, by: g}
	return res, nil
}

// sameDomain says whether two hosts are of one registered domain.
func sameDomain(a, b string) bool {
	x, err := publicsuffix.EffectiveTLDPlusOne(hostname(a))
	if err != nil {
		return false
	}
	y, err := publicsuffix.EffectiveTLDPlusOne(hostname(b))
	return err == nil && strings.EqualFold(x, y)
}

func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

// limited ends an answer that goes on.
type limited struct {
	io.ReadCloser
	by *Guard
}

func (l *limited) Read(p []byte) (int, error) {
	left := l.by.bytes.Load()
	if left <= 0 {
		return 0, Refusal(fmt.Sprintf("it answers with more than %d MiB", l.by.most.Bytes>>20))
	}
	n, err := l.ReadCloser.Read(p[:min(int64(len(p)), left)])
	l.by.bytes.Add(-int64(n))
	return n, err
}
