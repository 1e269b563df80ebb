package ui

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// noCluster is an environment whose cluster cannot be reached.
func noCluster(name string) Environment {
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": name, "name": "settings"}}}
	return Environment{
		Desired: &schema.Environment{Name: name, Namespace: name, Units: []schema.Unit{{Name: "web", Objects: []schema.Object{{Unstructured: object}}}}},
		Connect: func() (*apply.Cluster, error) { return nil, context.DeadlineExceeded },
		Graph:   func(string, []apply.UnitStatus) string { return "<!doctype html><p>picture" },
		Trace: func(_ context.Context, _, url string) (*Trace, error) {
			return &Trace{URL: url, Says: "is answered", Hops: []Hop{{Kind: "pods", Name: "<b>"}}}, nil
		},
		URLs: []string{"http://shop.example.org/"},
	}
}

func newServer(t *testing.T, address string, envs ...Environment) *Server {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(addr, Options{Viewer: func(string) Viewer { return Viewer{Environments: envs} }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRefused holds who is not answered, and that a refusal says nothing.
func TestRefused(t *testing.T) {
	s := newServer(t, "127.0.0.1:8700", noCluster("prod"))
	page := s.Path() + "en/env/prod/"
	for _, tt := range []struct {
		name, method, path, host string
		header                   map[string]string
		code                     int
	}{
		{name: "the page", path: page, code: 200},
		{name: "by another name of the machine", path: page, host: "localhost:8700", code: 200},
		{name: "names have no case", path: page, host: "LOCALHOST:8700", code: 200},
		{name: "a name that was bound to the address (DNS rebinding)", path: page, host: "evil.example.org:8700", code: 403},
		{name: "the right name with another port", path: page, host: "127.0.0.1:80", code: 403},
		{name: "without a port", path: page, host: "127.0.0.1", code: 403},
		{name: "no host", path: page, host: " ", code: 403},
		{name: "the page's own origin", path: page, header: map[string]string{"Origin": "http://127.0.0.1:8700"}, code: 200},
		{name: "another origin", path: page, header: map[string]string{"Origin": "https://evil.example.org"}, code: 403},
		{name: "an origin that is none", path: page, header: map[string]string{"Origin": "null"}, code: 403},
		{name: "the origin of another port of the machine", path: page, header: map[string]string{"Origin": "http://127.0.0.1:8080"}, code: 403},
		{name: "an image of another page", path: page, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, code: 403},
		{name: "a page of another port", path: page, header: map[string]string{"Sec-Fetch-Site": "same-site"}, code: 403},
		{name: "no token", path: "/en/env/prod/", code: 403},
		{name: "the root", path: "/", code: 403},
		{name: "a token that is off by one", path: page[:5] + "0" + page[6:], code: 403},
		{name: "a part of the token", path: page[:10] + "/en/", code: 403},
		{name: "what needs no secret needs the token, too", path: "/static/ui.js", code: 403},
		{name: "writing", method: "POST", path: page, code: 405},
		{name: "preflight", method: "OPTIONS", path: page, code: 405},
		{name: "an environment that is not there", path: s.Path() + "en/env/dev/", code: 404},
		{name: "a language that is not there", path: s.Path() + "fr/", code: 404},
		{name: "a file that is not of the page", path: s.Path() + "static/..%2fpage%2ftop.html", code: 404},
	} {
		r := httptest.NewRequest(orGet(tt.method), tt.path, nil)
		r.Host = "127.0.0.1:8700"
		if tt.host != "" {
			r.Host = strings.TrimSpace(tt.host)
		}
		for name, value := range tt.header {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.code {
			t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.code)
		}
		if tt.code == 403 && (strings.Contains(w.Body.String(), "prod") || strings.Contains(w.Body.String(), s.token)) {
			t.Errorf("%s: the refusal says %q", tt.name, w.Body)
		}
		h := w.Header()
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", tt.name, h)
		}
	}
}

func orGet(method string) string {
	if method == "" {
		return http.MethodGet
	}
	return method
}

// TestListen holds that the page is not on every address of the machine by accident.
func TestListen(t *testing.T) {
	for _, address := range []string{"0.0.0.0:8700", "[::]:8700"} {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(addr, Options{}); err == nil {
			t.Errorf("%s is listened on", address)
		}
	}
	s := newServer(t, "[::1]:8700", noCluster("prod"))
	if !s.hosts["[::1]:8700"] || !s.hosts["localhost:8700"] || s.hosts["127.0.0.1:8700"] {
		t.Errorf("got %v", s.hosts)
	}
	if other := newServer(t, "127.0.0.1:8700"); other.token == s.token || len(s.token) < 26 {
		t.Errorf("tokens %q and %q", s.token, other.token)
	}
}

// TestViewsWithoutCluster holds that every view answers and says that the cluster does
// not, in both languages, and that nothing becomes markup.
func TestViewsWithoutCluster(t *testing.T) {
	s := newServer(t, "127.0.0.1:8700", noCluster("prod"))
	for _, lang := range []string{"en", "zh"} {
		for path, want := range map[string]string{
			"": "prod", "env/prod/": "web", "env/prod/unit/web": "web", "env/prod/unit/none": "no unit", "env/prod/plan": "deadline", "env/prod/history": "deadline",
			"env/prod/history/1": "deadline", "env/prod/graph": "iframe", "env/prod/trace": "http://shop.example.org/", "env/prod/trace?url=http://x'/$(id)": `&#39;\&#39;&#39;`,
			"env/prod/logs": "app", "env/prod/logs?app=web": "deadline", "env/prod/events": "deadline", "env/prod/graph.html": "picture",
		} {
			w := get(s, lang+"/"+path)
			if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s %q: %d, no %q in\n%s", lang, path, w.Code, want, w.Body)
			}
			if strings.Contains(w.Body.String(), "<b>") {
				t.Errorf("%s %q: markup of others", lang, path)
			}
		}
	}
}

func get(s *Server, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, s.Path()+strings.ReplaceAll(path, "$(id)", "$(id)"), nil)
	r.Host = "127.0.0.1:8700"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

var inTemplates = regexp.MustCompile(`\.T "([^"]+)"`)

// TestWords holds that every text of the templates has Chinese words with the same
// values in them.
func TestWords(t *testing.T) {
	entries, err := os.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	words, found := chinese(), map[string]bool{}
	for _, e := range entries {
		text, err := os.ReadFile("page/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inTemplates.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
			if other, ok := words[m[1]]; !ok || strings.Count(other, "%") != strings.Count(m[1], "%") {
				t.Errorf("%s: %q has the Chinese words %q", e.Name(), m[1], other)
			}
		}
	}
	for _, text := range []string{"healthy", "progressing", "failed", "unknown", "paused", "scaled past git", noToken, notKnown, notAsked, tooMany, sessionsUp} {
		found[text] = true
	}
	for text := range words {
		if !found[text] {
			t.Errorf("no template says %q", text)
		}
	}
}
