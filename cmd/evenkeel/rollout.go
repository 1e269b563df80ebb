package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/workload"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// newRolloutCmd is a group: what kubectl rollout does, for an app, without a
// difference for the next plan.
func newRolloutCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Watch, restart, pause, resume or abort the rollout of an app",
		Long: `What kubectl rollout does, for all workloads of an app. What these commands
write is no difference for diff, apply and reconcile.

Exit codes: 0 done, 2 error, 3 not rolled out, 4 refused, 130 interrupted.`,
		Example: `  evenkeel rollout restart prod dubbo-demo-service
  evenkeel rollout status prod dubbo-demo-service --timeout 5m
  evenkeel rollout pause prod dubbo-demo-service`,
	}
	cmd.AddCommand(newRolloutStatusCmd(g), newRestartCmd(g), newPauseCmd(g), newResumeCmd(g), newAbortCmd(g))
	return cmd
}

func newRolloutStatusCmd(g *global) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status ENV APP",
		Short: "Wait until the workloads of an app are rolled out",
		Long: `Wait like the gate of an apply until the workloads of an app are rolled out, or
fail with the cause. --timeout 0 looks once. Nothing is written. While a canary of the
app runs, its step, the time that it is watched, and how its checks stand are shown.

Exit codes: 0 rolled out, 2 error, 3 failed or not in time, 130 interrupted.`,
		Example: `  evenkeel rollout status prod dubbo-demo-service
  evenkeel rollout status prod dubbo-demo-service --timeout 0`,
		Args:              envAnd("an app"),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait; 0 looks once")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runRolloutStatus(cmd.Context(), g, args[0], args[1], timeout)
	}
	return cmd
}

func runRolloutStatus(ctx context.Context, g *global, name, app string, timeout time.Duration) error {
	env, cluster, err := g.app(ctx, name, app)
	if err != nil {
		return err
	}
	only, err := workload.Of(env, app)
	if err != nil {
		return fmt.Errorf("env %s: %w", name, err)
	}
	opts := apply.StatusOptions{Timeout: timeout}
	var status *apply.Status
	if timeout == 0 {
		status, err = workload.RolloutStatus(ctx, cluster, env, app, opts)
	} else {
		view := g.progress(only)
		opts.On = view.event
		status, err = workload.RolloutStatus(ctx, cluster, env, app, opts)
		view.close()
	}
	if ctx.Err() != nil {
		return errEnded
	}
	if err != nil {
		return fmt.Errorf("env %s: %w", name, err)
	}
	if err := addChecks(ctx, cluster, env, app, status); err != nil {
		return fmt.Errorf("env %s: %w", name, err)
	}
	if err := g.printStatus([]envStatus{{Status: status}}); err != nil {
		return err
	}
	if !status.Healthy {
		return errUnhealthy
	}
	return nil
}

func newRestartCmd(g *global) *cobra.Command {
	return g.rolloutVerb(&cobra.Command{
		Use:   "restart ENV APP",
		Short: "Replace the pods of an app, by its rollout strategy",
		Long: `Replace the pods of an app's Deployments, StatefulSets and DaemonSets by their
rollout strategy. It does not wait: rollout status does.

Exit codes: 0 begun, 2 error, 4 refused (paused, wrong cluster).`,
		Example: `  evenkeel rollout restart prod dubbo-demo-service`,
	}, "restarted", func(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string) ([]schema.Ref, error) {
		return workload.Restart(ctx, c, env, app)
	})
}

func newPauseCmd(g *global) *cobra.Command {
	return g.rolloutVerb(&cobra.Command{
		Use:   "pause ENV APP",
		Short: "Stop the rollout of an app where it stands",
		Long: `Stop the rollout of an app's Deployments where it stands, until it is resumed.
An apply still writes them and leaves them paused; their pods stay as they are.
status says who paused an app, and when.

Exit codes: 0 paused, 2 error, 4 refused (no Deployment, wrong cluster).`,
		Example: `  evenkeel rollout pause prod dubbo-demo-service`,
	}, "paused", func(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string) ([]schema.Ref, error) {
		return workload.Pause(ctx, c, env, app, whoami())
	})
}

