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
	host   string // lower case, without port and without the dot at its end
	dot    string // the dot that the host ended with
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
	name := strings.ToLower(u.Hostname())
	host := strings.TrimSuffix(name, ".")
	return request{scheme: u.Scheme, host: host, dot: name[len(host):], port: port, url: u}, nil
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

// climbs says whether the path leads above the root, as nginx reads it: decoded.
func (r request) climbs() bool {
	depth := 0
	for part := range strings.SplitSeq(r.url.Path, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return true
		}
	}
	return false
}

// Characters of a path by RFC 3986 section 2. Reserved ones, and the percent sign, stay
// encoded where Traefik compares paths; others are decoded before.
const (
	reserved   = ":/?#[]@!$&'()*+,;=%"
	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)

// cleaned is the escaped path without dot segments and doubled slashes, as Traefik makes
// it before it looks for a router: it decodes what need not be encoded, and then makes
// the path clean (entry point option sanitizePath).
func (r request) cleaned() string {
	u := *r.url
	u.RawPath = decoded(u.EscapedPath(), func(char string) bool { return strings.Contains(unreserved, char) })
	p := u.JoinPath().EscapedPath()
	if p == "" {
		return "/"
	}
	return p
}

// routingPath is what Traefik compares with the paths of rules.
func (r request) routingPath() string {
	return decoded(r.cleaned(), func(char string) bool { return !strings.Contains(reserved, char) })
}

// decoded is an escaped path where the characters of a kind are decoded. The codes of
// those that stay are in capital letters.
func decoded(escaped string, kind func(char string) bool) string {
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '%' || i+2 >= len(escaped) {
			b.WriteByte(escaped[i])
			continue
		}
		code := strings.ToUpper(escaped[i : i+3])
		if char, err := url.PathUnescape(code); err == nil && kind(char) {
			code = char
		}
		b.WriteString(code)
		i += 2
	}
	return b.String()
}

func itoa(n int) string { return strconv.Itoa(n) }
