package reconcile_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// breaking is a transport that panics, as code that meets what it was not written for
// does: in the goroutine that reads, whichever that is.
type breaking struct {
	http.RoundTripper
	on *atomic.Pointer[func(*http.Request) bool]
}

func (b breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	if on := b.on.Load(); on != nil && (*on)(r) {
		panic("s3cret of " + r.URL.Path)
	}
	return b.RoundTripper.RoundTrip(r)
}

// TestPanic breaks the reading, the planning and the watching of one environment: it is
// not ready, the error quotes nothing, and the other one is kept level all the while.
func TestPanic(t *testing.T) {
	t.Parallel()
	sound, broken := newWorld(t, 4), newWorld(t, 4)
	sound.apply(sound.env)
	broken.apply(broken.env)
	lists := func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/configmaps") && r.URL.Query().Get("watch") == ""
	}
	var on atomic.Pointer[func(*http.Request) bool]
	on.Store(&lists)
	d := sound.start(func(o *reconcile.DaemonOptions) {
		o.Render = func(_ context.Context, last string) (*reconcile.Rendering, error) {
			if last == "v1" {
				return nil, nil
			}
			return &reconcile.Rendering{Version: "v1", Environments: []*schema.Environment{sound.env, broken.env}}, nil
		}
		o.Connect = func(env *schema.Environment) (*apply.Cluster, error) {
			cfg := rest.CopyConfig(sound.cfg)
			if env.Name == broken.namespace {
				cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return breaking{rt, &on} })
			}
			return apply.Connect(cfg)
		}
	})
	d.until("a plan broke down", func() bool {
		_, says := d.get("/readyz")
		return strings.Contains(says, broken.namespace+": failed") && !strings.Contains(says, sound.namespace)
	})
	on.Store(nil)
	d.ready()
	for name, breaks := range map[string]func(*http.Request) bool{
		"reads":  func(r *http.Request) bool { return r.Method == http.MethodGet },
		"writes": func(r *http.Request) bool { return r.Method == http.MethodPatch },
	} {
		on.Store(&breaks)
		broken.edit("m0", "edited: "+name, "kubectl-edit")
		d.until(name+": the environment is not ready", func() bool {
			_, says := d.get("/readyz")
			return strings.Contains(says, "environment "+broken.namespace) && !strings.Contains(says, sound.namespace)
		})
		sound.edit("m0", "edited: "+name, "kubectl-edit")
		sound.is("m0", "v1")
		on.Store(nil)
		broken.is("m0", "v1")
		d.ready()
	}
	if log := d.log.String(); !strings.Contains(log, "evenkeel broke down: panic with a string at ") || strings.Contains(log, "s3cret") {
		t.Errorf("log:\n%s", log)
	}
}
