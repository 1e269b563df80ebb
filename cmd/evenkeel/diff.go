package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type diffOptions struct {
	selection
	plan    apply.PlanOptions
	strict  bool
	unified int // lines of context; negative means no bodies

	against  string // a git reference
	revision int
	save     string // a file
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

With --against the manifests are compared with those at a git reference, with
--revision with those of a recorded apply: --against asks no cluster and needs no
access to one, and with --all shows only the environments that differ. Changes
that are not committed are seen. It says as well which URLs are new, gone, lead
elsewhere or would break, and which apps lose a provider; that counts as a difference.

A dry-run needs the right to write. --list-only sends none: get and list are
enough (see evenkeel rbac), and what is not proven unchanged is compared by the
fields that the environment sets, and marked unverified.

--save keeps the plan for apply --plan, which refuses when it would do anything
else. The file holds no secret values.

Exit codes: 0 no differences, 1 differences, 2 error, 4 refused.`,
		Example: `  evenkeel diff dev
  evenkeel diff dev --unified=5
  evenkeel diff --all --against origin/main -o markdown > comment.md
  evenkeel diff prod -o html > diff.html
  evenkeel diff prod -o json | jq .summary
  evenkeel diff prod --list-only --as system:serviceaccount:prod:evenkeel-prod-diff
  evenkeel diff prod --save prod.plan && evenkeel apply prod --plan prod.plan`,
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
	cmd.Flags().BoolVar(&opts.plan.ListOnly, "list-only", false, "send no dry-run, for those who may only read: what is not proven unchanged is compared here")
	cmd.Flags().BoolVar(&opts.plan.TakeOwnership, "take-ownership", false, "plan to take objects that belong to another tool or environment, as apply --take-ownership does")
	cmd.Flags().StringSliceVar(&opts.plan.LookIn, "look-in", nil, "look also in this NAMESPACE, or for this KIND without namespaces, that only records which are not signed name (repeatable)")
	cmd.Flags().StringVar(&opts.against, "against", "", "compare with the manifests at this git reference; no cluster is asked")
	cmd.Flags().IntVar(&opts.revision, "revision", 0, "compare with the manifests of this recorded revision")
	cmd.Flags().StringVar(&opts.save, "save", "", "write the plan to this file, for apply --plan")
	cmd.MarkFlagsMutuallyExclusive("against", "revision", "save")
	cmd.MarkFlagsMutuallyExclusive("against", "revision", "full")
	cmd.MarkFlagsMutuallyExclusive("list-only", "full", "save", "against")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runDiff(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runDiff(ctx context.Context, g *global, opts *diffOptions, args []string) error {
	if opts.against != "" {
		return diffAgainst(ctx, g, opts, args)
	}
	if opts.save != "" && (opts.all || len(args) > 1) {
		return &hint.Error{Err: errors.New("--save takes the plan of one environment"), Hint: "save each to a file of its own"}
	}
	envs, err := g.renderUnsealed(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	g.tellDisabled(envs)
	opts.plan.Units = opts.units
	plans := make([]*apply.Plan, len(envs))
	against := ""
	for i, env := range envs {
		cluster, err := g.cluster(env.Cluster)
		if err != nil {
			return err
		}
		if opts.revision > 0 {
			against = fmt.Sprintf("revision %d", opts.revision)
			plans[i], err = sinceRevision(ctx, cluster, env, opts)
		} else {
			k, looking := cluster.Canaries(ctx, env, apply.ApplyOptions{Units: opts.units, Release: true})
			if looking != nil {
				return fmt.Errorf("env %s: %w", env.Name, looking)
			}
			if k != nil {
				fmt.Fprintln(g.err, k.Says())
				env = k.Environment
			}
			plans[i], err = g.plan(ctx, cluster, env, opts.plan)
			if err != nil {
				err = fmt.Errorf("env %s: %w", env.Name, err)
			}
		}
		if err != nil {
			return err
		}
		g.verboseRequests(env.Name, plans[i].Requests)
	}
	if opts.save != "" {
		if err := g.savePlan(opts.save, plans[0]); err != nil {
			return err
		}
	}
	return g.printDiff(ctx, plans, opts, against)
}

// tellDisabled says which units environments leave out: nobody is to take them for
// lost.
func (g *global) tellDisabled(envs []*schema.Environment) {
	for _, env := range envs {
		if len(env.Disabled) > 0 {
			fmt.Fprintf(g.err, "env %s: left out by enabled: false: %s\n", env.Name, strings.Join(env.Disabled, ", "))
		}
	}
}

// printDiff writes plans; that there are differences is an error for the exit
// code. JSON is a list where more than one environment was asked for.
func (g *global) printDiff(ctx context.Context, plans []*apply.Plan, opts *diffOptions, against string) error {
	show := opts.report()
	show.Against = against
	var err error
	if g.output == "json" && (opts.all || len(plans) != 1) {
		err = writeJSON(g.out, plans)
	} else {
		err = g.printPlans(ctx, plans, show)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(plans, func(p *apply.Plan) bool { return p.Differs(opts.strict) || len(p.Reach) > 0 }) {
		return errDifferences
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
		return report.HTML(uncleaned(g.out), plans, opts)
	}
	opts.Color = g.colored(g.out)
	external := os.Getenv("KUBECTL_EXTERNAL_DIFF")
	for i, p := range plans {
		if external != "" {
			if err := report.External(ctx, external, uncleaned(g.out), uncleaned(g.err), p); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(g.out)
		}
		if err := report.Text(painted(g.out), p, opts); err != nil {
			return err
		}
	}
	return nil
}

// verboseRequests says with -v what a command asked of the API server.
func (g *global) verboseRequests(env string, r kube.Requests) {
	if g.verbose {
		fmt.Fprintf(g.err, "%s: %d requests: %d discovery, %d review, %d list, %d get, %d dry-run, %d write, %d watch\n",
			env, r.Total(), r.Discovery, r.Review, r.List, r.Get, r.DryRun, r.Write, r.Watch)
	}
}
