package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// target names a running sandbox by one of the files that it wrote. Nothing is
// needed where only one runs.
type target struct {
	kubeconfig string
	dataDir    string
}

func (t *target) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&t.kubeconfig, "kubeconfig", "", "the sandbox that wrote this `file`")
	flags.StringVar(&t.dataDir, "data-dir", "", "the sandbox of this data `directory`")
}

// find returns the one running sandbox that the target names.
func (t *target) find() (entry, error) {
	running, err := runningSandboxes()
	if err != nil {
		return entry{}, err
	}
	kubeconfig, _ := filepath.Abs(t.kubeconfig)
	dataDir, _ := filepath.Abs(t.dataDir)
	running = slices.DeleteFunc(running, func(e entry) bool {
		return t.kubeconfig != "" && e.Kubeconfig != kubeconfig || t.dataDir != "" && e.DataDir != dataDir
	})
	switch len(running) {
	case 1:
		return running[0], nil
	case 0:
		return entry{}, errors.New("no such sandbox is running")
	}
	text := fmt.Sprintf("%d sandboxes are running; name one:", len(running))
	for _, e := range running {
		text += "\n  --kubeconfig " + e.Kubeconfig
	}
	return entry{}, errors.New(text)
}

// newPauseCmd and newResumeCmd stop a component in its tracks, so that a test can
// see what happens between a write and the answer of the controller.
func newPauseCmd() *cobra.Command {
	return newSignalCmd("pause", "Halt a component (kube-controller-manager, kube-scheduler, kwok, ...) until resume", syscall.SIGSTOP)
}

func newResumeCmd() *cobra.Command {
	return newSignalCmd("resume", "Let a component that was paused go on", syscall.SIGCONT)
}

func newSignalCmd(verb, short string, signal syscall.Signal) *cobra.Command {
	opts := target{}
	cmd := &cobra.Command{
		Use:   verb + " COMPONENT",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			e, err := opts.find()
			if err != nil {
				return err
			}
			pid, err := componentPID(e, args[0])
			if err != nil {
				return err
			}
			return syscall.Kill(pid, signal)
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func newRestartCmd() *cobra.Command {
	opts := target{}
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Kill the API server, start it again on the same port and wait until it is ready",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := opts.find()
			if err != nil {
				return err
			}
			return restartAPIServer(cmd.Context(), e)
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// newKeepCmd takes back the --while-pid of a sandbox.
func newKeepCmd() *cobra.Command {
	opts := target{}
	cmd := &cobra.Command{
		Use:   "keep",
		Short: "Let a sandbox that was started with --while-pid outlive that process",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			e, err := opts.find()
			if err != nil {
				return err
			}
			return syscall.Kill(e.PID, keepSignal)
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// keepSignal tells a sandbox that the process of --while-pid may end.
const keepSignal = syscall.SIGUSR2

// restartSignal asks a sandbox to restart its API server. Only the parent may
// start it: the new process shall die with it as the old one would have.
const restartSignal = syscall.SIGUSR1

func restartAPIServer(ctx context.Context, e entry) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	before, err := componentPID(e, apiserverName)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", e.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := syscall.Kill(e.PID, restartSignal); err != nil {
		return err
	}
	for {
		pid, err := componentPID(e, apiserverName)
		if err == nil && pid != before {
			err = client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
			if err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("restart: %w", errors.Join(ctx.Err(), err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func componentPID(e entry, name string) (int, error) {
	text, err := os.ReadFile(pidFile(e.DataDir, name))
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("no component %q", name)
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
