package apply_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// TestSlowServer writes to a server that takes longer for an object than the lock
// lasts, and to one that never answers a write, whether or not it has carried it
// out: the lock is renewed meanwhile, and the write is tried again.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	const lasts = 6 * time.Second
	for name, f := range map[string]fault{
		"answers after more than the lock lasts": {pass: true, do: func(*proxy, http.ResponseWriter) { time.Sleep(lasts + lasts/2) }},
		"never answers":                          {do: func(p *proxy, _ http.ResponseWriter) { p.silent(3 * lasts) }},
		"writes, and never answers":              {after: true, do: func(p *proxy, _ http.ResponseWriter) { p.silent(3 * lasts) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			s.apply(t, s.env(s.home(), unit("app", s.configMap("old", "k", "1"))))
			slow := map[string]bool{}
			p := newProxy(t, cfg)
			p.arm(f, func(_ int, req *http.Request) bool {
				// The first write of each, a new one and one that changes.
				mine := req.Method == http.MethodPatch && strings.Contains(req.URL.Path, "/configmaps/") && !req.URL.Query().Has("dryRun") &&
					!strings.Contains(req.URL.Path, "evenkeel") && !slow[req.URL.Path]
				if mine {
					slow[req.URL.Path] = true
				}
				return mine
			})
			opts := tortureOptions()
			opts.LockDuration = lasts
			proxied := &scenario{namespace: s.namespace, cfg: &rest.Config{Host: p.url()}}
			env := s.env(s.home(), unit("app", s.configMap("old", "k", "2"), s.configMap("new", "k", "1")))
			if _, err := proxied.run(t.Context(), env, opts); err != nil {
				t.Fatal(err)
			}
			if len(slow) != 2 {
				t.Errorf("slow were %v", slow)
			}
			members := s.members(t)
			if members["ConfigMap/old"] != "map[k:2]" || members["ConfigMap/new"] != "map[k:1]" {
				t.Errorf("got %v", members)
			}
		})
	}
}
