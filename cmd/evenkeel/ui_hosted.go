package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/rights"
	"github.com/seed-428f4edd/evenkeel/apply/ui"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// hostForm is a host name as a browser sends it, with a port where it has one.
var hostForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)

// hosted is a page for viewers who sign in: each asks the cluster with a token of their
// own. What evenkeel itself may do in the cluster is not used at all.
type hosted struct {
	opts *uiOptions
	cfg  *rest.Config // of the cluster, without credentials

	mu sync.Mutex
	d  *described // as the source is now
}

func runHostedUI(ctx context.Context, g *global, opts *uiOptions, args []string) error {
	if !hostForm.MatchString(opts.host) {
		return &hint.Error{Err: fmt.Errorf("--host %q is no host name", opts.host), Hint: "as in --host evenkeel.example.org"}
	}
	logger := slog.New(slog.NewTextHandler(g.err, nil))
	h := &hosted{opts: opts}
	var err error
	if opts.git.URL == "" {
		h.d, err = g.describe(ctx, args)
	} else {
		var done func()
		if h.d, _, done, err = g.fromGit(ctx, &opts.git, args); err == nil {
			defer done()
		}
	}
	if err != nil {
		return err
	}
	if h.cfg, err = h.d.cfgOfOne(); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.listen)
	if err != nil {
		return &hint.Error{Err: err, Hint: "name an address of this machine that the proxy reaches, such as :8700"}
	}
	server, err := ui.New(listener.Addr(), ui.Options{Host: opts.host, Viewer: h.viewer, Log: logger})
	if err != nil {
		_ = listener.Close()
		return err
	}
	fmt.Fprintf(g.out, "https://%s/ is served at http://%s\n", opts.host, listener.Addr())
	var following sync.WaitGroup
	defer following.Wait()
	if opts.git.URL != "" {
		k := &keptUp{global: g, opts: opts, named: args, log: logger, last: h.d.commit, on: func(d *described, older bool) {
			if d != nil {
				h.mu.Lock()
				h.d = d
				h.mu.Unlock()
			}
			server.Renew(older)
		}}
		following.Go(func() { k.run(ctx) })
	}
	return serveUI(ctx, server, listener)
}

// cfgOfOne is the way to the one cluster that all environments are of, as nobody.
func (d *described) cfgOfOne() (*rest.Config, error) {
	var target *schema.Cluster
	for _, name := range d.names {
		result := d.ways.Results[name]
		switch {
		case result == nil:
		case target == nil:
			target = &result.Env.Cluster
		case *target != result.Env.Cluster:
			return nil, &hint.Error{Err: errors.New("with --host the environments are of one cluster, as a token is"), Hint: "name those of one cluster"}
		}
	}
	cluster, err := d.cluster(*target)
	if err != nil {
		return nil, err
	}
	return rest.AnonymousClientConfig(cluster.Config), nil
}

// viewer is the viewer with a token.
func (h *hosted) viewer(token string) ui.Viewer {
	h.mu.Lock()
	d := h.d
	h.mu.Unlock()
	w := &watched{described: d, opts: h.opts, clusters: map[string]*apply.Cluster{}, may: []string{}}
	w.connect = func(schema.Cluster) (*apply.Cluster, error) {
		cfg := rest.CopyConfig(h.cfg)
		cfg.BearerToken = token
		return apply.Connect(cfg)
	}
	return ui.Viewer{Environments: d.shown(w), Who: w.who}
}

// nobody is who the API server takes a request without credentials for.
const nobody = "system:anonymous"

// who asks the cluster whose token it is. An environment is for those who may list pods in
// its namespace: what is rendered of it is no more secret than that, as values that are
// are masked.
func (w *watched) who(ctx context.Context) (*ui.Account, error) {
	if len(w.names) == 0 {
		return nil, errors.New("there are no environments")
	}
	var asked *apply.Cluster
	account := &ui.Account{May: []string{}}
	for _, name := range w.names {
		result := w.ways.Results[name]
		if result == nil {
			continue // it cannot be rendered: nobody knows its namespace
		}
		if asked == nil {
			var err error
			if asked, err = w.cluster(result.Env); err != nil {
				return nil, err
			}
			if account.User, err = rights.Caller(ctx, asked.Client); err != nil {
				return nil, err
			}
			if cmp.Or(account.User, nobody) == nobody {
				return nil, apierrors.NewUnauthorized("the token is nobody's")
			}
		}
		ok, err := rights.Allowed(ctx, asked.Client, rights.Right{Verb: "list", Resource: "pods", Namespace: result.Env.Namespace})
		if err != nil {
			return nil, err
		}
		if ok {
			account.May = append(account.May, name)
		}
	}
	w.mu.Lock()
	w.may = account.May
	w.mu.Unlock()
	return account, nil
}

// mayLook says of environments whether the viewer may look at them; nil is at all.
func (w *watched) mayLook() func(env string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.may == nil {
		return nil
	}
	may := w.may
	return func(env string) bool { return slices.Contains(may, env) }
}
