package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/spf13/cobra"
)

type upOptions struct {
	nodes       []string
	kubeconfig  string
	context     string
	dataDir     string
	latency     time.Duration
	serviceCIDR string
	podCIDR     string
	readyFile   string
	detach      bool
	whilePID    int
}

func newUpCmd() *cobra.Command {
	opts := upOptions{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster and keep it until SIGINT, SIGTERM or the end of the caller",
		Long: `Start etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok on
the loopback interface, print one line when the cluster is ready, and keep it
until SIGINT or SIGTERM, until the process that started it ends, or until its
standard input, where that is a pipe, is closed. With it go all its processes,
its data directory and its kubeconfig.`,
		Example: `  sandbox up --kubeconfig /tmp/sandbox.kubeconfig
  sandbox up --detach --latency 25ms
  sandbox up --nodes node-a=10.0.0.1,node-b=10.0.0.2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.detach {
				return runDetached(cmd.OutOrStdout())
			}
			return runUp(cmd.Context(), cmd.OutOrStdout(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&opts.nodes, "nodes", []string{"hdss7-21.host.com", "hdss7-22.host.com"}, "the nodes, `NAME[=ADDRESS]`; addresses count from 10.4.7.21 where not given")
	flags.StringVar(&opts.kubeconfig, "kubeconfig", "", "`file` to write the kubeconfig to (default: in the data directory)")
	flags.StringVar(&opts.context, "context", "sandbox", "`name` of the context in the kubeconfig")
	flags.StringVar(&opts.dataDir, "data-dir", "", "`directory` for all data, empty or not there yet; removed at the stop (default: a temporary one)")
	flags.DurationVar(&opts.latency, "latency", 0, "round-trip time to add between clients and the API server")
	flags.StringVar(&opts.serviceCIDR, "service-cidr", "192.168.0.0/16", "range of the cluster IPs of Services")
	flags.StringVar(&opts.podCIDR, "pod-cidr", "172.7.0.0/16", "range that the nodes get their pod CIDRs from")
	flags.StringVar(&opts.readyFile, "ready-file", "", "`file` to write the path of the kubeconfig to when the cluster is ready")
	flags.BoolVar(&opts.detach, "detach", false, "start in the background and return when ready; stop with sandbox down")
	flags.IntVar(&opts.whilePID, "while-pid", 0, "end when this `process` ends, unless sandbox keep was called before; for scripts that use --detach")
	return cmd
}

// runUp runs a cluster until ctx ends, the caller ends or a component fails.
func runUp(ctx context.Context, out io.Writer, opts upOptions) (err error) {
	// The thread that starts the children must live as long as they shall.
	runtime.LockOSThread()
	started := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go untilCallerEnds(cancel)
	signal.Ignore(keepSignal) // unless there is something to keep it from
	if opts.whilePID != 0 {
		go untilProcessEnds(ctx, opts.whilePID, cancel)
	}
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, restartSignal)
	defer signal.Stop(restart)

	if err := sweep(); err != nil {
		return err
	}
	cluster, err := newCluster(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.stop()) }()
	if err := cluster.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it was ready
		}
		return err
	}
	if err := cluster.printReady(out, time.Since(started)); err != nil {
		return err
	}
	if opts.readyFile != "" {
		if err := os.WriteFile(opts.readyFile, []byte(cluster.kubeconfig+"\n"), 0o600); err != nil {
			return err
		}
		defer func() { _ = os.Remove(opts.readyFile) }()
	}
	if err := leaveCaller(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-cluster.children.exited:
			return err
		case <-restart:
			if err := cluster.children.restart(apiserverName); err != nil {
				return err
			}
		}
	}
}

func (c *cluster) printReady(out io.Writer, took time.Duration) error {
	latency := ""
	if c.latency > 0 {
		latency = fmt.Sprintf(" (%s round trip added; without: https://%s)", c.latency, c.apiAddress)
	}
	_, err := fmt.Fprintf(out, "ready after %.1fs: API %s%s, kubeconfig %s\n  next: export KUBECONFIG=%s && sandbox kubectl get nodes\n  image tags that decide the fate of a pod: sandbox fates\n",
		took.Seconds(), c.url, latency, c.kubeconfig, c.kubeconfig)
	return err
}
