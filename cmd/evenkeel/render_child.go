package main

import (
	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/source"
	"github.com/seed-428f4edd/evenkeel/render/budget"
)

func newRenderChildCmd(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     source.Command,
		Short:   "Render for reconcile, which runs this by itself",
		Long:    "Render for reconcile: a request on standard input, the answer on standard output.",
		Example: "  evenkeel reconcile --all",
		Hidden:  true,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			endsFirst()
			budget.PrepareProcess()
			return source.Serve(cmd.Context(), g.in, uncleaned(g.out))
		},
	}
}
