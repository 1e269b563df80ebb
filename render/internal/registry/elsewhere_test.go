package registry

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// TestElsewhere leads to names that have addresses of the machine and its link: where the
// user named them they are asked, and where a server did they are not.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	base := Transport().(*http.Transport)
	base.Proxy, base.DialContext = nil, dialer(resolver(t, map[string][4]byte{
		"near.example.": {127, 0, 0, 1}, "metadata.example.": {169, 254, 169, 254}, "any.example.": {0, 0, 0, 0},
		"alibaba.example.": {100, 100, 100, 200}, "shared.example.": {100, 64, 0, 1},
	}))
	for _, c := range []struct{ named, host, refused string }{
		{"near.example", "near.example", ""},
		{"other.example", "near.example", "near.example, which is 127.0.0.1"},
		{"other.example", "any.example", "any.example, which is 0.0.0.0"},
		{"other.example", "metadata.example", "metadata.example, which is 169.254.169.254"},
		{"other.example", "127.0.0.1", "127.0.0.1, which is 127.0.0.1"},
		{"other.example", "169.254.169.254", "which is 169.254.169.254"},
		{"other.example", "[::ffff:169.254.169.254]", "which is 169.254.169.254"},
		{"other.example", "[fe80::1]", "which is fe80::1"},
		{"127.0.0.1", "127.0.0.1", ""},
		{"other.example", "alibaba.example", "alibaba.example, which is 100.100.100.200"},
		{"shared.example", "alibaba.example", "alibaba.example, which is 100.100.100.200"},
		{"other.example", "shared.example", "shared.example, which is 100.64.0.1"},
		{"near.example", "100.64.0.2", "which is 100.64.0.2"},
		{"other.example", "168.63.129.16", "which is 168.63.129.16"},
		{"other.example", "[fd00:ec2::254]", "which is fd00:ec2::254"},
		{"other.example", "[64:ff9b::a9fe:a9fe]", "which is 64:ff9b::a9fe:a9fe"},
	} {
		target := url.URL{Scheme: "http", Host: net.JoinHostPort(strings.Trim(c.host, "[]"), strconv.Itoa(port))}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target.String(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := from{host: c.named, base: base}.RoundTrip(req)
		if err == nil {
			_ = res.Body.Close()
		}
		base.CloseIdleConnections()
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s, which leads to %s: %v, want %q", c.named, c.host, err, c.refused)
		}
	}
}

// TestShared lets a host of a provider's range lead to another one there.
func TestShared(t *testing.T) {
	t.Parallel()
	names := resolver(t, map[string][4]byte{"near.example.": {100, 64, 0, 9}, "far.example.": {10, 0, 0, 1}})
	for _, c := range []struct {
		named, to string
		ok        bool
	}{
		{"near.example", "100.64.0.1:443", true},
		{"100.127.0.9", "100.64.0.1:443", true},
		{"near.example", "100.100.100.200:80", false},
		{"far.example", "100.64.0.1:443", false},
		{"no.example", "100.64.0.1:443", false},
		{"far.example", "10.0.0.2:443", true},
	} {
		l := led{host: "led.example", named: c.named}
		if err := l.outside(t.Context(), names, c.to); (err == nil) != c.ok {
			t.Errorf("%s leads to %s: %v", c.named, c.to, err)
		}
	}
}

// resolver answers for some names with an address, and for all others that they do not exist.
func resolver(t *testing.T, names map[string][4]byte) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, to, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			ip, ok := names[q.Name.String()]
			switch {
			case !ok:
				m.RCode = dnsmessage.RCodeNameError
			case q.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: ip},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(out, to)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}
