package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/report"
)

type diffOptions struct {
	selection
	plan    apply.PlanOptions
	strict  bool
	unified int // lines of context; negative means no bodies
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

A change that many objects share is shown once, with their number. Secret
values are never shown: equal values have equal tags.

Where KUBECTL_EXTERNAL_DIFF names a program, as for kubectl diff, it is run over
the bodies instead of writing text: one file per object in two directories.

Exit codes: 0 no differences, 1 differences, 2 error, 4 refused.`,
		Example: `  evenkeel diff dev
  evenkeel diff dev --unified=5
  evenkeel diff --all -o markdown > comment.md
  evenkeel diff prod -o html > diff.html
  evenkeel diff prod -o json | jq '.[].summary'`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json", "markdown", "html")
	opts.addAll(cmd.Flags())
	opts.addUnits(cmd.Flags())
	cmd.Flags().BoolVar(&opts.strict, "strict", false, "count foreign additions as differences")
	cmd.Flags().IntVarP(&opts.unified, "unified", "U", -1, "show bodies as unified diffs with so many unchanged lines around a change")
	unified := cmd.Flags().Lookup("unified")
	unified.NoOptDefVal, unified.DefValue = "3", "0" // -1 would puzzle a reader
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
	if err := g.printPlans(ctx, plans, opts.report()); err != nil {
		return err
	}
	for _, p := range plans {
		if p.Differs(opts.strict) {
			return errDifferences
		}
	}
	return nil
}

// report says how plans are written.
func (o *diffOptions) report() report.Options {
	opts := report.Options{Strict: o.strict, Unified: o.unified >= 0}
	switch {
	case o.unified > 0:
		opts.Context = o.unified
	case o.unified == 0:
		opts.Context = -1
	}
	return opts
}

// printPlans writes plans in the format that was asked for.
func (g *global) printPlans(ctx context.Context, plans []*apply.Plan, opts report.Options) error {
	switch g.output {
	case "json":
		if len(plans) == 1 {
			return writeJSON(g.out, plans[0])
		}
		return writeJSON(g.out, plans)
	case "markdown":
		return report.Markdown(g.out, plans, opts)
	case "html":
		return report.HTML(g.out, plans, opts)
	}
	opts.Color = g.colored(g.out)
	external := os.Getenv("KUBECTL_EXTERNAL_DIFF")
	for i, p := range plans {
		if external != "" {
			if err := report.External(ctx, external, g.out, g.err, p); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(g.out)
		}
		if err := report.Text(g.out, p, opts); err != nil {
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
