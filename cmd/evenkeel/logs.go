package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/apply/workload"
)

type logsOptions struct {
	workload.LogOptions
	prefix bool
	raw    bool
}

func newLogsCmd(g *global) *cobra.Command {
	opts := &logsOptions{}
	cmd := &cobra.Command{
		Use:   "logs ENV APP",
		Short: "Print the logs of all pods of an app",
		Long: `Print the logs of all pods of an app's workloads, pod after pod by name; lines
begin with the name of the pod where there are several. With -f lines come as
they are written, from pods that start later too, until Ctrl-C.

A log holds what others make the app write. On a terminal its control characters
are made visible, and in CI (CI, TF_BUILD, GITHUB_ACTIONS or GITLAB_CI is set) its
lines give the CI service no commands either. To a pipe or a file outside of CI, and
with --raw, lines are passed on byte for byte.

Exit codes: 0 done, 2 error (no pods, no log), 130 interrupted.`,
		Example: `  evenkeel logs prod dubbo-demo-service --tail 100
  evenkeel logs prod dubbo-demo-service -f --since 5m
  evenkeel logs prod dubbo-demo-service --previous`,
		Args:              envAnd("an app"),
		ValidArgsFunction: g.completeEnvs,
	}
	f := cmd.Flags()
	f.BoolVarP(&opts.Follow, "follow", "f", false, "go on with what is written")
	f.BoolVar(&opts.Previous, "previous", false, "of the run before a container's last restart")
	f.Int64Var(&opts.Tail, "tail", -1, "only so many of the last lines of each pod; -1 means all")
	f.DurationVar(&opts.Since, "since", 0, "only what is newer, such as 5m")
	f.StringVarP(&opts.Container, "container", "c", "", "the container (default: the pod's own default, else its first)")
	f.BoolVar(&opts.prefix, "prefix", false, "the pod's name before each line, of a single pod too")
	f.BoolVar(&opts.raw, "raw", false, "byte for byte, also to a terminal or in CI")
	cmd.MarkFlagsMutuallyExclusive("follow", "previous")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runLogs(cmd.Context(), g, opts, args[0], args[1])
	}
	return cmd
}

func runLogs(ctx context.Context, g *global, opts *logsOptions, name, app string) error {
	env, cluster, err := g.app(ctx, name, app)
	if err != nil {
		return err
	}
	var paint podPainter
	out, colored := painted(g.out), g.colored(g.out)
	text := report.Clean
	if opts.raw || !isTerminal(g.out) && !inCI() {
		out, text = uncleaned(g.out), func(s string) string { return s }
	}
	err = workload.Logs(ctx, cluster, env, app, opts.LogOptions, func(l workload.LogLine) {
		switch {
		case l.Pods < 2 && !opts.prefix:
			fmt.Fprintln(out, text(l.Text))
		case colored:
			fmt.Fprintf(out, "%s%s\x1b[0m %s\n", paint.color(l.Pod), report.Line(l.Pod), text(l.Text))
		default:
			fmt.Fprintf(out, "%s %s\n", report.Line(l.Pod), text(l.Text))
		}
	}, func(err error) {
		fmt.Fprintf(g.err, "warning: %s\n", err)
	})
	if ctx.Err() != nil {
		return errEnded
	}
	if err != nil {
		return fmt.Errorf("env %s: unit %s: %w", name, app, err)
	}
	return nil
}

// podPainter gives each pod a colour in the order in which they speak.
type podPainter struct{ pods []string }

func (p *podPainter) color(pod string) string {
	i := slices.Index(p.pods, pod)
	if i < 0 {
		i = len(p.pods)
		p.pods = append(p.pods, pod)
	}
	return fmt.Sprintf("\x1b[%dm", 32+i%5) // green, yellow, blue, magenta, cyan
}
