package apply_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
)

// proxy stands in front of the API server, without TLS and credentials.
type proxy struct {
	server  *httptest.Server
	forward *httputil.ReverseProxy

	mu      sync.Mutex
	fault   fault
	breaks  func(count int, req *http.Request) bool // asked for every request
	child   *exec.Cmd
	count   int
	broken  string
	writes  []string // method and path
	closing chan struct{}
}

func newProxy(t *testing.T, cfg *rest.Config) *proxy {
	t.Helper()
	target, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{closing: make(chan struct{}), breaks: func(int, *http.Request) bool { return false }}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p.server = httptest.NewServer(p)
	t.Cleanup(func() { p.close() })
	return p
}

func (p *proxy) url() string { return p.server.URL }

// arm says what is to happen, and at which request.
func (p *proxy) arm(f fault, breaks func(count int, req *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.breaks = f, breaks
}

// start starts the process that signals are for.
func (p *proxy) start(t *testing.T, child *exec.Cmd) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.child = child
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
}

func (p *proxy) signal(s os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.child.Process.Signal(s)
}

// close ends the proxy and returns how many requests there were.
func (p *proxy) close() int {
	p.mu.Lock()
	select {
	case <-p.closing:
	default:
		close(p.closing)
	}
	n := p.count
	p.mu.Unlock()
	p.server.CloseClientConnections()
	p.server.Close()
	return n
}

// wrote are the requests that write, reviews and dry-runs left out.
func (p *proxy) wrote() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.writes)
}

func (p *proxy) deleted() []string { return deletions(p.wrote()) }

// deletions are the paths of the requests that delete.
func deletions(requests []string) []string {
	var paths []string
	for _, request := range requests {
		if path, ok := strings.CutPrefix(request, http.MethodDelete+" "); ok {
			paths = append(paths, path)
		}
	}
	return paths
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	p.count++
	mine := p.breaks(p.count, req)
	if mine {
		p.broken = req.Method + " " + req.URL.String()
	}
	if req.Method != http.MethodGet && !req.URL.Query().Has("dryRun") && !strings.Contains(req.URL.Path, "/selfsubject") {
		p.writes = append(p.writes, req.Method+" "+req.URL.Path)
	}
	f := p.fault
	p.mu.Unlock()
	if !mine {
		p.forward.ServeHTTP(w, req)
		return
	}
	if f.after {
		// The answer is lost, the deed is not.
		p.forward.ServeHTTP(httptest.NewRecorder(), req.WithContext(context.WithoutCancel(req.Context())))
	} else if !f.pass {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	f.do(p, w)
	if f.pass {
		p.forward.ServeHTTP(w, req)
	}
}

// hang keeps a request waiting for longer than any client does.
func (p *proxy) hang() {
	p.silent(5 * time.Second)
}

// silent keeps a request without an answer.
func (p *proxy) silent(d time.Duration) {
	select {
	case <-p.closing:
	case <-time.After(d):
	}
}

// drop ends the connection without an answer.
func drop(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, not an orderly end
	}
	_ = conn.Close()
}

// answer is an error as the API server words it.
func answer(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
		"message": fmt.Sprintf("made up by the test: %d", code), "reason": strings.ReplaceAll(http.StatusText(code), " ", ""),
	})
}

// exitCode is what a command would exit with.
func exitCode(err error) int {
	var refused *hint.Refused
	var interrupted *apply.Interrupted
	var notGone *apply.NotGone
	switch {
	case errors.As(err, &notGone):
		return 3
	case err == nil:
		return 0
	case errors.As(err, &refused):
		return 4
	case errors.As(err, &interrupted):
		return 130
	}
	return 2
}
