package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type applyOptions struct {
	selection
	yes    yesFlag
	dryRun bool
	run    apply.ApplyOptions

	plan              string // the file of a saved plan
	rollbackOnFailure bool

	noCanary   bool
	manualWait time.Duration

	notify    notifyFlags
	messenger *messenger
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

A protected environment is not applied while files below the repository's root
differ from the commit that is checked out; --yes does not change that. Outside of
git there is no commit to record and nothing to compare with: nothing is refused.

--plan applies what diff --save wrote, and refuses when the environment renders to
something else by now, or when the cluster moved so that more would be done.

Exit codes: 0 applied and healthy, 2 error, 3 applied but not healthy,
4 refused by a guard, 130 interrupted.`,
		Example: `  evenkeel apply dev
  evenkeel apply --all --yes
  evenkeel apply prod --unit dubbo-demo-service --timeout 10m
  evenkeel apply prod --plan prod.plan --yes --rollback-on-failure`,
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
	addFailAfter(f, &opts.run.FailAfter)
	f.DurationVar(&opts.run.LockTimeout, "lock-timeout", 0, "how long to wait for a lock that another run holds")
	f.BoolVar(&opts.run.NoWait, "no-wait", false, "do not wait for health")
	f.BoolVar(&opts.run.NoPrune, "no-prune", false, "delete nothing")
	f.BoolVar(&opts.run.ForceConflicts, "force-conflicts", false, "take fields that other managers own")
	f.BoolVar(&opts.run.TakeOwnership, "take-ownership", false, "take objects that belong to another tool or environment")
	f.StringSliceVar(&opts.run.Recreate, "recreate", nil, "delete and create this KIND/NAME where an immutable field changes, or run a Job again that its TTL deleted (repeatable)")
	f.StringSliceVar(&opts.run.AllowPrune, "prune", nil, "allow the deletion of this KIND/NAME that is kept: a Namespace, CRD or volume, or what another tool was told to keep (repeatable)")
	addDeleteFirst(f, &opts.run.DeleteFirst)
	f.StringSliceVar(&opts.run.LookIn, "look-in", nil, "look also in this NAMESPACE, or for this KIND without namespaces, that only records which are not signed name (repeatable)")
	f.StringVar(&opts.plan, "plan", "", "apply the plan that diff --save wrote to this file, and nothing else")
	f.BoolVar(&opts.rollbackOnFailure, "rollback-on-failure", false, "go back to the newest revision when a unit does not become healthy")
	f.BoolVar(&opts.noCanary, "no-canary", false, "new versions come in at once, whatever rollout: canary says")
	f.DurationVar(&opts.manualWait, "wait-for-resume", 0, "how long to wait, and to watch the checks, where a canary goes on after rollout resume only")
	f.BoolVar(&opts.run.Release, "release", false, "lift the hold that a rollback set")
	f.StringVarP(&opts.run.Message, "message", "m", "", "why, for the history")
	f.StringVar(&opts.run.DespiteFreeze, "despite-freeze", "", "apply new content in a freeze, for this REASON, which the history shows")
	f.BoolVar(&opts.run.NoSecrets, "no-secrets", false, "leave Secrets out of the recorded revision; a rollback to it leaves them as they are")
	opts.notify.addFlags(f, "the run")
	cmd.MarkFlagsMutuallyExclusive("rollback-on-failure", "no-wait")
	cmd.MarkFlagsMutuallyExclusive("rollback-on-failure", "dry-run")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runApply(cmd.Context(), g, opts, args)
	}
	return cmd
}

// addFailAfter is the flag of every command that waits for health.
func addFailAfter(f *pflag.FlagSet, to *time.Duration) {
	f.DurationVar(to, "fail-after", health.DefaultLasting, "how long an object may report the same error before that is a failure; 0 waits until the timeout")
}

// addDeleteFirst is the flag of every command that prunes what others take over from.
func addDeleteFirst(f *pflag.FlagSet, to *[]string) {
	f.StringSliceVar(to, "delete-first", nil, "delete this KIND/NAME, which is no longer rendered, before what takes over its port, address, host or volume is written, instead of last (repeatable)")
}

// runApply applies the environments in order and stops at the first that does
// not become healthy: those behind it may stand on it.
func runApply(ctx context.Context, g *global, opts *applyOptions, args []string) error {
	if opts.plan != "" && (opts.all || len(args) > 1) {
		return &hint.Error{Err: errors.New("--plan is the plan of one environment"), Hint: "apply each with its own"}
	}
	envs, err := g.renderUnsealed(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	g.tellDisabled(envs)
	if opts.messenger, err = opts.notify.messenger(g); err != nil {
		return err
	}
	opts.run.Units, opts.run.Yes, opts.run.YesCount = opts.units, opts.yes.given, opts.yes.count
	opts.run.Who = whoami()
	if err := checkReasons(opts.run.Message, opts.run.DespiteFreeze); err != nil {
		return err
	}
	if opts.run.Git, err = g.gitInfo(); err != nil {
		return err
	}
	var plans []*apply.Plan
	for i, env := range envs {
		plan, err := applyOne(ctx, g, opts, env, envs[:i])
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

// applyOne plans, asks and applies one environment, after those applied before.
func applyOne(ctx context.Context, g *global, opts *applyOptions, env *schema.Environment, before []*schema.Environment) (plan *apply.Plan, err error) {
	var rep *apply.Report
	defer func() {
		if rep == nil && !opts.dryRun { // it did not come to a run
			opts.messenger.run(ctx, env.Name, reconcile.NoticeApplied, nil, opts.run, err)
		}
	}()
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return nil, err
	}
	if !opts.noCanary {
		k, err := cluster.Canaries(ctx, env, opts.run)
		if err != nil {
			return nil, err
		}
		if k != nil {
			rep = &apply.Report{} // each step is told
			return applySteps(ctx, g, opts, cluster, env, k)
		}
	}
	plan, err = g.plan(ctx, cluster, env, opts.planning())
	if err != nil {
		return nil, err
	}
	if plan.Differs(false) && !opts.dryRun {
		g.warnOfEarlier(ctx, env, before)
	}
	if err := g.agreed(ctx, env, plan, opts); err != nil || opts.dryRun {
		return plan, err
	}
	run := opts.run
	run.Unconfirmed = opts.plan == "" && (opts.yes.given || !opts.run.Yes)
	rep, err = g.execute(ctx, cluster, env, plan, run)
	opts.messenger.run(ctx, env.Name, reconcile.NoticeApplied, rep, run, err)
	if err == nil && rep.Revision == 1 && env.Cluster.UID == "" {
		fmt.Fprintf(g.err, "hint: pin %s to this cluster, add to it: cluster: uid: %q\n", env.Name, rep.Cluster.UID)
	}
	if unhealthy := (*health.NotHealthy)(nil); opts.rollbackOnFailure && errors.As(err, &unhealthy) {
		err = errors.Join(err, rollbackAfter(ctx, g, cluster, env, rep, opts))
	}
	return plan, err
}

// planning are the options of a plan that is to be applied.
func (o *applyOptions) planning() apply.PlanOptions {
	return apply.PlanOptions{
		Units: o.units, ForceConflicts: o.run.ForceConflicts, TakeOwnership: o.run.TakeOwnership,
		Recreate: o.run.Recreate, Prune: o.run.AllowPrune, DeleteFirst: o.run.DeleteFirst, LookIn: o.run.LookIn, Concurrency: o.run.Concurrency,
		ToApply: !o.dryRun,
	}
}

// agreed holds a plan to the one that was saved, prints it for a dry run, and asks.
func (g *global) agreed(ctx context.Context, env *schema.Environment, plan *apply.Plan, opts *applyOptions) error {
	if opts.plan != "" {
		if err := g.checkSaved(opts.plan, plan); err != nil {
			return err
		}
	}
	if opts.dryRun {
		return g.printPlans(ctx, []*apply.Plan{plan}, report.Options{})
	}
	return g.confirm(ctx, env, plan, opts)
}

// execute applies a plan, shows how it goes and prints the report.
func (g *global) execute(ctx context.Context, cluster *apply.Cluster, env *schema.Environment, plan *apply.Plan, run apply.ApplyOptions) (*apply.Report, error) {
	view := g.progress(env)
	run.On = view.event
	rep, err := cluster.Apply(ctx, env, plan, run)
	view.close()
	g.verboseRequests(env.Name, rep.Requests)
	return rep, errors.Join(err, g.printReport(rep))
}

func (g *global) printReport(rep *apply.Report) error {
	if g.output == "json" {
		return writeJSON(g.out, rep)
	}
	return report.Applied(painted(g.out), rep, report.Options{Color: g.colored(g.out)})
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

// gitInfo is the commit that is checked out, for guards and the history.
func (g *global) gitInfo() (record.GitInfo, error) {
	repo, err := g.repo()
	if err != nil {
		return record.GitInfo{}, err
	}
	commit, dirty, err := checkout.Head(repo.Root())
	return record.GitInfo{Commit: commit, Dirty: dirty}, err
}

// whoami names the person of a run, for the lock and the history.
func whoami() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

// checkReasons refuses texts that the history has no room for.
func checkReasons(texts ...string) error {
	const most = 2000 // bytes; the record of a revision stands in an annotation
	for _, text := range texts {
		if len(text) > most {
			return &hint.Error{Err: fmt.Errorf("a message of %d bytes is too long", len(text)), Hint: fmt.Sprintf("%d bytes are kept", most)}
		}
	}
	return nil
}
