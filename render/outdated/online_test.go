package outdated

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestOnline asks a registry and a chart repository.
func TestOnline(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, tag := range []string{"v1.0.0", "v1.2.0", "v1.10.0", "v2.0.0-rc.1", "v1.11.0-alpine", "latest"} {
		push(t, host+"/app/shop:"+tag)
	}
	for _, tag := range []string{"1.0.0", "1.3.0_build.1", "1.4.0"} {
		push(t, host+"/charts/web:"+tag)
	}
	charts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "entries:\n  cert-manager:\n  - {version: v1.21.2}\n  - {version: v1.22.0}\n  - {version: v1.23.0-beta.1}\n")
	}))
	t.Cleanup(charts.Close)
	items := []Item{
		{Kind: KindImage, Name: host + "/app/shop", Version: "v1.0.0"},
		{Kind: KindImage, Name: host + "/app/shop", Version: "v1.10.0"},
		{Kind: KindImage, Name: host + "/app/shop", Version: "master_190117_1920"},
		{Kind: KindImage, Name: host + "/app/none", Version: "v1.0.0"},
		{Kind: KindChart, Name: "web", Version: "1.0.0", From: "oci://" + host + "/charts"},
		{Kind: KindChart, Name: "cert-manager", Version: "1.21.2", From: charts.URL},
		{Kind: KindChart, Name: "other", Version: "1.21.2", From: charts.URL},
		{Kind: KindChart, Name: "cert-manager", Version: "1.21.2"},
	}
	newOnline(Options{PlainHTTP: true}).ask(t.Context(), items)
	for n, want := range []string{
		"outdated v1.10.0 ", "current v1.10.0 ", "unknown  its tag is no version that can be compared", "unknown  the registry does not have it",
		"outdated 1.4.0 ", "outdated 1.22.0 ", `unknown  ` + charts.URL + `/ has no chart "other"`, "unknown  the unit does not say where its chart is from (repo)",
	} {
		if got := fmt.Sprintf("%s %s %s", items[n].Status, items[n].Newest, items[n].Why); got != want {
			t.Errorf("%s %s %s: %s, want %s", items[n].Kind, items[n].Name, items[n].Version, got, want)
		}
	}
	items = []Item{{Kind: KindImage, Name: host + "/app/shop", Version: "v1.0.0"}}
	newOnline(Options{}).ask(t.Context(), items)
	if items[0].Why != "it has no TLS; --plain-http allows that" {
		t.Errorf("without --plain-http: %+v", items[0])
	}
}

func push(t *testing.T, image string) {
	t.Helper()
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, empty.Image); err != nil {
		t.Fatal(err)
	}
}

// TestHostile asks registries that answer without an end, with too much, not at all, with
// what acts on a terminal, or that send the asker elsewhere.
func TestHostile(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	var pages atomic.Int64
	tests := []struct {
		name   string
		answer http.HandlerFunc
		why    string
	}{
		{"pages without an end", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?n=1000&last=%d>; rel="next"`, r.URL.Path, pages.Add(1)))
			fmt.Fprint(w, `{"tags": ["v0.1.0"]}`)
		}, "it wants more than 200 requests"},
		{"an answer without an end", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"tags": ["`)
			for range 64 {
				if _, err := io.WriteString(w, strings.Repeat("a", 1<<20)); err != nil {
					return
				}
			}
		}, "it answers with more than 8 MiB"},
		{"headers without an end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("a", 1<<20))
		}, "it cannot be reached"},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "it did not answer in time"},
		{"another host", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, "it sends to an address without TLS"},
		{"another host for the next page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<"+other.URL+`/v2/>; rel="next"`)
			fmt.Fprint(w, `{"tags": []}`)
		}, "its answer is not what a registry says"},
		{"an error that acts on a terminal", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, "{\"errors\": [{\"code\": \"\\u001b[2J\", \"message\": \"::set-env name=x::y\"}]}")
		}, "the registry answers 418"},
		{"what is no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "its answer is not what a registry says"},
		{"a login", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, "it wants a login (docker login)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				tt.answer(w, r)
			}))
			t.Cleanup(server.Close)
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			if tt.name == "silence" {
				ctx, stop = context.WithTimeout(t.Context(), time.Second)
			}
			defer stop()
			items := []Item{{Kind: KindImage, Name: strings.TrimPrefix(server.URL, "http://") + "/a", Version: "v1.0.0"}}
			newOnline(Options{PlainHTTP: true}).ask(ctx, items)
			if items[0].Status != Unknown || items[0].Why != tt.why {
				t.Errorf("%+v, want %s", items[0], tt.why)
			}
			if elsewhere.Load() > 0 {
				t.Error("somebody else was asked")
			}
		})
	}
}

// TestCredentials: those of a registry go to a token server of its domain, and to no other.
func TestCredentials(t *testing.T) {
	var auth atomic.Value
	token := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // its certificate is example.com's
		auth.Store(r.Header.Get("Authorization"))
		fmt.Fprint(w, `{"token": "t"}`)
	}))
	t.Cleanup(token.Close)
	reg := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://example.com/token",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"tags": ["v1.1.0"]}`)
	}))
	t.Cleanup(reg.Close)
	login := base64.StdEncoding.EncodeToString([]byte("me:secret"))
	dir := t.TempDir()
	config := fmt.Sprintf(`{"auths": {"registry.example.com": {"auth": %q}, "registry.example.org": {"auth": %q}}}`, login, login)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	trusting, ok := token.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	trusting.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		to := reg.Listener.Addr().String()
		if strings.HasPrefix(address, "example.com:") {
			to = token.Listener.Addr().String()
		}
		var d net.Dialer
		return d.DialContext(ctx, network, to)
	}
	for _, tt := range []struct{ host, auth, why string }{
		{"registry.example.com", "Basic " + login, ""},
		{"registry.example.org", "", "it wants its credentials sent to another domain"},
	} {
		auth.Store("")
		o := newOnline(Options{PlainHTTP: true})
		o.base = trusting
		items := []Item{{Kind: KindImage, Name: tt.host + "/a", Version: "v1.0.0"}}
		o.ask(t.Context(), items)
		if auth.Load() != tt.auth || items[0].Why != tt.why || tt.why == "" && items[0].Newest != "v1.1.0" {
			t.Errorf("%s: the token server was told %q, and it is %+v", tt.host, auth.Load(), items[0])
		}
	}
}
