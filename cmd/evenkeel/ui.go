package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/apply/ui"
	"github.com/seed-428f4edd/evenkeel/internal/atstart"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type uiOptions struct {
	listen   string
	listOnly bool
	host     string
	git      remote.Git
	interval time.Duration
}

func newUICmd(g *global) *cobra.Command {
	opts := &uiOptions{}
	cmd := &cobra.Command{
		Use:   "ui [ENV...]",
		Short: "Watch environments on a local page",
		Long: `Serve a page to watch environments on, all of the repository if none is named:
health with causes as it changes, what differs and who changed it, the plan as
diff -o html shows it, revisions and what each changed, the picture with health, the
way of a URL, the logs of an app, events. It writes nothing to a cluster; where
acting is a command, it shows the command. In English and Chinese, light and dark, by
keyboard and for screen readers.

The page is at the address that is printed, which has a token: whoever does not know
it reads nothing. It listens on this machine only, needs nothing from outside, and
answers no request of another page. Values of Secrets are masked as everywhere. What
is shown was rendered when the command began; an environment that cannot be rendered
is shown with what is wrong.

The rights are those of diff: a plan needs dry-runs, --list-only does without.

With --host the page is for others, behind a proxy that ends TLS: it is served under
that name, and shows nothing before a viewer signs in with a token for the cluster, as
kubectl create token prints one. The cluster is then asked with the viewer's token
alone, never with the rights that evenkeel has. --git reads a branch, and the page
keeps level with it; stacks/evenkeel with ui runs it so inside a cluster.

It goes on until Ctrl-C. Exit codes: 2 error, 130 interrupted.`,
		Example: `  evenkeel ui
  evenkeel ui infra prod
  evenkeel ui prod --listen 127.0.0.1:8700 --list-only
  evenkeel ui prod --host evenkeel.example.org --listen :8700 --list-only`,
		ValidArgsFunction: g.completeEnvs,
	}
	cmd.Flags().StringVar(&opts.listen, "listen", "127.0.0.1:0", "the address to listen on; port 0 is any that is free")
	cmd.Flags().BoolVar(&opts.listOnly, "list-only", false, "plan without dry-runs, for those who may only read")
	cmd.Flags().StringVar(&opts.host, "host", "", "serve the page under this name, by a proxy that ends TLS, to viewers who sign in")
	addGitFlags(cmd.Flags(), &opts.git)
	cmd.Flags().DurationVar(&opts.interval, "interval", time.Minute, "with --git: how often to look for a new commit")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runUI(cmd.Context(), g, opts, args)
	}
	return cmd
}

func (o *uiOptions) check() error {
	switch {
	case o.host == "" && o.git.URL != "":
		return &hint.Error{Err: errors.New("--git is for a page with --host"), Hint: "clone the repository, and run evenkeel ui in it"}
	case o.interval < time.Second:
		return &hint.Error{Err: errors.New("--interval is a second at least"), Hint: "as in --interval 1m"}
	}
	return nil
}

func runUI(ctx context.Context, g *global, opts *uiOptions, args []string) error {
	atstart.LongLived()
	if err := opts.check(); err != nil {
		return err
	}
	if opts.host != "" {
		return runHostedUI(ctx, g, opts, args)
	}
	d, err := g.describe(ctx, args)
	if err != nil {
		return err
	}
	for _, result := range d.ways.Results {
		if err := render.Unseal(ctx, result); err != nil {
			fmt.Fprintf(g.err, "warning: %s\n", err) // plans show such Secrets as they are encrypted
		}
	}
	w := &watched{described: d, opts: opts, connect: g.cluster, clusters: map[string]*apply.Cluster{}}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.listen)
	if err != nil {
		return &hint.Error{Err: err, Hint: "name a free address of this machine, such as 127.0.0.1:8700"}
	}
	server, err := ui.New(listener.Addr(), ui.Options{Viewer: func(string) ui.Viewer { return ui.Viewer{Environments: d.shown(w)} }})
	if err != nil {
		_ = listener.Close()
		return &hint.Error{Err: err, Hint: "127.0.0.1:0 is any free port of this machine"}
	}
	fmt.Fprintf(g.out, "http://%s%s\n", listener.Addr(), server.Path())
	return serveUI(ctx, server, listener)
}

func serveUI(ctx context.Context, server *ui.Server, listener net.Listener) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { server.Run(ctx) })
	if err := server.Serve(ctx, listener); err != nil {
		return err
	}
	return errEnded
}

// watched joins rendering, model and clusters for one viewer. The model reads what CUE
// evaluated, and flags name contexts: one at a time.
type watched struct {
	*described
	opts    *uiOptions
	connect func(schema.Cluster) (*apply.Cluster, error)

	mu       sync.Mutex
	clusters map[string]*apply.Cluster // by environment
	may      []string                  // the environments that the viewer may look at; nil: all
}

func (w *watched) environment(name string) ui.Environment {
	result, model := w.ways.Results[name], w.ways.Models[name]
	env := ui.Environment{Desired: result.Env, Commit: w.commit, URLs: w.urls[name]}
	env.Connect = func() (*apply.Cluster, error) { return w.cluster(result.Env) }
	env.Plan = func(ctx context.Context, cluster *apply.Cluster) (*apply.Plan, error) {
		return w.plan(ctx, cluster, result.Env, apply.PlanOptions{ListOnly: w.opts.listOnly})
	}
	env.Graph = func(lang string, units []apply.UnitStatus) string {
		var graph *way.Graph
		w.modelling(func() { graph = model.In(lang).Graph(name) })
		live := map[string]way.Live{}
		for _, u := range units {
			if u.State != "" {
				live[name+"/"+u.Name] = liveUnitOf(u)
			}
		}
		colour(graph, live, nil)
		return draw.GraphHTML(graph, []*way.Graph{graph})
	}
	env.Trace = func(ctx context.Context, lang, url string) (*ui.Trace, error) {
		var in *way.Model
		w.modelling(func() { in = model.In(lang) })
		return w.trace(ctx, in, url)
	}
	return env
}

// cluster is the connection of an environment, which its watch and its traces share.
func (w *watched) cluster(env *schema.Environment) (*apply.Cluster, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.clusters[env.Name]; c != nil {
		return c, nil
	}
	c, err := w.connect(env.Cluster)
	if err == nil {
		w.clusters[env.Name] = c
	}
	return c, err
}

// trace follows a URL, with what the cluster says where it answers.
func (w *watched) trace(ctx context.Context, model *way.Model, url string) (*ui.Trace, error) {
	var found *way.Way
	var err error
	w.modelling(func() { found, err = model.Trace(url) })
	if err != nil {
		return nil, err
	}
	s := &sight{ways: w.ways, connect: w.cluster, may: w.mayLook()}
	err = s.follow(ctx, model, found, false)
	if s.may != nil {
		s.veil(found)
	}
	t := &ui.Trace{URL: found.URL, Says: draw.Headline(found), Broken: found.Broken}
	for _, h := range found.Hops {
		hop := ui.Hop{Kind: found.Say(string(h.Kind)), Name: h.Name, Says: strings.TrimSpace(h.Says + " " + h.Share), By: draw.By(found, h.By), Notes: h.Notes, Depth: h.Calls}
		if h.Live != nil {
			hop.State, hop.Live = h.Live.State, h.Live.Says
		}
		if h.Break != nil {
			hop.Reason, hop.Fix = h.Break.Reason, h.Break.Fix
		}
		t.Hops = append(t.Hops, hop)
	}
	if err != nil {
		t.Says += found.Say("; the cluster could not be asked: %s", err)
	}
	return t, nil
}
