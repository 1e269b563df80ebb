package look

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// server answers on an address of its own; it returns that and what it was asked for.
func server(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// unused is an address that nobody listens on.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func app(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/missing" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"host":"` + r.Host + `"}`))
}

func nginx(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "nginx")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<html><body><center>nginx</center></body></html>"))
	}
}

// TestMade asks three hops as a trace does and finds the one that made the answer.
func TestMade(t *testing.T) {
	none := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for _, tt := range []struct {
		name              string
		edge, router, pod http.HandlerFunc // nil listens nowhere
		hop               int
		behind, ok        bool
	}{
		{"all answer alike: the pods", app, app, app, 2, false, true},
		{"the pods are not reached from here", app, app, nil, 1, true, true},
		{"neither is the router: it may be any of them", app, nil, nil, 0, true, true},
		{"the router has another answer: the edge made its own", nginx(502), app, app, 0, false, true},
		{"a page of nginx is the edge's, whoever else has one", nginx(502), nginx(502), app, 0, false, true},
		{"the router knows no route", http.NotFound, http.NotFound, app, 1, false, true},
		{"the router is not reached, the pods answer alike", app, nil, app, 2, false, true},
		{"the connection is closed (nginx: 444)", none, app, app, 0, false, false},
		{"nobody listens in front", nil, app, app, 0, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var points []Point
			for i, handler := range []http.HandlerFunc{tt.edge, tt.router, tt.pod} {
				p := Point{Hop: i}
				if p.Address = unused(t); handler != nil {
					p.Address = server(t, handler)
				}
				points = append(points, p)
			}
			answers := Send(t.Context(), target(t, "http://demo.od.com/hello"), points)
			hop, behind, ok := Made(answers)
			if hop != tt.hop || behind != tt.behind || ok != tt.ok {
				t.Errorf("made at %d, behind %v, ok %v; want %d, %v, %v\n%v", hop, behind, ok, tt.hop, tt.behind, tt.ok, answers)
			}
		})
	}
}

func target(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSendGoesNowhereElse holds that a redirect is followed to the same host alone,
// and there at the same address.
func TestSendGoesNowhereElse(t *testing.T) {
	elsewhere := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed to another host") })
	asked := 0
	here := server(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.Host != "demo.od.com" {
			t.Errorf("asked for host %s", r.Host)
		}
		switch r.URL.Path {
		case "/a":
			http.Redirect(w, r, "/b", http.StatusFound)
		case "/b":
			http.Redirect(w, r, "http://"+elsewhere+"/", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop?"+strings.Repeat("x", asked), http.StatusFound)
		}
	})
	a := Send(t.Context(), target(t, "http://user:secret@demo.od.com/a"), []Point{{Address: here}})[0]
	if a.Status != http.StatusFound || a.Location != "http://"+elsewhere+"/" || asked != 2 {
		t.Errorf("got %v after %d requests", a, asked)
	}
	asked = 0
	a = Send(t.Context(), target(t, "http://demo.od.com/loop"), []Point{{Address: here}})[0]
	if asked > maxRedirects+1 || a.Status != http.StatusFound {
		t.Errorf("%d requests, %v", asked, a)
	}
}

// TestSendEnds holds that neither silence nor an endless body keeps a trace.
func TestSendEnds(t *testing.T) {
	endless := server(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	began := time.Now()
	answers := Send(t.Context(), target(t, "http://demo.od.com/"), []Point{{Address: endless}, {Address: silent.Addr().String()}})
	if took := time.Since(began); took > sendTimeout+2*time.Second {
		t.Errorf("took %s", took)
	}
	if answers[0].Status != http.StatusOK || answers[1].Err == nil || !answers[1].unreached() {
		t.Errorf("got %v", answers)
	}
}

// TestSendSaysWhatIsUntrusted asks by TLS a server whose certificate is not that of
// the host.
func TestSendSaysWhatIsUntrusted(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(app))
	t.Cleanup(s.Close)
	a := Send(t.Context(), target(t, "https://demo.od.com/"), []Point{{Address: s.Listener.Addr().String(), TLS: true}})[0]
	if a.Status != http.StatusOK || a.Untrusted == "" || !strings.Contains(a.String(), "certificate that this machine does not trust") {
		t.Errorf("got %v", a)
	}
	for _, secret := range []string{"user", "secret"} {
		if strings.Contains(a.String(), secret) {
			t.Errorf("says %q", secret)
		}
	}
}

// TestSendToOthers sends nothing to this machine or its cloud because a status in the
// cluster says so, but where the URL itself leads there.
func TestSendToOthers(t *testing.T) {
	here := server(t, app)
	for _, c := range []struct {
		url  string
		said bool
		ok   bool
	}{
		{"http://demo.od.com.invalid/", true, false},
		{"http://demo.od.com.invalid/", false, true},
		{"http://127.0.0.2/", true, false},
		{"http://127.0.0.1/", true, true},
		{"http://[::ffff:127.0.0.1]/", true, true},
	} {
		a := Send(t.Context(), target(t, c.url), []Point{{Address: here, Said: c.said}})[0]
		if (a.Err == nil) != c.ok {
			t.Errorf("%s, said %v: %v", c.url, c.said, a)
		}
		if !c.ok && !strings.Contains(a.String(), "127.0.0.1 is no address of a cluster: nothing was sent") {
			t.Errorf("%s: %v", c.url, a)
		}
	}
	for _, address := range []string{"169.254.169.254:80", "100.100.100.200:80", "[fd00:ec2::254]:80", "[64:ff9b::a9fe:a9fe]:80"} {
		if a := Send(t.Context(), target(t, "http://demo.od.com.invalid/"), []Point{{Address: address, Said: true}})[0]; a.Err == nil || !strings.Contains(a.String(), "nothing was sent") {
			t.Errorf("%s: %v", address, a)
		}
	}
}
