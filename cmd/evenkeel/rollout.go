package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/workload"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// newRolloutCmd is a group: what kubectl rollout does, for an app, without a
// difference for the next plan.
func newRolloutCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Watch, restart, pause or resume the rollout of an app",
		Long: `What kubectl rollout does, for all workloads of an app. What these commands
write is no difference for diff, apply and reconcile.

Exit codes: 0 done, 2 error, 3 not rolled out, 4 refused, 130 interrupted.`,
		Example: `  evenkeel rollout restart prod dubbo-demo-service
  evenkeel rollout status prod dubbo-demo-service --timeout 5m
  evenkeel rollout pause prod dubbo-demo-service`,
	}
	cmd.AddCommand(newRolloutStatusCmd(g), newRestartCmd(g), newPauseCmd(g), newResumeCmd(g))
	return cmd
}

func newRolloutStatusCmd(g *global) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status ENV APP",
		Short: "Wait until the workloads of an app are rolled out",
		Long: `Wait like the gate of an apply until the workloads of an app are rolled out, or
fail with the cause. --timeout 0 looks once. Nothing is written.

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
		Long: `Let the rollout of a paused app go on, whoever paused it.

Exit codes: 0 resumed, 2 error, 4 refused (no Deployment, wrong cluster).`,
		Example: `  evenkeel rollout resume prod dubbo-demo-service`,
	}, "resumed", func(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string) ([]schema.Ref, error) {
		return workload.Resume(ctx, c, env, app)
	})
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
		return &usageError{
			err:  fmt.Errorf("name an environment and %s, not %d arguments", second, len(args)),
			hint: cmd.UseLine(),
		}
	}
}
