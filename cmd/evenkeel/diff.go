package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/report"
)

type diffOptions struct {
	selection
	plan   apply.PlanOptions
	strict bool
}

func newDiffCmd(g *global) *cobra.Command {
	opts := &diffOptions{}
	cmd := &cobra.Command{
		Use:   "diff ENV...",
		Short: "Show what an apply would change",
		Long: `Compare environments with their clusters: what apply would create, change,
adopt and delete, which field differs, who wrote the live value and when.
Nothing is written. Objects that are proven unchanged cost no request of their
own; the server is asked about the rest.

Fields that somebody added beside those of the environment are shown as
foreign; they count as a difference only with --strict.

Exit codes: 0 no differences, 1 differences, 2 error, 4 refused.`,
		Example: `  evenkeel diff dev
  evenkeel diff --all
  evenkeel diff prod -o json | jq '.[].summary'`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	opts.addAll(cmd.Flags())
	opts.addUnits(cmd.Flags())
	cmd.Flags().BoolVar(&opts.strict, "strict", false, "count foreign additions as differences")
	cmd.Flags().BoolVar(&opts.plan.Full, "full", false, "ask the server about every object, also those proven unchanged")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runDiff(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runDiff(ctx context.Context, g *global, opts *diffOptions, args []string) error {
	envs, err := g.renderAll(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	opts.plan.Units = opts.units
	plans := make([]*apply.Plan, len(envs))
	for i, env := range envs {
		cluster, err := g.cluster(env.Cluster)
		if err != nil {
			return err
		}
		if plans[i], err = g.plan(ctx, cluster, env, opts.plan); err != nil {
			return err
		}
		g.verboseRequests(env.Name, plans[i].Requests)
	}
	if err := g.printPlans(plans, opts.strict); err != nil {
		return err
	}
	for _, p := range plans {
		if p.Differs(opts.strict) {
			return errDifferences
		}
	}
	return nil
}

func (g *global) printPlans(plans []*apply.Plan, strict bool) error {
	if g.output == "json" {
		if len(plans) == 1 {
			return writeJSON(g.out, plans[0])
		}
		return writeJSON(g.out, plans)
	}
	for i, p := range plans {
		if i > 0 {
			fmt.Fprintln(g.out)
		}
		if err := report.Text(g.out, p, report.Options{Color: g.colored(g.out), Strict: strict}); err != nil {
			return err
		}
	}
	return nil
}

// verboseRequests says with -v what a command asked of the API server.
func (g *global) verboseRequests(env string, r apply.Requests) {
	if g.verbose {
		fmt.Fprintf(g.err, "%s: %d requests: %d discovery, %d review, %d list, %d get, %d dry-run, %d write, %d watch\n",
			env, r.Total(), r.Discovery, r.Review, r.List, r.Get, r.DryRun, r.Write, r.Watch)
	}
}
