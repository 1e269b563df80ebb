package ui

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
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
	// Graph is the picture as a page of its own, coloured by how units are.
	Graph func(units []apply.UnitStatus) string
	// Trace follows the request for a URL; it asks the cluster, too.
	Trace func(ctx context.Context, url string) (*Trace, error)
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

// Server serves the page.
type Server struct {
	token     string
	hosts     map[string]bool
	boards    []*board
	templates *template.Template
	words     map[string]string // Chinese
	handler   http.Handler
	crowd     crowd
}

// New makes the server for a listener's address, and asks nothing yet.
func New(addr net.Addr, envs []Environment) (*Server, error) {
	hosts, err := hostsOf(addr)
	if err != nil {
		return nil, err
	}
	s := &Server{token: strings.ToLower(rand.Text()), hosts: hosts, words: chinese()}
	for i := range envs {
		s.boards = append(s.boards, newBoard(&envs[i]))
	}
	if s.templates, err = template.New("").Funcs(functions()).ParseFS(files, "page/*.html"); err != nil {
		return nil, err
	}
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

// Path is where the page begins, with its token.
func (s *Server) Path() string { return "/" + s.token + "/" }

// Run watches the environments until ctx ends.
func (s *Server) Run(ctx context.Context) {
	done := make(chan struct{}, len(s.boards))
	for _, b := range s.boards {
		go func() {
			b.run(ctx)
			done <- struct{}{}
		}()
	}
	for range s.boards {
		<-done
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
