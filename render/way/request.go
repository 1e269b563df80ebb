package way

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// request is what travels.
type request struct {
	scheme string // http or https
	host   string // lower case, without port
	port   int
	url    *url.URL
	// forwarded is the scheme that the client used, where a proxy ended its TLS.
	forwarded string
	// anyPath stands for all requests whose path begins so.
	anyPath bool
}

// parse reads a URL, a host, or a host with a path.
func parse(text string) (request, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return request{}, fmt.Errorf("%q is not a URL: %w", text, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return request{}, fmt.Errorf("%q is not a URL of http or https", text)
	case u.Hostname() == "":
		return request{}, fmt.Errorf("%q names no host", text)
	}
	port, err := strconv.Atoi(cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
	if err != nil {
		return request{}, fmt.Errorf("%q: not a port", text)
	}
	u.User, u.Fragment = nil, ""
	if u.Path == "" {
		u.Path = "/"
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	return request{scheme: u.Scheme, host: host, port: port, url: u}, nil
}

// text is the URL as it is printed: without what follows from the scheme.
func (r request) text() string {
	u := *r.url
	u.Scheme, u.Host = r.scheme, r.host
	if strings.Contains(r.host, ":") {
		u.Host = "[" + r.host + "]"
	}
	if r.port != 80 && r.scheme == "http" || r.port != 443 && r.scheme == "https" {
		u.Host = net.JoinHostPort(r.host, itoa(r.port))
	}
	return u.String()
}

// secured is the same request by HTTPS.
func (r request) secured() request {
	u := *r.url
	u.Scheme, u.Host = "https", r.host
	return request{scheme: "https", host: r.host, port: 443, url: &u, anyPath: r.anyPath}
}

// withPath is the same request for another path, given as it is escaped.
func (r request) withPath(path string) request {
	u := *r.url
	if decoded, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = decoded, path
	}
	r.url = &u
	return r
}

// path is the path as the request carries it, escaped.
func (r request) path() string { return r.url.EscapedPath() }

// cleaned is the escaped path without dot segments and doubled slashes, as
// Traefik makes it before it looks for a router (entry point option sanitizePath).
func (r request) cleaned() string {
	p := r.url.JoinPath().EscapedPath()
	if p == "" {
		return "/"
	}
	return p
}

// reserved are the characters that Traefik leaves encoded where it compares paths
// (RFC 3986 section 2.2, and the percent sign).
const reserved = ":/?#[]@!$&'()*+,;=%"

// routingPath is what Traefik compares with the paths of rules.
func (r request) routingPath() string {
	escaped := r.cleaned()
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '%' || i+2 >= len(escaped) {
			b.WriteByte(escaped[i])
			continue
		}
		code := escaped[i : i+3]
		decoded, err := url.PathUnescape(code)
		// Only upper case codes count as reserved: Traefik compares them as text.
		if err != nil || code == strings.ToUpper(code) && strings.Contains(reserved, decoded) {
			decoded = code
		}
		b.WriteString(decoded)
		i += 2
	}
	return b.String()
}

func itoa(n int) string { return strconv.Itoa(n) }
