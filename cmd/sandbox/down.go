package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// stopTimeout bounds the wait for a sandbox to end; it takes a fraction of a second.
const stopTimeout = 20 * time.Second

type downOptions struct {
	kubeconfig string
	dataDir    string
	all        bool
}

func newDownCmd() *cobra.Command {
	opts := downOptions{}
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop a running sandbox: the only one, or the one of a kubeconfig or data directory",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDown(cmd.OutOrStdout(), opts)
		},
	}
	cmd.Flags().StringVar(&opts.kubeconfig, "kubeconfig", "", "stop the sandbox that wrote this `file`")
	cmd.Flags().StringVar(&opts.dataDir, "data-dir", "", "stop the sandbox of this data `directory`")
	cmd.Flags().BoolVar(&opts.all, "all", false, "stop all of them")
	return cmd
}

func runDown(out io.Writer, opts downOptions) error {
	running, err := runningSandboxes()
	if err != nil {
		return err
	}
	chosen, err := choose(running, opts)
	if err != nil {
		return err
	}
	for _, e := range chosen {
		if err := terminate(e); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "stopped", e.Kubeconfig); err != nil {
			return err
		}
	}
	return sweep()
}

// choose picks what the options name. Without any, there must be just one.
func choose(running []entry, opts downOptions) ([]entry, error) {
	if opts.all {
		return running, nil
	}
	kubeconfig, _ := filepath.Abs(opts.kubeconfig)
	dataDir, _ := filepath.Abs(opts.dataDir)
	chosen := slices.DeleteFunc(slices.Clone(running), func(e entry) bool {
		return opts.kubeconfig != "" && e.Kubeconfig != kubeconfig || opts.dataDir != "" && e.DataDir != dataDir
	})
	switch {
	case len(chosen) == 1:
		return chosen, nil
	case len(chosen) == 0:
		return nil, errors.New("no such sandbox is running")
	}
	err := fmt.Errorf("%d sandboxes are running; name one by --kubeconfig, or --all", len(chosen))
	for _, e := range chosen {
		err = fmt.Errorf("%w\n  --kubeconfig %s", err, e.Kubeconfig)
	}
	return nil, err
}

// terminate asks a sandbox to end and waits until it has.
func terminate(e entry) error {
	if err := syscall.Kill(e.PID, syscall.SIGTERM); err != nil {
		return err
	}
	for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		running, err := runningSandboxes()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(running, func(other entry) bool { return other.PID == e.PID }) {
			return nil
		}
	}
	return fmt.Errorf("sandbox of %s (pid %d) does not stop", e.Kubeconfig, e.PID)
}
