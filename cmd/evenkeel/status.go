package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/edge"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type statusOptions struct {
	selection
	watch   bool
	edge    bool
	timeout time.Duration
}

// envStatus is the status of an environment and, where asked for, of the hosts in
// front of its cluster.
type envStatus struct {
	*apply.Status
	Edge []edge.Answer `json:"edge,omitempty"`
}

func newStatusCmd(g *global) *cobra.Command {
	opts := &statusOptions{}
	cmd := &cobra.Command{
		Use:   "status ENV...",
		Short: "Show the health of an environment, with causes",
		Long: `Judge every object of an environment by the rules that gate an apply, and name
the cause of what is not healthy. Nothing is written. --timeout waits until all
is healthy or something failed; --watch goes on showing changes, on a terminal as
a tree that updates in place, until Ctrl-C or the end of --timeout.

With --edge the hosts in front of the cluster and their virtual address are asked
too, by TCP from this machine: whether nginx answers on each of its ports, and who
holds the address. It is for the environment that has the stack edge.

Exit codes: 0 healthy, 2 error, 3 not healthy, 4 another cluster than the pinned,
130 interrupted.`,
		Example: `  evenkeel status dev
  evenkeel status --all
  evenkeel status infra --edge
  evenkeel status prod --watch
  evenkeel status prod -o json | jq '.units[] | select(.state != "healthy")'`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	opts.addAll(cmd.Flags())
	opts.addUnits(cmd.Flags())
	cmd.Flags().BoolVarP(&opts.watch, "watch", "w", false, "go on until Ctrl-C")
	cmd.Flags().DurationVar(&opts.timeout, "timeout", 0, "how long to wait or watch; 0 looks once, with --watch: for ever")
	cmd.Flags().BoolVar(&opts.edge, "edge", false, "ask the edge hosts and the virtual address too")
	cmd.MarkFlagsMutuallyExclusive("edge", "watch")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runStatus(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runStatus(ctx context.Context, g *global, opts *statusOptions, args []string) error {
	results, err := g.renderResults(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	envs, err := g.environments(&opts.selection, results)
	if err != nil {
		return err
	}
	if opts.watch {
		return g.watchStatus(ctx, envs, opts)
	}
	if opts.edge && !slices.ContainsFunc(results, func(r *render.Result) bool { return r.Edge != nil }) {
		return noEdge(envs[0].Name)
	}
	all := make([]envStatus, len(envs))
	healthy := true
	for i, env := range envs {
		var broken error
		if front := results[i].Edge; opts.edge && front != nil {
			all[i].Edge = edge.Probe(ctx, *front)
			broken = edgeProblems(all[i].Edge)
		}
		cluster, err := g.cluster(env.Cluster)
		if err != nil {
			return err
		}
		if all[i].Status, err = cluster.Status(ctx, env, apply.StatusOptions{Units: opts.units, Timeout: opts.timeout}); err != nil {
			return errors.Join(fmt.Errorf("env %s: %w", env.Name, err), broken) // the edge may be why
		}
		all[i].Healthy = all[i].Healthy && broken == nil
		healthy = healthy && all[i].Healthy
	}
	if err := g.printStatus(all); err != nil {
		return err
	}
	if !healthy {
		return errUnhealthy
	}
	return nil
}

func edgeProblems(answers []edge.Answer) error {
	var errs []error
	for _, a := range answers {
		if a.Problem != "" {
			errs = append(errs, errors.New(a.String()))
		}
	}
	return errors.Join(errs...)
}

// watchStatus shows one environment until ctx or the time ends: then the last
// state decides, as without --watch.
func (g *global) watchStatus(ctx context.Context, envs []*schema.Environment, opts *statusOptions) error {
	if len(envs) != 1 || g.output != "text" {
		return &hint.Error{Err: errors.New("--watch shows one environment, as text"), Hint: "evenkeel status ENV -o json looks once"}
	}
	env := selectUnits(envs[0], opts.units)
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	if opts.timeout > 0 {
		watching, stop = context.WithTimeout(watching, opts.timeout)
		defer stop()
	}
	total, healthy := 0, map[schema.Ref]bool{}
	for i := range env.Units {
		total += len(env.Units[i].Objects)
	}
	view := g.progressOn(g.out, env)
	err = cluster.WatchStatus(watching, env, apply.StatusOptions{On: func(e apply.Event) {
		view.event(e)
		if e.State == health.Healthy {
			healthy[e.Ref] = true
		} else {
			delete(healthy, e.Ref)
		}
	}})
	view.close()
	switch {
	case ctx.Err() != nil:
		return errEnded
	case watching.Err() == nil:
		return fmt.Errorf("env %s: %w", env.Name, err)
	case len(healthy) < total:
		return errUnhealthy
	}
	return nil
}

// selectUnits is the environment with some of its units, or all where none are
// named.
func selectUnits(env *schema.Environment, units []string) *schema.Environment {
	if len(units) == 0 {
		return env
	}
	only := *env
	only.Units = slices.DeleteFunc(slices.Clone(env.Units), func(u schema.Unit) bool { return !slices.Contains(units, u.Name) })
	return &only
}

func (g *global) printStatus(all []envStatus) error {
	if g.output == "json" {
		if len(all) == 1 {
			return writeJSON(g.out, all[0])
		}
		return writeJSON(g.out, all)
	}
	for _, s := range all {
		if err := report.Status(painted(g.out), s.Status, report.Options{Color: g.colored(g.out)}); err != nil {
			return err
		}
		for _, a := range s.Edge {
			fmt.Fprintln(g.out, "  "+a.String())
		}
	}
	return nil
}
