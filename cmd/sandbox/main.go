// Command sandbox runs a real Kubernetes control plane on the loopback
// interface for demonstrations and tests: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and the kwok controller, each as a
// child process of this one binary. Everything behaves as in a cluster, except
// that there are no containers: the tag of an image decides what becomes of its
// pod (fates.go).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/component-base/version"
)

func main() {
	// kubectl and the components parse their own arguments and install their own
	// signal handlers, so both are told apart before any flag is read.
	switch {
	case filepath.Base(os.Args[0]) == "kubectl":
		runKubectl()
		return
	case len(os.Args) > 1 && os.Args[1] == "kubectl":
		useRunningSandbox()
		os.Args = os.Args[1:]
		runKubectl()
		return
	case len(os.Args) > 2 && os.Args[1] == componentCommand:
		os.Args = os.Args[2:]
		os.Exit(runComponent(os.Args[0]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := newRootCmd().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
}

func newRootCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "sandbox",
		Short:         "A real Kubernetes control plane on this machine, without containers",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(newUpCmd(), newDownCmd(), newPauseCmd(), newResumeCmd(), newRestartCmd(), newKeepCmd(), newFatesCmd(), newVersionCmd(), &cobra.Command{
		Use:   "kubectl [ARG...]",
		Short: "Run kubectl; without a kubeconfig, against the sandbox that is running",
	})
	return cmd
}

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of Kubernetes that it runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "kubernetes", version.Get().GitVersion)
			return err
		},
	}
}
