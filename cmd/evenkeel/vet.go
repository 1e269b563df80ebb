package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render"
)

func newVetCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vet [ENV...]",
		Short: "Evaluate and check environments; silent when all is well",
		Long: `Evaluate environments and check what they render: strict decoding, removed and
deprecated APIs, links between objects and environments, safety rules, and what the
API server itself would refuse of built-in kinds. Without a name all environments
are checked. Warnings go to stderr.`,
		Example: `  evenkeel vet
  evenkeel vet prod
  evenkeel vet -o json | jq -r '.[].message'`,
	}
	g.addOutput(cmd, "text", "json")
	cmd.ValidArgsFunction = g.completeEnvs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runVet(cmd.Context(), g, args)
	}
	return cmd
}

func runVet(ctx context.Context, g *global, names []string) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	warnings, err := repo.Vet(ctx, names...)
	if g.output == "json" {
		var wrong render.Findings
		if err != nil && !errors.As(err, &wrong) {
			return err
		}
		return errors.Join(writeJSON(g.out, append(warnings, wrong...)), err)
	}
	g.warn(warnings)
	return err
}
