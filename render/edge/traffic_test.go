package edge_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// standIn is an ingress controller that says its name and what it was asked.
type standIn struct {
	*httptest.Server
	requests atomic.Int64
}

// ingress starts a stand-in on an address of the switch.
func (l *lab) ingress(addr string) *standIn {
	l.t.Helper()
	s := &standIn{}
	s.Server = &httptest.Server{Listener: l.listen(addr), Config: &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.requests.Add(1)
			if r.Header.Get("Upgrade") == "websocket" {
				echo(w)
				return
			}
			w.Header().Set("Backend", addr)
			for _, name := range []string{"X-Real-Ip", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Connection"} {
				fmt.Fprintf(w, "%s: %s\n", name, strings.Join(r.Header.Values(name), "|"))
			}
			fmt.Fprintf(w, "%s %s%s %s\n", r.Method, r.Host, r.URL, r.Proto)
		}),
	}}
	s.Start()
	l.t.Cleanup(s.Close)
	return s
}

// echo takes a websocket's connection over and sends back what it reads.
func echo(w http.ResponseWriter) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	_, _ = io.Copy(conn, buf)
}

// apiServer starts a stand-in with TLS of its own on an address of the switch.
func (l *lab) apiServer(addr string) *httptest.Server {
	l.t.Helper()
	s := &httptest.Server{Listener: l.listen(addr), Config: &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.RemoteAddr[:strings.LastIndex(r.RemoteAddr, ":")], " ", r.TLS != nil, " ", r.URL.Path)
		}),
	}}
	s.StartTLS()
	l.t.Cleanup(s.Close)
	return s
}

// get asks for a URL with a Host of its own and says what came: status and body.
func (l *lab) get(client *http.Client, host, url string) (int, http.Header, string, error) {
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, "", err
	}
	req.Host = host
	req.Header.Set("X-Forwarded-For", "6.6.6.6") // what a client claims
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(body), err
}

// Requests through a real nginx, to two ingress controllers and two API servers of
// which one dies.
func TestTraffic(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	h := l.host("hdss7-11", "10.4.7.11", "eth0")
	h.certificate("dashboard.od.com")
	first, second := l.ingress("10.4.7.21:81"), l.ingress("10.4.7.22:81")
	l.apiServer("10.4.7.21:6443")
	lostAPI := l.apiServer("10.4.7.22:6443")
	h.mustInstall(od())
	plain := l.client()

	t.Run("headers", func(t *testing.T) {
		status, header, body, err := l.get(plain, "demo-prod.od.com", "http://10.4.7.11/hello?a=b%2Fc")
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %v", status, err)
		}
		want := "X-Real-Ip: 10.4.7.1\nX-Forwarded-For: 10.4.7.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: demo-prod.od.com\n" +
			"X-Forwarded-Port: 80\nConnection: \nGET demo-prod.od.com/hello?a=b%2Fc HTTP/1.1\n"
		if d := cmp.Diff(want, body); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		if got := header.Get("Server"); got != "nginx" {
			t.Errorf("Server: %s, want nginx without a version", got)
		}
	})

	t.Run("names that nobody declared", func(t *testing.T) {
		for _, host := range []string{"od.example", "10.4.7.11", "xod.com"} {
			if status, _, _, err := l.get(plain, host, "http://10.4.7.11/"); err == nil {
				t.Errorf("%s: status %d, want the connection closed", host, status)
			}
		}
	})

	t.Run("TLS host", func(t *testing.T) {
		status, header, _, err := l.get(plain, "dashboard.od.com", "http://10.4.7.11/a?b=c")
		if err != nil || status != http.StatusMovedPermanently || header.Get("Location") != "https://dashboard.od.com/a?b=c" {
			t.Errorf("by HTTP: %d to %q: %v", status, header.Get("Location"), err)
		}
		status, _, body, err := l.get(secure(t, h, "dashboard.od.com"), "dashboard.od.com", "https://10.4.7.11/a")
		if err != nil || status != http.StatusOK {
			t.Fatalf("by HTTPS: %d %v", status, err)
		}
		for _, want := range []string{"X-Forwarded-Proto: https\n", "X-Forwarded-Port: 443\n", "GET dashboard.od.com/a "} {
			if !strings.Contains(body, want) {
				t.Errorf("the ingress controller did not see %q:\n%s", want, body)
			}
		}
		if _, _, _, err := l.get(secure(t, h, "other.od.com"), "other.od.com", "https://10.4.7.11/"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("a name without a certificate: %v, want the handshake refused", err)
		}
	})

	t.Run("websocket", func(t *testing.T) { websocket(t, l) })

	t.Run("an ingress controller dies", func(t *testing.T) {
		ask := func(n int) (failed int) {
			for range n {
				if status, _, _, err := l.get(plain, "demo-prod.od.com", "http://10.4.7.11/"); err != nil || status != http.StatusOK {
					failed++
				}
			}
			return failed
		}
		if failed := ask(40); failed != 0 || first.requests.Load() < 10 || second.requests.Load() < 10 {
			t.Fatalf("both live: %d of 40 requests failed; the first had %d, the second %d", failed, first.requests.Load(), second.requests.Load())
		}
		second.Close()
		before := first.requests.Load()
		if failed := ask(200); failed != 0 || first.requests.Load() != before+200 {
			t.Errorf("one dead: %d of 200 requests failed, %d came to the one that lives", failed, first.requests.Load()-before)
		}
	})

	t.Run("an API server dies", func(t *testing.T) {
		api := l.client()
		api.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a stand-in
		ask := func(n int) (failed int) {
			for range n {
				status, _, body, err := l.get(api, "", "https://10.4.7.11:7443/readyz")
				if err != nil || status != http.StatusOK || body != "10.4.7.11 true /readyz" {
					failed++
				}
			}
			return failed
		}
		if failed := ask(20); failed != 0 {
			t.Errorf("both live: %d of 20 requests failed", failed)
		}
		lostAPI.Close()
		if failed := ask(50); failed != 0 {
			t.Errorf("one dead: %d of 50 requests failed", failed)
		}
	})
}