func newResumeCmd(g *global) *cobra.Command {
	return g.rolloutVerb(&cobra.Command{
		Use:   "resume ENV APP",
		Short: "Let the rollout of a paused app go on",
		Long: `Let the rollout of a paused app go on, whoever paused it. Where a canary of the app
runs, that goes on to its next step: in the apply that watches it, or the next one.

Exit codes: 0 resumed, 2 error, 4 refused (no Deployment, wrong cluster).`,
		Example: `  evenkeel rollout resume prod dubbo-demo-service`,
	}, "resumed", func(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string) ([]schema.Ref, error) {
		if ran, err := c.ResumeCanary(ctx, env, app, whoami()); ran || err != nil {
			if err == nil {
				fmt.Fprintf(g.out, "canary of %s resumed\n", app)
				fmt.Fprintf(g.err, "hint: where no apply watches it: evenkeel apply %s\n", env.Name)
			}
			return nil, err
		}
		return workload.Resume(ctx, c, env, app)
	})
}

func newAbortCmd(g *global) *cobra.Command {
	opts := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "abort ENV APP",
		Short: "End the canary of an app",
		Long: `Delete the canary of an app. The app itself was not touched, and stays as it is.
What git says is on hold, as after a rollback: until it says something else, or
until apply --release. A run that watches the canary ends.

Exit codes: 0 ended, 2 error, 3 not healthy, 4 refused (no canary runs, it has
passed, wrong cluster).`,
		Example:           `  evenkeel rollout abort prod dubbo-demo-service -m "too many errors in the log"`,
		Args:              envAnd("an app"),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	f := cmd.Flags()
	f.StringVarP(&opts.run.Message, "message", "m", "", "why, for the history")
	f.DurationVar(&opts.run.Timeout, "timeout", 5*time.Minute, "how long a unit may take to become healthy")
	f.DurationVar(&opts.run.LockTimeout, "lock-timeout", 30*time.Second, "how long to wait for a lock that another run holds")
	opts.notify.addFlags(f, "it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runAbort(cmd.Context(), g, opts, args[0], args[1])
	}
	return cmd
}

func runAbort(ctx context.Context, g *global, opts *applyOptions, name, app string) error {
	if err := checkReasons(opts.run.Message); err != nil {
		return err
	}
	envs, err := g.renderUnsealed(ctx, &selection{units: []string{app}}, []string{name})
	if err != nil {
		return err
	}
	env := envs[0]
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return err
	}
	if opts.messenger, err = opts.notify.messenger(g); err != nil {
		return err
	}
	if opts.run.Git, err = g.gitInfo(); err != nil {
		return err
	}
	opts.run.Who, opts.run.Yes = whoami(), true // it writes nothing that was not there before
	restored, run, err := cluster.AbortCanary(ctx, env, app, opts.run)
	if err == nil {
		err = g.abort(ctx, opts, cluster, restored, run)
	}
	if err != nil {
		return fmt.Errorf("env %s: %w", name, err)
	}
	return nil
}

// addChecks says how the checks of the canary that runs stand.
func addChecks(ctx context.Context, cluster *apply.Cluster, env *schema.Environment, app string, status *apply.Status) error {
	for i := range status.Units {
		u := &status.Units[i]
		if u.Name != app || u.Canary == nil {
			continue
		}
		k, err := cluster.Canaries(ctx, env, apply.ApplyOptions{Release: true})
		if err != nil || k == nil || !k.Begun || k.State.App != app || k.State.Last {
			return err
		}
		u.Canary.Checks, err = k.Checks(ctx)
		return err
	}
	return nil
}

// rolloutVerb completes a command that does one thing to an app and names the
// objects that it did it to.
func (g *global) rolloutVerb(cmd *cobra.Command, done string, do func(context.Context, *apply.Cluster, *schema.Environment, string) ([]schema.Ref, error)) *cobra.Command {
	cmd.Args = envAnd("an app")
	cmd.ValidArgsFunction = g.completeEnvs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		env, cluster, err := g.app(cmd.Context(), args[0], args[1])
		if err != nil {
			return err
		}
		refs, err := do(cmd.Context(), cluster, env, args[1])
		for _, ref := range refs {
			fmt.Fprintf(g.out, "%s %s\n", ref, done)
		}
		if err != nil {
			return fmt.Errorf("env %s: %w", env.Name, err)
		}
		return nil
	}
	return cmd
}

// app renders an environment that has the app, and connects to its cluster.
func (g *global) app(ctx context.Context, name, app string) (*schema.Environment, *apply.Cluster, error) {
	envs, err := g.renderAll(ctx, &selection{units: []string{app}}, []string{name})
	if err != nil {
		return nil, nil, err
	}
	cluster, err := g.cluster(envs[0].Cluster)
	return envs[0], cluster, err
}

// envAnd wants an environment and something of it.
func envAnd(second string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 {
			return nil
		}
		return &hint.Error{
			Err:  fmt.Errorf("name an environment and %s, not %d arguments", second, len(args)),
			Hint: cmd.UseLine(),
		}
	}
}
