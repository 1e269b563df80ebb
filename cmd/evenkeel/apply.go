package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type applyOptions struct {
	selection
	yes    yesFlag
	dryRun bool
	run    apply.ApplyOptions
}

func newApplyCmd(g *global) *cobra.Command {
	opts := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "apply ENV...",
		Short: "Bring a cluster level with an environment",
		Long: `Bring clusters level with environments: plan, write what differs by server-side
apply in the order of the units, wait until each unit is healthy, then delete
what the environment no longer renders. What is level is not written.

On a terminal the plan is shown and asked about, --yes answers. Elsewhere apply
goes on by itself unless a guard asks for --yes: a first apply to a cluster that
the environment does not pin, a protected environment, a deletion of more than
10 objects or a third of the environment (--yes=N names the number).

Exit codes: 0 applied and healthy, 2 error, 3 applied but not healthy,
4 refused by a guard, 130 interrupted.`,
		Example: `  evenkeel apply dev
  evenkeel apply --all --yes
  evenkeel apply prod --unit dubbo-demo-service --timeout 10m`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	opts.addAll(cmd.Flags())
	opts.addUnits(cmd.Flags())
	f := cmd.Flags()
	f.Var(&opts.yes, "yes", "answer what a guard asks; --yes=N allows N deletions")
	f.Lookup("yes").NoOptDefVal = "true"
	f.BoolVar(&opts.dryRun, "dry-run", false, "show the plan and write nothing; exits like diff")
	f.DurationVar(&opts.run.Timeout, "timeout", 5*time.Minute, "how long a unit may take to become healthy")
	f.DurationVar(&opts.run.LockTimeout, "lock-timeout", 0, "how long to wait for a lock that another run holds")
	f.BoolVar(&opts.run.NoWait, "no-wait", false, "do not wait for health, and do not prune")
	f.BoolVar(&opts.run.NoPrune, "no-prune", false, "delete nothing")
	f.BoolVar(&opts.run.ForceConflicts, "force-conflicts", false, "take fields that other managers own")
	f.BoolVar(&opts.run.TakeOwnership, "take-ownership", false, "take objects that belong to another tool or environment")
	f.StringSliceVar(&opts.run.Recreate, "recreate", nil, "delete and create this KIND/NAME where an immutable field changes (repeatable)")
	f.StringSliceVar(&opts.run.AllowPrune, "prune", nil, "allow the deletion of this KIND/NAME of a kind that is kept: Namespace, CRD, volume (repeatable)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runApply(cmd.Context(), g, opts, args)
	}
	return cmd
}

// runApply applies the environments in order and stops at the first that does
// not become healthy: those behind it may stand on it.
func runApply(ctx context.Context, g *global, opts *applyOptions, args []string) error {
	envs, err := g.renderAll(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	opts.run.Units, opts.run.Yes, opts.run.YesCount = opts.units, opts.yes.given, opts.yes.count
	opts.run.Who = whoami()
	var plans []*apply.Plan
	for _, env := range envs {
		plan, err := applyOne(ctx, g, opts, env)
		if err != nil {
			return fmt.Errorf("env %s: %w", env.Name, err)
		}
		plans = append(plans, plan)
	}
	if !opts.dryRun {
		return nil
	}
	for _, p := range plans {
		if p.Differs(false) {
			return errDifferences
		}
	}
	return nil
}

// applyOne plans, asks and applies one environment.
func applyOne(ctx context.Context, g *global, opts *applyOptions, env *schema.Environment) (*apply.Plan, error) {
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return nil, err
	}
	plan, err := g.plan(ctx, cluster, env, apply.PlanOptions{
		Units: opts.units, ForceConflicts: opts.run.ForceConflicts, TakeOwnership: opts.run.TakeOwnership,
		Recreate: opts.run.Recreate, Prune: opts.run.AllowPrune, Concurrency: opts.run.Concurrency,
	})
	if err != nil {
		return nil, err
	}
	if opts.dryRun {
		return plan, g.printPlans(ctx, []*apply.Plan{plan}, report.Options{})
	}
	if err := g.confirm(env, plan, opts); err != nil {
		return nil, err
	}
	view := g.progress(env)
	run := opts.run
	run.On = view.event
	rep, err := cluster.Apply(ctx, env, plan, run)
	view.close()
	if rep != nil {
		g.verboseRequests(env.Name, rep.Requests)
		if err == nil && rep.Revision == 1 && env.Cluster.UID == "" {
			fmt.Fprintf(g.err, "hint: pin %s to this cluster, add to it: cluster: uid: %q\n", env.Name, rep.Cluster.UID)
		}
		if printErr := g.printReport(rep); printErr != nil {
			return nil, errors.Join(err, printErr)
		}
	}
	return plan, err
}

func (g *global) printReport(rep *apply.Report) error {
	if g.output == "json" {
		return writeJSON(g.out, rep)
	}
	return report.Applied(g.out, rep, report.Options{Color: g.colored(g.out)})
}

// yesFlag is --yes, or --yes=N with the number of deletions that are allowed.
type yesFlag struct {
	given bool
	count int
}

func (y *yesFlag) String() string {
	if y.count > 0 {
		return strconv.Itoa(y.count)
	}
	return strconv.FormatBool(y.given)
}

func (y *yesFlag) Set(s string) error {
	if b, err := strconv.ParseBool(s); err == nil && s != "1" && s != "0" {
		y.given, y.count = b, 0
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is neither a number of deletions nor true or false", s)
	}
	y.given, y.count = true, n
	return nil
}

func (*yesFlag) Type() string { return "N" }

// whoami names the person of a run, for the lock and the history.
func whoami() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}
