// Command lab brings up the users' data centre on one Linux machine, every hop
// real: hosts are network, mount and process namespaces on one switch, with the
// addresses of the od.com site. Two of them are Kubernetes nodes, two are edge
// hosts, three run ZooKeeper, one has the zone od.com. It knows the site of the
// worked example and evenkeel's commands, and nothing of evenkeel's packages.
//
//	build -> images -> up (hosts, registry, DNS, edge, control plane, nodes) -> test -> down
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := newRootCmd().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(2) //nolint:forbidigo // this is main
	}
}

func newRootCmd() *cobra.Command {
	l := &lab{out: os.Stdout}
	var dir string
	cmd := &cobra.Command{
		Use:           "lab",
		Short:         "The od.com data centre in network namespaces of this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			abs, err := filepath.Abs(dir)
			l.dir = abs
			return err
		},
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.PersistentFlags().StringVar(&dir, "dir", ".cache/lab", "binaries, images and state")
	cmd.AddCommand(
		newBuildCmd(l),
		&cobra.Command{
			Use: "up", Short: "Bring the data centre up, with an empty cluster", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return l.up(cmd.Context()) },
		},
		&cobra.Command{
			Use: "down", Short: "Remove everything that up made", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return l.down() },
		},
		newTestCmd(l),
		newRunCmd(l),
	)
	cmd.AddCommand(newHiddenCmds()...)
	return cmd
}

func newBuildCmd(l *lab) *cobra.Command {
	var withoutTraefik bool
	cmd := &cobra.Command{
		Use: "build [NAME...]", Short: "Build every program of the lab from Go modules, or those that are named (half an hour when cold)",
		RunE: func(cmd *cobra.Command, args []string) error { return l.build(cmd.Context(), args, withoutTraefik) },
	}
	cmd.Flags().BoolVar(&withoutTraefik, "without-traefik", false, "spare the third of the time that Traefik takes: a router of the lab stands in for it")
	return cmd
}

// newRunCmd is the door into the lab: nothing outside can reach its addresses.
func newRunCmd(l *lab) *cobra.Command {
	var on string
	cmd := &cobra.Command{
		Use:   "run [--on HOST] -- PROGRAM [ARG...]",
		Short: "Run a program on a host of the lab, kubectl and evenkeel among them",
		Long: `Run a program on a host of the lab, hdss7-200 without --on: the operators' host,
from which kubectl and evenkeel reach the cluster. Nothing outside can.`,
		Example: `  lab run -- kubectl get nodes
  lab run -- evenkeel status --all
  lab run --on hdss7-11 -- ip address`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := l.command(cmd.Context(), on, args...)
			c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
			return c.Run()
		},
	}
	cmd.Flags().StringVar(&on, "on", opsHost, "the host")
	return cmd
}

// newHiddenCmds are what the program starts itself as: on hosts and in images.
func newHiddenCmds() []*cobra.Command {
	return []*cobra.Command{
		{
			Use: "init HOST DIR", Hidden: true, Args: cobra.ExactArgs(2),
			RunE: func(_ *cobra.Command, args []string) error { return hostInit(args[0], args[1]) },
		},
		{
			Use: "spawn DIR PID LOG PROGRAM [ARG...]", Hidden: true, Args: cobra.MinimumNArgs(4), DisableFlagParsing: true,
			RunE: func(_ *cobra.Command, args []string) error { return spawn(args[0], args[1], args[2], args[3:]) },
		},
		{
			Use: "pause", Hidden: true,
			RunE: func(cmd *cobra.Command, _ []string) error { <-cmd.Context().Done(); return nil },
		},
		{
			// the arguments are those of the program that it stands in for
			Use: "stand-in", Hidden: true, DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, _ []string) error { return standIn(cmd.Context()) },
		},
		{
			Use: "serve-git ROOT PKI", Hidden: true, Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error { return serveGit(cmd.Context(), args[0], args[1]) },
		},
		{
			Use: "ingress", Hidden: true, DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, _ []string) error { return serveIngress(cmd.Context()) },
		},
		{
			Use: "jre8", Hidden: true, Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return jre8() },
		},
		{
			Use: "lookup NAME...", Hidden: true, Args: cobra.MinimumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return lookup(cmd.Context(), args) },
		},
	}
}
