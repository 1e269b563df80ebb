package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/ui"
	"github.com/seed-428f4edd/evenkeel/internal/atstart"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type uiOptions struct {
	listen   string
	listOnly bool
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

It goes on until Ctrl-C. Exit codes: 2 error, 130 interrupted.`,
		Example: `  evenkeel ui
  evenkeel ui infra prod
  evenkeel ui prod --listen 127.0.0.1:8700 --list-only`,
		ValidArgsFunction: g.completeEnvs,
	}
	cmd.Flags().StringVar(&opts.listen, "listen", "127.0.0.1:0", "the address to listen on; port 0 is any that is free")
	cmd.Flags().BoolVar(&opts.listOnly, "list-only", false, "plan without dry-runs, for those who may only read")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runUI(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runUI(ctx context.Context, g *global, opts *uiOptions, args []string) error {
	atstart.LongLived()
	repo, names, err := g.named(ctx, &selection{all: len(args) == 0}, args)
	if err != nil {
		return err
	}
	ways, wrong, err := g.waysOf(ctx, repo, names)
	if err != nil {
		return err
	}
	g.warn(ways.Warnings)
	commit, dirty, err := checkout.Head(repo.Root())
	if err != nil {
		return err
	}
	w := &watched{g: g, ways: ways, opts: opts, clusters: map[string]*apply.Cluster{}}
	var envs []ui.Environment
	for _, name := range names {
		if findings, ok := wrong[name]; ok {
			envs = append(envs, ui.Environment{Desired: &schema.Environment{Name: name}, Wrong: strings.Split(findings.Error(), "\n")})
			continue
		}
		envs = append(envs, w.environment(ctx, name, apply.GitInfo{Commit: commit, Dirty: dirty}.String()))
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.listen)
	if err != nil {
		return &hint.Error{Err: err, Hint: "name a free address of this machine, such as 127.0.0.1:8700"}
	}
	server, err := ui.New(listener.Addr(), envs)
	if err != nil {
		_ = listener.Close()
		return &hint.Error{Err: err, Hint: "127.0.0.1:0 is any free port of this machine"}
	}
	fmt.Fprintf(g.out, "http://%s%s\n", listener.Addr(), server.Path())
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { server.Run(ctx) })
	if err := server.Serve(ctx, listener); err != nil {
		return err
	}
	return errEnded
}

// waysOf models the environments that can be rendered, and says of the others what is
// wrong. It fails where there is none.
func (g *global) waysOf(ctx context.Context, repo *render.Repo, names []string) (*render.Ways, map[string]render.Findings, error) {
	ways, err := repo.Ways(ctx, names)
	all, isWrong := errors.AsType[render.Findings](err)
	if !isWrong {
		return ways, nil, err
	}
	wrong := map[string]render.Findings{}
	for _, f := range all {
		wrong[f.Environment] = append(wrong[f.Environment], f)
	}
	var sound []string
	for _, name := range names {
		if findings, ok := wrong[name]; ok {
			fmt.Fprintf(g.err, "warning: env %s cannot be rendered; the page shows why (errors: %d)\n", name, len(findings))
			continue
		}
		sound = append(sound, name)
	}
	if len(sound) == 0 || len(sound) == len(names) {
		return nil, nil, err
	}
	ways, err = repo.Ways(ctx, sound)
	return ways, wrong, err
}

// watched joins rendering, model and clusters for the page. The model reads what CUE
// evaluated, and flags name contexts: one at a time.
type watched struct {
	g    *global
	ways *render.Ways
	opts *uiOptions

	mu       sync.Mutex
	clusters map[string]*apply.Cluster // by environment
}

func (w *watched) environment(ctx context.Context, name, commit string) ui.Environment {
	result, model := w.ways.Results[name], w.ways.Models[name]
	if err := render.Unseal(ctx, result); err != nil {
		fmt.Fprintf(w.g.err, "warning: %s\n", err) // plans show such Secrets as they are encrypted
	}
	env := ui.Environment{Desired: result.Env, Commit: commit}
	for _, row := range model.Table(name) {
		env.URLs = append(env.URLs, row.URL)
	}
	env.Connect = func() (*apply.Cluster, error) { return w.cluster(result.Env) }
	env.Plan = func(ctx context.Context, cluster *apply.Cluster) (*apply.Plan, error) {
		return w.g.plan(ctx, cluster, result.Env, apply.PlanOptions{ListOnly: w.opts.listOnly})
	}
	env.Graph = func(units []apply.UnitStatus) string {
		w.mu.Lock()
		graph := model.Graph(name)
		w.mu.Unlock()
		live := map[string]way.Live{}
		for _, u := range units {
			if u.State != "" {
				live[name+"/"+u.Name] = liveUnitOf(u)
			}
		}
		colour(graph, live, nil)
		return draw.GraphHTML([]*way.Graph{graph})
	}
	env.Trace = func(ctx context.Context, url string) (*ui.Trace, error) { return w.trace(ctx, model, url) }
	return env
}

// cluster is the connection of an environment, which its watch and its traces share.
func (w *watched) cluster(env *schema.Environment) (*apply.Cluster, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.clusters[env.Name]; c != nil {
		return c, nil
	}
	c, err := w.g.cluster(env.Cluster)
	if err == nil {
		w.clusters[env.Name] = c
	}
	return c, err
}

// trace follows a URL, with what the cluster says where it answers.
func (w *watched) trace(ctx context.Context, model *way.Model, url string) (*ui.Trace, error) {
	w.mu.Lock()
	found, err := model.Trace(url)
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s := &sight{ways: w.ways, connect: w.cluster}
	err = s.follow(ctx, model, found, false)
	t := &ui.Trace{URL: found.URL, Says: draw.Headline(found), Broken: found.Broken}
	for _, h := range found.Hops {
		hop := ui.Hop{Kind: string(h.Kind), Name: h.Name, Says: strings.TrimSpace(h.Says + " " + h.Share), By: draw.By(h.By), Notes: h.Notes, Depth: h.Calls}
		if h.Live != nil {
			hop.State, hop.Live = h.Live.State, h.Live.Says
		}
		if h.Break != nil {
			hop.Reason, hop.Fix = h.Break.Reason, h.Break.Fix
		}
		t.Hops = append(t.Hops, hop)
	}
	if err != nil {
		t.Says += "; the cluster could not be asked: " + err.Error()
	}
	return t, nil
}
