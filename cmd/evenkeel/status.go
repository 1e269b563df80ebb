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
	"github.com/seed-428f4edd/evenkeel/schema"
)

type statusOptions struct {
	selection
	watch   bool
	timeout time.Duration
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

Exit codes: 0 healthy, 2 error, 3 not healthy, 4 another cluster than the pinned,
130 interrupted.`,
		Example: `  evenkeel status dev
  evenkeel status --all
  evenkeel status prod --watch
  evenkeel status prod -o json | jq '.units[] | select(.state != "healthy")'`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	opts.addAll(cmd.Flags())
	opts.addUnits(cmd.Flags())
	cmd.Flags().BoolVarP(&opts.watch, "watch", "w", false, "go on until Ctrl-C")
	cmd.Flags().DurationVar(&opts.timeout, "timeout", 0, "how long to wait or watch; 0 looks once, with --watch: for ever")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runStatus(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runStatus(ctx context.Context, g *global, opts *statusOptions, args []string) error {
	envs, err := g.renderAll(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	if opts.watch {
		return g.watchStatus(ctx, envs, opts)
	}
	all := make([]*apply.Status, len(envs))
	healthy := true
	for i, env := range envs {
		cluster, err := g.cluster(env.Cluster)
		if err != nil {
			return err
		}
		if all[i], err = cluster.Status(ctx, env, apply.StatusOptions{Units: opts.units, Timeout: opts.timeout}); err != nil {
			return fmt.Errorf("env %s: %w", env.Name, err)
		}
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

// watchStatus shows one environment until ctx or the time ends: then the last
// state decides, as without --watch.
func (g *global) watchStatus(ctx context.Context, envs []*schema.Environment, opts *statusOptions) error {
	if len(envs) != 1 || g.output != "text" {
		return &usageError{err: errors.New("--watch shows one environment, as text"), hint: "evenkeel status ENV -o json looks once"}
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
	total, healthy := 0, map[apply.ObjectRef]bool{}
	for i := range env.Units {
		total += len(env.Units[i].Objects)
	}
	view := g.progressOn(g.out, env)
	err = cluster.WatchStatus(watching, env, apply.StatusOptions{On: func(e apply.Event) {
		view.event(e)
		if e.State == health.Healthy {
			healthy[e.ObjectRef] = true
		} else {
			delete(healthy, e.ObjectRef)
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

func (g *global) printStatus(all []*apply.Status) error {
	if g.output == "json" {
		if len(all) == 1 {
			return writeJSON(g.out, all[0])
		}
		return writeJSON(g.out, all)
	}
	for _, s := range all {
		if err := report.Status(g.out, s, report.Options{Color: g.colored(g.out)}); err != nil {
			return err
		}
	}
	return nil
}
