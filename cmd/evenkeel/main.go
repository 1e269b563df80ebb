// Command evenkeel renders Kubernetes environments that are modelled in CUE and
// keeps clusters level with them.
//
// Each subcommand has a file of its own that parses flags, calls render and
// apply, and prints. The result goes to stdout, everything else to stderr.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/usergit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// streams are the three standard streams of one command.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	ci := inCI()
	s.out, s.err = newCleaner(s.out, ci), newCleaner(s.err, ci)
	// What libraries say on their own quotes the cluster and the repository, too.
	log.SetOutput(s.err) //nolint:forbidigo // nothing of ours logs
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	for _, variable := range os.Environ() {
		if usergit.LeadsElsewhere(variable) {
			name, _, _ := strings.Cut(variable, "=")
			_ = os.Unsetenv(name)
		}
	}
	root := newRootCmd(s)
	root.SetArgs(args)
	err := contain.Call(func() error { return root.ExecuteContext(ctx) })
	if err == nil {
		return exitDone
	}
	printError(s.err, err)
	return exitCode(err)
}

func newRootCmd(s streams) *cobra.Command {
	g := newGlobal(s)
	root := &cobra.Command{
		Use:   "evenkeel",
		Short: "Render Kubernetes environments from CUE and keep clusters level with them",
		Long: `evenkeel renders Kubernetes environments that are modelled in CUE, shows what
would change in a cluster, applies it with health gating and pruning, and finds
drift. An environment is a directory below envs/.

Exit codes, the same for every command:
  0    done; for diff: no differences
  1    differences found (diff, apply --dry-run, reconcile --mode report --once)
  2    error: bad usage, invalid configuration, API failure
  3    applied, but not healthy
  4    refused by a guard: wrong cluster, lock held, conflict, prune limit, ownership,
       rights that are missing
  130  interrupted`,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		Args:                       cobra.ArbitraryArgs,
		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(s.in)
	root.SetOut(uncleaned(s.out)) // completion scripts
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &hint.Error{Err: err, Hint: fmt.Sprintf("%s --help lists the flags", cmd.CommandPath())}
	})
	g.addFlags(root.PersistentFlags())
	root.AddCommand(
		newInitCmd(g),
		newEnvsCmd(g),
		newVetCmd(g),
		newEdgeCmd(g),
		newImagesCmd(g),
		newExplainCmd(g),
		newTraceCmd(g),
		newUICmd(g),
		newGraphCmd(g),
		newHandbookCmd(g),
		newRenderCmd(g),
		newRenderChildCmd(g),
		newDiffCmd(g),
		newApplyCmd(g),
		newStatusCmd(g),
		newHistoryCmd(g),
		newRollbackCmd(g),
		newRolloutCmd(g),
		newScaleCmd(g),
		newSetCmd(g),
		newLogsCmd(g),
		newDeleteCmd(g),
		newReconcileCmd(g),
		newNewCmd(g),
		newOutdatedCmd(g),
		newImportCmd(g),
		newExportCmd(g),
		newChartCmd(g),
		newPinCmd(g),
		newPromoteCmd(g),
		newPushCmd(g),
		newReadyCmd(g),
		newRBACCmd(g),
		newVendorCmd(g),
		newVersionCmd(g),
	)
	return root
}

// unknownCommand is the error for a first word that is no command.
func unknownCommand(cmd *cobra.Command, name string) error {
	e := &hint.Error{Err: fmt.Errorf("unknown command %q", name), Hint: "evenkeel --help lists the commands"}
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		e.Hint = fmt.Sprintf("did you mean %q?", near[0])
	}
	return e
}
