package apply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// blight stands in front of the API server, speaks HTTP/2 as it does, and once it
// is armed spoils the watches or all that is read.
type blight struct {
	server  *httptest.Server
	forward *httputil.ReverseProxy
	spoil   func(w http.ResponseWriter, req *http.Request)
	all     bool // all requests, not the watches alone

	mu      sync.Mutex
	armed   bool
	changed chan struct{} // closed when armed changes
	silent  bool          // open watches go silent instead of ending
	spoilt  int
	reads   int
}

func newBlight(t *testing.T, cfg *rest.Config, row gateFault, all bool) *blight {
	t.Helper()
	target, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := &blight{spoil: row.spoil, silent: row.silent, all: all, changed: make(chan struct{})}
	b.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	b.server = httptest.NewUnstartedServer(b)
	b.server.EnableHTTP2 = !row.http1
	b.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.server.StartTLS()
	t.Cleanup(func() {
		b.arm(false)
		b.server.CloseClientConnections()
		b.server.Close()
	})
	return b
}

func (b *blight) config() *rest.Config {
	return &rest.Config{Host: b.server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
}

// arm begins or ends the trouble. Open watches end with it, or go silent.
func (b *blight) arm(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.armed != on {
		b.armed = on
		close(b.changed)
		b.changed = make(chan struct{})
	}
}

// disarm ends the trouble as soon as it has spoilt something: a gate that only
// watches may have nothing to read for a while.
func (b *blight) disarm() {
	b.mu.Lock()
	spoilt := b.spoilt
	b.mu.Unlock()
	if spoilt == 0 {
		time.AfterFunc(100*time.Millisecond, b.disarm)
		return
	}
	b.arm(false)
}

func (b *blight) state() (armed bool, changed chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.armed, b.changed
}

// ServeHTTP implements http.Handler.
func (b *blight) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	armed, changed := b.state()
	watching := req.URL.Query().Get("watch") == "true"
	b.mu.Lock()
	if armed && req.Method == http.MethodGet {
		b.reads++
	}
	if armed && (watching || b.all) {
		b.spoilt++
	}
	b.mu.Unlock()
	switch {
	case armed && (watching || b.all):
		b.spoil(w, req)
	case watching && b.silent:
		b.forward.ServeHTTP(&mute{ResponseWriter: w, b: b}, req)
	case watching:
		ctx, cancel := context.WithCancel(req.Context())
		defer cancel()
		go func() {
			select {
			case <-changed:
				cancel()
			case <-ctx.Done():
			}
		}()
		b.forward.ServeHTTP(w, req.WithContext(ctx))
	default:
		b.forward.ServeHTTP(w, req)
	}
}

// mute swallows what is written while the trouble lasts, as a connection does
// whose other end is gone.
type mute struct {
	http.ResponseWriter
	b *blight
}

func (m *mute) Write(p []byte) (int, error) {
	m.b.mu.Lock()
	armed := m.b.armed
	if armed {
		m.b.spoilt++
	}
	m.b.mu.Unlock()
	if armed {
		return len(p), nil
	}
	return m.ResponseWriter.Write(p)
}

func (m *mute) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// gateFault is one kind of trouble.
type gateFault struct {
	name          string
	spoil         func(w http.ResponseWriter, req *http.Request)
	silent, http1 bool
}

func gateFaults() []gateFault {
	status := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, code) }
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	hang := func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
	return []gateFault{
		{name: "401", spoil: status(http.StatusUnauthorized)},
		{name: "429", spoil: status(http.StatusTooManyRequests)},
		{name: "500", spoil: status(http.StatusInternalServerError)},
		{name: "503", spoil: status(http.StatusServiceUnavailable)},
		{name: "closed at once", spoil: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
		}},
		{name: "reset", http1: true, spoil: func(w http.ResponseWriter, _ *http.Request) { drop(w) }},
		{name: "RST_STREAM", spoil: abort},
		{name: "no answer", spoil: hang},
		{name: "goes silent", silent: true, spoil: func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-req.Context().Done()
		}},
		{name: "garbled", spoil: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{\"type\":\"ADDED\",\x00<html>"))
		}},
	}
}

