package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render"
)

func newEnvsCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "envs",
		Short: "List the environments, their clusters and their order",
		Long: `List the environments of the repository in the order in which apply --all
takes them: an environment stands behind those that it names in "after".`,
		Example: `  evenkeel envs
  evenkeel envs -o name
  evenkeel envs -o json | jq -r '.[].namespace'`,
		Args: cobra.NoArgs,
	}
	g.addOutput(cmd, "text", "json", "name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runEnvs(cmd.Context(), g)
	}
	return cmd
}

func runEnvs(ctx context.Context, g *global) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	envs, err := repo.Envs(ctx)
	if err != nil {
		return err
	}
	switch g.output {
	case "json":
		return writeJSON(g.out, envs)
	case "name":
		for _, e := range envs {
			fmt.Fprintln(g.out, e.Name)
		}
		return nil
	}
	return printEnvs(g.out, envs)
}

func printEnvs(w io.Writer, envs []render.Summary) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tNAMESPACE\tCONTEXT\tAFTER\tUNITS\tPROTECTED")
	for _, e := range envs {
		protected := "no"
		if e.Protected {
			protected = "yes"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%s\n", e.Name, e.Namespace, orDash(e.Cluster.Context),
			orDash(strings.Join(e.After, ",")), e.Units, protected)
	}
	return tw.Flush()
}

// orDash shows that a column is empty.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeJSON writes one indented JSON document.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
