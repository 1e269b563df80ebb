package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply/look"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/lint"
)

type readyOptions struct {
	kubernetes string
	offline    bool
}

func newReadyCmd(g *global) *cobra.Command {
	opts := &readyOptions{}
	cmd := &cobra.Command{
		Use:   "ready ENV --kubernetes VERSION",
		Short: "Show what stands in the way of a version of Kubernetes",
		Long: `Look at what an environment renders, and in its cluster, for what stands in the way of
an upgrade to a version of Kubernetes: API versions and fields that are removed or
deprecated then or that need a feature gate, and releases of systems that are not for it,
with their lines; API versions that clients of the cluster ask for, and those that live
objects of the environment's namespace were last written in; versions of the control
plane, the nodes and their container runtimes that are too far behind; cgroups of version
1, and kube-proxy in the mode ipvs. What may not be read is said.

Nothing is written. --offline asks no cluster.

Exit codes: 0 nothing stands in the way, 1 something does, 2 error.`,
		Example: `  evenkeel ready prod --kubernetes 1.38
  evenkeel ready prod --kubernetes 1.38 --offline
  evenkeel ready prod --kubernetes 1.38 -o json | jq -r '.live[].message'`,
		Args:              usageArgs(cobra.ExactArgs(1), "name one environment: evenkeel ready ENV --kubernetes 1.38"),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	cmd.Flags().StringVar(&opts.kubernetes, "kubernetes", "", "the version of Kubernetes to upgrade to, such as 1.38")
	cmd.Flags().BoolVar(&opts.offline, "offline", false, "look at what is rendered alone")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runReady(cmd.Context(), g, opts, args[0])
	}
	return cmd
}

var kubernetesForm = regexp.MustCompile(`^1\.[0-9]{1,3}$`)

func runReady(ctx context.Context, g *global, opts *readyOptions, name string) error {
	if !kubernetesForm.MatchString(opts.kubernetes) {
		return &hint.Error{Err: fmt.Errorf("--kubernetes %q is not a version", opts.kubernetes), Hint: "such as --kubernetes 1.38"}
	}
	repo, at, err := g.source(ctx, name)
	if err != nil {
		return err
	}
	found := struct {
		Rendered render.Findings `json:"rendered"`
		Live     []look.Obstacle `json:"live"`
	}{render.Findings{}, []look.Obstacle{}}
	rendered, err := repo.Upgrade(ctx, opts.kubernetes, at.Name)
	if err != nil {
		return err
	}
	found.Rendered = append(found.Rendered, rendered...)
	if !opts.offline {
		cluster, err := g.cluster(at.Cluster)
		if err != nil {
			return err
		}
		live, err := look.Upgrade(ctx, cluster, at.Namespace, lint.Minor(opts.kubernetes), lint.Gone)
		if err != nil {
			return fmt.Errorf("env %s: %w", at.Name, err)
		}
		found.Live = append(found.Live, live...)
	}
	stands := false
	for _, f := range found.Rendered {
		stands = stands || !f.Warning
	}
	for _, o := range found.Live {
		stands = stands || !o.Warning
	}
	var ending error
	if stands {
		ending = errBreaks
	}
	if g.output == "json" {
		return errors.Join(writeJSON(g.out, found), ending)
	}
	for _, f := range found.Rendered {
		fmt.Fprintln(g.out, marked(f.Warning, f.String()))
	}
	for _, o := range found.Live {
		fmt.Fprintln(g.out, marked(o.Warning, report.Line(o.String())))
	}
	if !stands {
		fmt.Fprintf(g.out, "nothing that was found stands in the way of Kubernetes %s\n", opts.kubernetes)
	}
	return ending
}

func marked(warning bool, line string) string {
	if warning {
		return "warning: " + line
	}
	return line
}
