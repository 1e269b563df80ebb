package edge_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// TestServerAgainstNginx holds Config.Server, by which ways are traced, to what a
// real nginx with the rendered files does: for names that are exact, below a
// wildcard and unknown, for paths of all sorts, by HTTP and by HTTPS.
func TestServerAgainstNginx(t *testing.T) {
	t.Parallel()
	c := od()
	c.L7.Names = []string{"www.example.org", "*.example.net", "*.shop.example.net"}
	c.L7.TLS = map[string]edge.TLS{"dashboard.od.com": {Redirect: true}, "both.od.com": {}}
	l := newLab(t)
	h := l.host("hdss7-11", "10.4.7.11", "eth0")
	for name := range c.L7.TLS {
		h.certificate(name)
	}
	l.ingress("10.4.7.21:81")
	l.ingress("10.4.7.22:81")
	h.mustInstall(c)
	hosts := []string{
		"od.com", "demo.od.com", "a.b.od.com", "dashboard.od.com", "x.dashboard.od.com", "both.od.com", "www.example.org",
		"example.org", "a.www.example.org", "a.example.net", "a.shop.example.net", "example.net", "xod.com", "10.4.7.10", "localhost",
	}
	paths := []string{"/", "/a", "/a/", "/a//b", "/a/../b", "/a%2Fb", "/%E4%BD%A0", "/a;b=c", "/a?x=%2F&y"}
	asked := 0
	for _, host := range hosts {
		for _, path := range paths {
			for _, port := range []int{80, 443} {
				asked++
				if want, got := foretold(c.Server(host, port), host, path), l.seen(host, path, port); want != got {
					t.Errorf("port %d, %s%s: nginx %s; the model says %s", port, host, path, got, want)
				}
			}
		}
	}
	t.Logf("%d URLs", asked)
}

// foretold is what the model says of a request.
func foretold(s edge.Server, host, path string) string {
	switch {
	case s.Name == "":
		return "closes the connection"
	case s.Redirect:
		return "redirects to https://" + host + path
	}
	return "passes on " + host + path
}

// seen is what nginx does with a request.
func (l *lab) seen(host, path string, port int) string {
	client, scheme := l.client(), "http"
	if port == 443 {
		scheme = "https"
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{ServerName: host, InsecureSkipVerify: true} //nolint:gosec // the name decides, not the certificate
	}
	status, header, body, err := l.get(client, host, scheme+"://10.4.7.11"+path)
	if err != nil {
		return "closes the connection"
	}
	if status == http.StatusMovedPermanently {
		return "redirects to " + header.Get("Location")
	}
	line := body[strings.LastIndex(strings.TrimSpace(body), "\n")+1:]
	words := strings.Fields(line)
	if status != http.StatusOK || len(words) != 3 {
		return fmt.Sprintf("answers %d", status)
	}
	return "passes on " + words[1]
}
