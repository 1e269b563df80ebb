package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/atstart"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/source"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type reconcileOptions struct {
	selection
	once      bool
	mode      string
	listOnly  bool
	noWait    bool
	timeout   time.Duration
	failAfter time.Duration
	git       remote.Git
	daemon    daemonOptions
}

func newReconcileCmd(g *global) *cobra.Command {
	opts := &reconcileOptions{}
	cmd := &cobra.Command{
		Use:   "reconcile ENV...",
		Short: "Find drift, and correct it",
		Long: `Compare environments with their clusters and say what drifted, who wrote it and
when; with --mode correct also write it back. What drifted from the content that
was applied last is written back and its units are waited for; content that is new
in git goes the whole way of an apply, with its gates, pruning and a revision.

Left alone, and said, is what a person decided: an environment that was rolled
back from exactly this content, one that another run has locked, an app whose
rollout is paused, an object that somebody else sets again and again, and one that
is being deleted. None of that is a failure, and none of it counts as drift.
What a guard of apply refuses is left alone too, but exits 4.

--list-only reads and sends no dry-runs, for an account that may only get and
list: what is not proven unchanged is compared by the fields that evenkeel owns
and marked unverified.

Exit codes: 0 level, or corrected and healthy; 1 drift found (--mode report);
2 error, 3 corrected but not healthy, 4 refused by a guard, 130 interrupted.`,
		Example: `  evenkeel reconcile --all --once
  evenkeel reconcile prod --once -o markdown > drift.md
  evenkeel reconcile dev test --once --mode correct`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json", "markdown")
	opts.addAll(cmd.Flags())
	f := cmd.Flags()
	f.BoolVar(&opts.once, "once", false, "look once and end")
	f.StringVar(&opts.mode, "mode", string(reconcile.ModeReport), "what to do about drift: report or correct")
	f.BoolVar(&opts.listOnly, "list-only", false, "send no dry-runs, for an account that may only read")
	f.BoolVar(&opts.noWait, "no-wait", false, "do not wait for the health of what was corrected")
	addGitFlags(f, &opts.git)
	opts.daemon.addFlags(f)
	f.DurationVar(&opts.timeout, "timeout", 5*time.Minute, "how long a unit may take to become healthy")
	addFailAfter(f, &opts.failAfter)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		atstart.LongLived()
		if err := opts.check(); err != nil {
			return err
		}
		if opts.once {
			return reconcileOnce(cmd.Context(), g, opts, args)
		}
		return reconcileForever(cmd.Context(), g, opts, args)
	}
	return cmd
}

func (o *reconcileOptions) check() error {
	switch {
	case o.mode != string(reconcile.ModeReport) && o.mode != string(reconcile.ModeCorrect):
		return &hint.Error{Err: fmt.Errorf("--mode %q is not known", o.mode), Hint: "use report or correct"}
	case o.mode == string(reconcile.ModeCorrect) && o.listOnly:
		return &hint.Error{Err: errors.New("--list-only and --mode correct exclude each other"), Hint: "what is written is asked about first"}
	}
	return o.daemon.check()
}

// reconcileOnce looks at each environment and goes on where one is refused, not
// healthy or cannot be read: a schedule is to see all of them.
func reconcileOnce(ctx context.Context, g *global, opts *reconcileOptions, args []string) error {
	var descends func(string) bool
	if opts.git.URL != "" {
		budget, err := g.budget.budget()
		if err != nil {
			return err
		}
		root, at, done, err := source.Checkout(ctx, &opts.git, budget)
		defer done()
		if err != nil {
			return err
		}
		g.dir, descends = root, remote.Descent(at.Ancestors)
	}
	envs, err := g.renderUnsealed(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	git, err := g.gitInfo()
	if err != nil {
		return err
	}
	var outcomes []*reconcile.Outcome
	var errs []error
	for _, env := range envs {
		outcome, err := g.reconcileEnv(ctx, env, opts, git, descends)
		if outcome != nil {
			outcomes = append(outcomes, outcome)
			g.verboseRequests(env.Name, outcome.Requests)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("env %s: %w", env.Name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := opts.daemon.tell(ctx, g, outcomes, errs); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, g.printOutcomes(outcomes, opts.all || len(args) != 1))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if opts.mode == string(reconcile.ModeReport) && slices.ContainsFunc(outcomes, func(o *reconcile.Outcome) bool { return o.Differs() }) {
		return errDifferences
	}
	return nil
}

func (g *global) reconcileEnv(ctx context.Context, env *schema.Environment, opts *reconcileOptions, git record.GitInfo, descends func(string) bool) (*reconcile.Outcome, error) {
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return nil, err
	}
	run := apply.ApplyOptions{Timeout: opts.timeout, FailAfter: opts.failAfter, Who: whoami(), Git: git}
	if opts.mode == string(reconcile.ModeCorrect) {
		view := g.progress(env)
		defer view.close()
		run.On = view.event
	}
	return reconcile.Pass(ctx, cluster, env, reconcile.Options{
		Mode:  reconcile.Mode(opts.mode),
		Plan:  apply.PlanOptions{ListOnly: opts.listOnly},
		Apply: run, NoWait: opts.noWait, Descends: descends,
		Planner: func(ctx context.Context, env *schema.Environment, plan apply.PlanOptions) (*apply.Plan, error) {
			return g.plan(ctx, cluster, env, plan)
		},
	})
}

// printOutcomes writes what was found; JSON is a list where more than one
// environment was asked for.
func (g *global) printOutcomes(outcomes []*reconcile.Outcome, list bool) error {
	switch g.output {
	case "json":
		if !list && len(outcomes) == 1 {
			return writeJSON(g.out, outcomes[0])
		}
		return writeJSON(g.out, append([]*reconcile.Outcome{}, outcomes...))
	case "markdown":
		return report.DriftMarkdown(g.out, outcomes, report.Options{})
	}
	for i, o := range outcomes {
		if i > 0 {
			fmt.Fprintln(g.out)
		}
		if err := report.Drift(painted(g.out), o, report.Options{Color: g.colored(g.out)}); err != nil {
			return err
		}
	}
	return nil
}
