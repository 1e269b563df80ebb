package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render"
)

func newVendorCmd(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "vendor",
		Short: "Write the definitions to cue.mod/pkg, for plain cue and editors",
		Long: `Write the definitions of this evenkeel, schema and stacks, below cue.mod/pkg of
the repository. evenkeel needs no copy, as it brings the definitions; plain cue
and editors do. A copy that is there is replaced as a whole. evenkeel refuses to
run beside a copy that differs from its own: run vendor after each update.`,
		Example: `  evenkeel vendor
  evenkeel vendor && cue vet -c ./...
  evenkeel -C ../envs vendor`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return runVendor(g)
		},
	}
}

func runVendor(g *global) error {
	v, err := render.Vendor(g.dir, readVersion().Version)
	if err != nil {
		return err
	}
	fmt.Fprintf(g.err, "%d files in %s\n%s\n", v.Files, v.Dir, v.Digest)
	return nil
}
