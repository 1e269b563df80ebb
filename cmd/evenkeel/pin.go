package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newPinCmd(g *global) *cobra.Command {
	sel := &selection{}
	cmd := &cobra.Command{
		Use:   "pin ENV...",
		Short: "Print the identity of an environment's cluster, to pin it in the source",
		Long: `Print the uid of the Namespace kube-system, which nothing but a new cluster
changes, as the line that pins the environment to its cluster. With the pin in
the source an apply to another cluster is refused, whatever the kubeconfig says.`,
		Example: `  evenkeel pin prod
  evenkeel pin prod --context prod-admin
  evenkeel pin prod -o json`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	sel.addAll(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runPin(cmd.Context(), g, sel, args)
	}
	return cmd
}

func runPin(ctx context.Context, g *global, sel *selection, args []string) error {
	envs, err := g.renderAll(ctx, sel, args)
	if err != nil {
		return err
	}
	for _, env := range envs {
		cluster, err := g.cluster(env.Cluster)
		if err != nil {
			return err
		}
		id, err := cluster.Identity(ctx)
		if err != nil {
			return fmt.Errorf("env %s: %w", env.Name, err)
		}
		if id.UID == "" {
			return fmt.Errorf("env %s: reading the namespace kube-system of %s is forbidden", env.Name, id.Server)
		}
		if g.output == "json" {
			if err := writeJSON(g.out, id); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(g.out, "%s: cluster: uid: %q // %s\n", env.Name, id.UID, id.Server)
	}
	return nil
}
