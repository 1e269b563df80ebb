package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
)

func newDeleteCmd(g *global) *cobra.Command {
	opts := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "delete ENV...",
		Short: "Remove an environment from its cluster",
		Long: `Remove environments: every object of them in reverse order, then the records
that evenkeel keeps, then the Namespace if nothing else is in it. The guards are
those of apply; --yes=N names the number of deletions.

Exit codes: 0 removed, 2 error, 4 refused by a guard, 130 interrupted.`,
		Example: `  evenkeel delete dev
  evenkeel delete dev --yes=14
  evenkeel delete test --prune Namespace/test --yes=14`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	f := cmd.Flags()
	f.Var(&opts.yes, "yes", "answer what a guard asks; --yes=N allows N deletions")
	f.Lookup("yes").NoOptDefVal = "true"
	f.DurationVar(&opts.run.Timeout, "timeout", 5*time.Minute, "how long to wait until objects are gone")
	f.DurationVar(&opts.run.LockTimeout, "lock-timeout", 0, "how long to wait for a lock that another run holds")
	f.StringSliceVar(&opts.run.AllowPrune, "prune", nil, "allow the deletion of this KIND/NAME that is kept: a Namespace, CRD or volume, or what another tool was told to keep (repeatable)")
	f.StringSliceVar(&opts.run.LookIn, "look-in", nil, "look also in this NAMESPACE, or for this KIND without namespaces, that only records which are not signed name (repeatable)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runDelete(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runDelete(ctx context.Context, g *global, opts *applyOptions, args []string) error {
	envs, err := g.renderAll(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	slices.Reverse(envs)
	opts.run.Yes, opts.run.YesCount, opts.run.Who = opts.yes.given, opts.yes.count, whoami()
	if opts.run.Git, err = g.gitInfo(); err != nil {
		return err
	}
	for _, env := range envs {
		cluster, err := g.cluster(env.Cluster)
		if err != nil {
			return err
		}
		view := g.progress(env)
		run := opts.run
		run.On = func(e apply.Event) { view.event(e) }
		rep, err := cluster.Delete(ctx, env, run)
		view.close()
		if rep != nil {
			err = errors.Join(err, g.printReport(rep))
		}
		if err != nil {
			return fmt.Errorf("env %s: %w", env.Name, err)
		}
	}
	return nil
}
