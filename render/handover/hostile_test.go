package handover_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/render/handover"
)

// TestHostilePush pushes to registries that lead elsewhere, or on without an end: the
// artifact goes to nobody else.
func TestHostilePush(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("somebody else was asked: %s %s", r.Method, r.URL)
	}))
	t.Cleanup(other.Close)
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	image, err := handover.Artifact(renderEnv(t, "dev"), render.OutputOptions{}, checkout.Origin{Time: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		begin http.HandlerFunc // an upload
		says  string
	}{
		"another host": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere+"/upload")
			w.WriteHeader(http.StatusAccepted)
		}, "it sends to an address without TLS"},
		"another host by TLS": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", strings.Replace(elsewhere, "http:", "https:", 1)+"/upload")
			w.WriteHeader(http.StatusAccepted)
		}, "it sends to an address in place of a name"},
		"another domain": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://other.example/upload")
			w.WriteHeader(http.StatusAccepted)
		}, "it wants its credentials sent to another domain"},
		"in a circle": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, "it wants more than 100 requests"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/v2/":
				case r.Method == http.MethodPost:
					tt.begin(w, r)
				default:
					http.NotFound(w, r)
				}
			}))
			t.Cleanup(server.Close)
			_, _, err := handover.Push(t.Context(), image, strings.TrimPrefix(server.URL, "http://")+"/dev", true)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}
