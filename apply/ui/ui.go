package ui

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/internal/words"
	"github.com/seed-428f4edd/evenkeel/schema"
)

//go:embed page static
var files embed.FS

// Environment is one to watch. What it does not know by itself, because package apply
// knows no source, comes as functions.
type Environment struct {
	Desired *schema.Environment
	// Commit is what it was rendered from.
	Commit  string
	Connect func() (*apply.Cluster, error)
	// Plan is what an apply would change.
	Plan func(context.Context, *apply.Cluster) (*apply.Plan, error)
	// Graph is the picture as a page of its own, coloured by how units are, in a language
	// of words.Languages.
	Graph func(lang string, units []apply.UnitStatus) string
	// Trace follows the request for a URL; it asks the cluster, too.
	Trace func(ctx context.Context, lang, url string) (*Trace, error)
	// URLs are those that lead to the environment.
	URLs []string
	// Wrong says why the environment has no rendering, a line each: then Desired has its
	// name alone, and nothing else is there.
	Wrong []string
}

// Trace is the way of a request as the page shows it.
type Trace struct {
	URL, Says string
	Broken    bool
	Hops      []Hop
}

// Hop is one step of it.
type Hop struct {
	Kind, Name, Says, By string
	State                string // healthy, progressing, failed, unknown; empty is not asked
	Live, Notes          []string
	Reason, Fix          string // of what breaks there
	Depth                int
}

// Viewer is somebody who looks on: each with boards of their own, which ask the cluster
// with their rights.
type Viewer struct {
	// Environments are those that there are.
	Environments []Environment
	// Who asks the cluster who this is, and which of the environments that account may
	// look at. Where it is nil there is nobody to ask: who is here may look at all.
	Who func(context.Context) (*Account, error)
}

// Account is what the cluster says of a viewer.
type Account struct {
	User string
	May  []string // names of environments
}

// Options say for whom the page is.
type Options struct {
	// Host is the name, with the port where it is not that of https, under which a
	// proxy serves the page to viewers who sign in with a token for the cluster. Empty
	// is a page of this machine: who knows its address is the one viewer.
	Host string
	// Viewer is the viewer with a token, which is empty for a page of this machine. It
	// asks nothing yet.
	Viewer func(token string) Viewer
	// Log is told who signs in.
	Log *slog.Logger
}

// Server serves the page.
type Server struct {
	gate
	log       *slog.Logger
	local     *viewer     // of a page of this machine
	sessions  *sessions   // of a page for viewers who sign in
	older     atomic.Bool // the newest state of the source cannot be shown
	templates *template.Template
	chinese   words.Words
	handler   http.Handler
	crowd     crowd
}

// New makes the server for a listener's address, and asks nothing yet.
func New(addr net.Addr, opts Options) (*Server, error) {
	s := &Server{chinese: chinese(), log: cmp.Or(opts.Log, slog.New(slog.DiscardHandler))}
	var err error
	if s.templates, err = template.New("").Funcs(functions()).ParseFS(files, "page/*.html"); err != nil {
		return nil, err
	}
	if opts.Host != "" {
		s.gate = gate{hosts: map[string]bool{strings.ToLower(opts.Host): true}, origin: "https://" + strings.ToLower(opts.Host)}
		s.sessions = newSessions(opts.Viewer)
		s.handler = s.routes()
		return s, nil
	}
	hosts, err := hostsOf(addr)
	if err != nil {
		return nil, err
	}
	s.gate = gate{hosts: hosts, token: strings.ToLower(rand.Text())}
	s.local = newViewer(opts.Viewer("").Environments)
	s.handler = s.routes()
	return s, nil
}

// hostsOf are the Host headers that are answered.
func hostsOf(addr net.Addr) (map[string]bool, error) {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if at.Addr().IsUnspecified() {
		return nil, fmt.Errorf("listen: %s is every address of this machine: name one", at)
	}
	hosts := map[string]bool{at.String(): true}
	if at.Addr().IsLoopback() {
		hosts[fmt.Sprintf("localhost:%d", at.Port())] = true
	}
	return hosts, nil
}

// Path is where the page begins, with its token where it has one.
func (s *Server) Path() string {
	if s.token == "" {
		return "/"
	}
	return "/" + s.token + "/"
}

// Run watches the environments until ctx ends.
func (s *Server) Run(ctx context.Context) {
	if s.local != nil {
		s.local.run(ctx)
		return
	}
	s.sessions.run(ctx)
}

// Renew makes the environments of all viewers anew, after a change of the source. Where
// its newest state cannot be shown (older), they stay as they are, and the page says so.
func (s *Server) Renew(older bool) {
	s.older.Store(older)
	if !older {
		s.sessions.renew()
	}
}

// Serve answers on a listener until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	s.crowd.attend(server)
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}
