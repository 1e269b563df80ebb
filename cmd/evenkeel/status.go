package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/report"
)

type statusOptions struct {
	selection
}

func newStatusCmd(g *global) *cobra.Command {
	opts := &statusOptions{}
	cmd := &cobra.Command{
		Use:   "status ENV...",
		Short: "Show the health of an environment, with causes",
		Long: `Judge every object of an environment by the rules that gate an apply, and name
the cause of what is not healthy. Nothing is written.

Exit codes: 0 healthy, 2 error, 3 not healthy.`,
		Example: `  evenkeel status dev
  evenkeel status --all
  evenkeel status prod -o json | jq '.units[] | select(.state != "healthy")'`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	opts.addAll(cmd.Flags())
	opts.addUnits(cmd.Flags())
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
	all := make([]*apply.Status, len(envs))
	healthy := true
	for i, env := range envs {
		cluster, err := g.cluster(env.Cluster)
		if err != nil {
			return err
		}
		if all[i], err = cluster.Status(ctx, env, apply.StatusOptions{Units: opts.units}); err != nil {
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
