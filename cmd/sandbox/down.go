package main

import (
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// stopTimeout bounds the wait for a sandbox to end; it takes a fraction of a second.
const stopTimeout = 20 * time.Second

type downOptions struct {
	target
	all bool
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
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.all, "all", false, "stop all of them")
	return cmd
}

func runDown(out io.Writer, opts downOptions) error {
	chosen, err := opts.choose()
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

func (o *downOptions) choose() ([]entry, error) {
	if o.all {
		return runningSandboxes()
	}
	e, err := o.find()
	return []entry{e}, err
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
