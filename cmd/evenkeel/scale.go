package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/workload"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
)

type scaleOptions struct {
	during time.Duration
	end    bool
}

func newScaleCmd(g *global) *cobra.Command {
	opts := &scaleOptions{}
	cmd := &cobra.Command{
		Use:   "scale ENV APP[/WORKLOAD]=N --for DURATION",
		Short: "Scale an app past git for a while",
		Long: `Set the replicas of an app's workload in the cluster, past git, for a while: to
break glass. Until the time is over, diff, apply and reconcile leave the replicas
alone and say so, and status shows who scaled and until when. The first apply
afterwards brings back what is rendered. --end ends it before.

For good, change the source: replicas of the app.

Exit codes: 0 done, 2 error, 4 refused (an autoscaler decides, wrong cluster).`,
		Example: `  evenkeel scale prod dubbo-demo-consumer=5 --for 2h
  evenkeel scale prod shop/web=5 --for 30m
  evenkeel scale prod dubbo-demo-consumer --end`,
		Args:              envAnd("an app with its replicas"),
		ValidArgsFunction: g.completeEnvs,
	}
	cmd.Flags().DurationVar(&opts.during, "for", 0, "how long")
	cmd.Flags().BoolVar(&opts.end, "end", false, "end it now: the next apply brings back what is rendered")
	cmd.MarkFlagsMutuallyExclusive("for", "end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runScale(cmd.Context(), g, opts, args[0], args[1])
	}
	return cmd
}

func runScale(ctx context.Context, g *global, opts *scaleOptions, name, target string) error {
	app, workloadName, replicas, err := parseScale(target, opts)
	if err != nil {
		return &hint.Error{Err: err, Hint: "evenkeel scale ENV APP=N --for DURATION"}
	}
	env, cluster, err := g.app(ctx, name, app)
	if err != nil {
		return err
	}
	if opts.end {
		if err := workload.EndScale(ctx, cluster, env, app); err != nil {
			return fmt.Errorf("env %s: %w", name, err)
		}
		fmt.Fprintf(g.out, "unit %s is as git says at the next apply\n", app)
		return nil
	}
	until := time.Now().Add(opts.during).UTC().Truncate(time.Second)
	ref, err := workload.Scale(ctx, cluster, env, app, record.Scaled{Workload: workloadName, Replicas: replicas, Until: until, By: whoami()})
	if err != nil {
		return fmt.Errorf("env %s: %w", name, err)
	}
	fmt.Fprintf(g.out, "%s scaled to %d until %s\n", ref, replicas, until.Format(time.RFC3339))
	return nil
}

// parseScale reads APP[/WORKLOAD]=N, or APP alone where a scale ends.
func parseScale(target string, opts *scaleOptions) (app, workload string, replicas int64, err error) {
	target, number, counted := strings.Cut(target, "=")
	app, workload, _ = strings.Cut(target, "/")
	switch {
	case opts.end && (counted || workload != ""):
		return "", "", 0, errors.New("--end takes the name of the app alone")
	case opts.end:
		return app, "", 0, nil
	case !counted:
		return "", "", 0, fmt.Errorf("%q names no number of replicas", target)
	case opts.during <= 0:
		return "", "", 0, errors.New("--for says how long")
	}
	replicas, err = strconv.ParseInt(number, 10, 32)
	if err != nil || replicas < 0 {
		return "", "", 0, fmt.Errorf("%q is not a number of replicas", number)
	}
	return app, workload, replicas, nil
}