// TestGateThroughFaults spoils the watches of a gate, for good, and then all
// requests, for some seconds, while its pods are ready after ten. A release that
// is healthy is never called anything else.
func TestGateThroughFaults(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for _, row := range gateFaults() {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, all %t", row.name, all), func(t *testing.T) {
				t.Parallel()
				s := newScenario(t, cfg)
				b := newBlight(t, cfg, row, all)
				s.cfg = b.config()
				opts := gated()
				opts.On = b.atFirstSight(func() {
					if all {
						time.AfterFunc(6*time.Second, b.disarm)
					}
				})
				started := time.Now()
				_, err := s.run(t.Context(), s.slow("x:slow"), opts)
				took := time.Since(started)
				t.Logf("after %s, %d requests spoilt, %d reads: %v", took.Round(time.Second), b.spoilt, b.reads, err)
				var unhealthy *health.NotHealthy
				switch {
				case b.spoilt == 0:
					t.Error("nothing was spoilt: this shows nothing")
				case row.name == "401" && all:
					if exitCode(err) != 2 || errors.As(err, &unhealthy) || !strings.Contains(err.Error(), "no longer accepts the credentials") {
						t.Errorf("credentials that are refused: %v", err)
					}
				case err != nil:
					t.Error(err)
				}
				if took > 40*time.Second {
					t.Errorf("it took %s", took)
				}
				// Four streams; client-go itself sends a watch again, each second for ten
				// seconds, whose connection is reset.
				if limit := 80 + 4*int(took.Seconds()); b.reads > limit {
					t.Errorf("%d reads in the trouble, more than %d", b.reads, limit)
				}
			})
		}
	}
}

// atFirstSight arms the blight when the gate has seen that pods are not ready.
func (b *blight) atFirstSight(then func()) func(apply.Event) {
	var once sync.Once
	return func(e apply.Event) {
		if e.Phase == apply.PhaseGate && e.Kind == "Deployment" && strings.Contains(e.Message, "pod ") {
			once.Do(func() { b.arm(true); then() })
		}
	}
}

func (s *scenario) slow(image string) *schema.Environment {
	return s.env(s.home(), unit("web", s.deployment("web", image)))
}

// TestGateWithoutAnswer ends without a verdict: nothing is known of the release, so
// nothing is said of it that would have it rolled back.
func TestGateWithoutAnswer(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for _, c := range []struct {
		name  string
		lock  time.Duration
		allow time.Duration // timeout
		want  []string
	}{
		{"the time is over", 5 * time.Minute, 5 * time.Second, []string{"not known to be healthy after 5s: ", "no answer from the API server since 20"}},
		{"the lock is lost", 40 * time.Second, 5 * time.Minute, []string{"the lock of evenkeel-", "no answer from the API server since 20"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			b := newBlight(t, cfg, gateFault{http1: true, spoil: func(w http.ResponseWriter, _ *http.Request) { drop(w) }}, true)
			s.cfg = b.config()
			opts := gated()
			opts.Timeout, opts.LockDuration = c.allow, c.lock
			var told []string
			first := b.atFirstSight(func() {})
			opts.On = func(e apply.Event) {
				first(e)
				told = append(told, e.Message)
			}
			started := time.Now()
			_, err := s.run(t.Context(), s.slow("x:never-ready"), opts)
			var unhealthy *health.NotHealthy
			if exitCode(err) != 2 || errors.As(err, &unhealthy) {
				t.Fatalf("ended with %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
			if all := strings.Join(told, "\n"); !strings.Contains(all, "no answer from the API server since 20") {
				t.Errorf("the progress does not say it:\n%s", all)
			}
			// What ends it, and the tries to say why and to give the lock back.
			if took := time.Since(started); took > min(c.lock, c.allow)+time.Minute {
				t.Errorf("ended after %s", took.Round(time.Second))
			}
		})
	}
}

// TestGateFailsThroughFaults has a release that is broken, and no watch: that is
// found by reading, long before the time is over.
func TestGateFailsThroughFaults(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	s := newScenario(t, cfg)
	b := newBlight(t, cfg, gateFault{spoil: func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusServiceUnavailable) }}, false)
	b.arm(true)
	s.cfg = b.config()
	_, err := s.run(t.Context(), s.slow("x:broken-pull"), gated())
	var unhealthy *health.NotHealthy
	if !errors.As(err, &unhealthy) || unhealthy.After != 0 || !strings.Contains(err.Error(), "ImagePullBackOff") {
		t.Errorf("got %v", err)
	}
}