// secure is a client that trusts the host's certificate of dashboard.od.com, and
// asks for a name.
func secure(t *testing.T, h *labHost, name string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(h.etc, "nginx/certs/dashboard.od.com.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	client := h.client()
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12}
	return client
}

// websocket upgrades a connection and sends bytes both ways.
func websocket(t *testing.T, l *lab) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := l.dial(ctx, "tcp4", "10.4.7.11:80")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /exec HTTP/1.1\r\nHost: demo-prod.od.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("no upgrade: %v %v", resp, err)
	}
	for _, msg := range []string{"ping\n", "pong\n"} {
		fmt.Fprint(conn, msg)
		if got, err := r.ReadString('\n'); err != nil || got != msg {
			t.Fatalf("sent %q, got %q: %v", msg, got, err)
		}
	}
}

// The virtual address moves when nginx dies on its host, and when the host is cut
// off; it stays or returns as configured, requests to it go on, and a probe says
// what is wrong.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode    string
		weight  int
		auth    string
		limit   time.Duration
		returns bool
	}{
		{"nopreempt", 0, "", 5 * time.Second, false},
		// with a weight the other host waits for three adverts before it takes over
		{"preempt", -20, "geheim", 8 * time.Second, true},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			c := od()
			c.Mode, c.Check.Weight, c.Auth = tt.mode, tt.weight, tt.auth
			c.L7.TLS = nil
			l := newLab(t)
			a, b := l.host("hdss7-11", "10.4.7.11", "eth0"), l.host("hdss7-12", "10.4.7.12", "eth0")
			l.ingress("10.4.7.21:81")
			l.apiServer("10.4.7.21:6443")
			a.mustInstall(c)
			l.eventually(10*time.Second, "the VIP on A", func() bool { return a.holds(c.VIP) })
			b.mustInstall(c)
			l.served("A")

			l.stays(time.Second, a, b)
			if out, err := a.run("nginx", "-s", "stop"); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			died := time.Now()
			l.eventually(tt.limit, "the VIP on B, after A's check fails", func() bool { return b.holds(c.VIP) && !a.holds(c.VIP) })
			t.Logf("%s: the VIP moved %s after nginx died on its host", tt.mode, time.Since(died).Round(100*time.Millisecond))
			l.served("B")
			l.probed(c, "edge hdss7-11 (10.4.7.11): nginx does not answer on 80, 7443: connection refused\n"+
				"edge hdss7-12 (10.4.7.12): nginx answers on 80, 7443\n"+
				"edge VIP 10.4.7.10: nginx answers on 80, 7443, held by hdss7-12\n")

			if out, err := a.run("nginx"); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			if tt.returns {
				l.eventually(12*time.Second, "the VIP back on A", func() bool { return a.holds(c.VIP) && !b.holds(c.VIP) })
				l.served("A again")
				return
			}
			l.stays(4*time.Second, b, a)
			l.served("B still")

			b.plug("down")
			cut := time.Now()
			l.eventually(tt.limit, "the VIP on A, after B is cut off", func() bool { return a.holds(c.VIP) })
			t.Logf("%s: the VIP moved %s after its host was cut off", tt.mode, time.Since(cut).Round(100*time.Millisecond))
			l.served("A again")
			l.probed(c, "edge hdss7-11 (10.4.7.11): nginx answers on 80, 7443\n"+
				"edge hdss7-12 (10.4.7.12): no answer on 80, 7443 within 2s\n"+
				"edge VIP 10.4.7.10: nginx answers on 80, 7443, held by hdss7-11\n")
		})
	}
}

// probed expects what a probe says.
func (l *lab) probed(c edge.Config, want string) {
	l.t.Helper()
	if d := cmp.Diff(want, l.probe(c)); d != "" {
		l.t.Errorf("probe, -want +got:\n%s", d)
	}
}

// stays expects that one host holds the VIP, and the other not, for some time.
func (l *lab) stays(d time.Duration, holder, other *labHost) {
	l.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if !holder.holds(od().VIP) || other.holds(od().VIP) {
			l.t.Fatalf("%s does not hold the VIP alone", holder.name)
		}
	}
}

// served expects answers of both layers on the VIP.
func (l *lab) served(by string) {
	l.t.Helper()
	client := l.client()
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a stand-in
	for host, url := range map[string]string{"demo.od.com": "http://10.4.7.10/", "": "https://10.4.7.10:7443/readyz"} {
		if status, _, _, err := l.get(client, host, url); err != nil || status != http.StatusOK {
			l.t.Errorf("by %s: %s: %d %v", by, url, status, err)
		}
	}
}
