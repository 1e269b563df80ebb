package main

import (
	"os"
	"slices"
	"strings"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // as in kubectl itself
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// runKubectl runs kubectl with os.Args, which start with "kubectl". It exits the
// process on an error, as kubectl does.
func runKubectl() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		cmdutil.CheckErr(err)
	}
}

// useRunningSandbox points kubectl to the sandbox when one is running and the
// user named no cluster: "sandbox kubectl delete" must not reach the cluster of
// ~/.kube/config.
func useRunningSandbox() {
	named := slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "--kubeconfig") })
	if named || os.Getenv("KUBECONFIG") != "" {
		return
	}
	if running, err := runningSandboxes(); err == nil && len(running) == 1 {
		_ = os.Setenv("KUBECONFIG", running[0].Kubeconfig)
		return
	}
	_ = os.Setenv("KUBECONFIG", os.DevNull)
}
