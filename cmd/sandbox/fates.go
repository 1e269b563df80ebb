package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// fate is what becomes of a pod whose image tag ends in its name.
type fate struct {
	tag   string
	about string
	// exit is how the container ends, for fates of machine "crash".
	exit   int
	reason string
	// message is what the runtime says: of the failed pull, or in the terminated state.
	message string
	// logs is what the container prints before it ends, or while it runs.
	logs string
}

// fates are all of them. The order is that of the help.
func fates() []fate {
	return append(append(crashFates(), pullFates()...), otherFates()...)
}

// crashFates end by themselves again and again. A pod of restart policy Never
// fails the first time instead, as the pods of most Jobs do.
func crashFates() []fate {
	return []fate{
		{
			tag: "broken-crash", about: "exits 1, CrashLoopBackOff", exit: 1, reason: "Error",
			logs: "starting\nERROR cannot connect to zk1.od.com:2181: connection refused\npanic: no registry available",
		},
		{
			tag: "broken-oom", about: "OOMKilled (137), CrashLoopBackOff", exit: 137, reason: "OOMKilled",
			logs: "starting\nloading the price list into memory",
		},
		{
			tag: "broken-segv", about: "signal 11 (exit 139), CrashLoopBackOff", exit: 139, reason: "Error",
			logs: "starting\nSIGSEGV: segmentation violation",
		},
		{
			tag: "broken-exit", about: "exits 0 although it should stay, CrashLoopBackOff", exit: 0, reason: "Completed",
			logs: "nothing to do, bye",
		},
		{
			tag: "broken-command", about: "StartError (128), CrashLoopBackOff", exit: 128, reason: "StartError",
			message: `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "/app/run": stat /app/run: no such file or directory`,
		},
		{
			tag: "broken-liveness", about: "fails its liveness probe and is killed (137), CrashLoopBackOff", exit: 137, reason: "Error",
			logs: "starting\nlistening on :8080\nWARN deadlock in the worker pool",
		},
		{
			tag: "job-fail", about: "exits 1; a pod of a Job is Failed", exit: 1, reason: "Error",
			logs: "migrating 17 tables\nERROR table orders: column total exists already",
		},
		{
			tag: "crash-once", about: "exits 1 once, is restarted and stays", exit: 1, reason: "Error",
			logs: "starting\nERROR database is starting up, giving up",
		},
	}
}

// pullFates never get their image. IMAGE and REPOSITORY stand for its name with
// and without tag.
func pullFates() []fate {
	const resolve = `failed to pull and unpack image "IMAGE": failed to resolve reference "IMAGE": `
	return []fate{
		{
			tag: "broken-pull", about: "ErrImagePull, ImagePullBackOff: not found",
			message: "rpc error: code = NotFound desc = " + resolve + "IMAGE: not found",
		},
		{
			tag: "broken-pull-auth", about: "ErrImagePull, ImagePullBackOff: unauthorized",
			message: "rpc error: code = Unknown desc = " + resolve + "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
		},
		{
			tag: "broken-pull-host", about: "ErrImagePull, ImagePullBackOff: registry unknown to DNS",
			message: "rpc error: code = Unknown desc = " + resolve + `failed to do request: Head "https://REPOSITORY": dial tcp: lookup HOST on 10.4.7.11:53: no such host`,
		},
	}
}

func otherFates() []fate {
	return []fate{
		{tag: "broken-config", about: "CreateContainerConfigError: its ConfigMap or Secret does not exist"},
		{tag: "broken-volume", about: "stays in ContainerCreating, event FailedMount"},
		{tag: "broken-sandbox", about: "stays in ContainerCreating, event FailedCreatePodSandBox (network plugin)"},
		{tag: "never-ready", about: "runs, its readiness probe fails for ever", logs: "starting\nlistening on :8080\nWARN registry not reachable, not ready"},
		{tag: "half-ready", about: "ready on the first node, never ready on the others", logs: "starting\nlistening on :8080"},
		{tag: "slow", about: "ready after 10 s", logs: "starting\nwarming the cache\nlistening on :8080"},
		{tag: "flapping", about: "ready, after 3 s not, after another 3 s ready for good", logs: "starting\nlistening on :8080"},
		{tag: "job-forever", about: "a pod of a Job runs on instead of completing", logs: "working"},
	}
}

// healthy is the fate of a pod with any other tag.
const healthy = "healthy"

func newFatesCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "fates",
		Short: "List the image tags that decide what becomes of a pod",
		Long: `List the image tags that decide what becomes of a pod. A tag counts when the tag
of the image is it or ends in it after a dot, dash or underscore:
harbor.od.com/app/web:v2-broken-pull. The first container with such a tag, init
containers first, has the fate; the others of the pod run. A pod without one is
Running and Ready at once, one of a Job completes after a second.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			for _, f := range fates() {
				if _, err := fmt.Fprintf(table, "%s\t%s\n", f.tag, f.about); err != nil {
					return err
				}
			}
			return table.Flush()
		},
	}
}
