package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/render"
)

type envsOptions struct {
	changedSince string // a git reference
}

func newEnvsCmd(g *global) *cobra.Command {
	opts := &envsOptions{}
	cmd := &cobra.Command{
		Use:   "envs",
		Short: "List the environments, their clusters and their order",
		Long: `List the environments of the repository in the order in which apply --all
takes them: an environment stands behind those that it names in "after".

With --changed-since only those that render differently than at a git reference,
whatever the change was made in: an import, an embedded file, a kustomize base.
Changes that are not committed count.`,
		Example: `  evenkeel envs
  evenkeel envs --changed-since origin/main -o name
  evenkeel envs -o name
  evenkeel envs -o json | jq -r '.[].namespace'`,
		Args: cobra.NoArgs,
	}
	g.addOutput(cmd, "text", "json", "name")
	cmd.Flags().StringVar(&opts.changedSince, "changed-since", "", "only environments that a change since this git reference affects")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runEnvs(cmd.Context(), g, opts)
	}
	return cmd
}

func runEnvs(ctx context.Context, g *global, opts *envsOptions) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	envs, err := repo.Envs(ctx)
	if err != nil {
		return err
	}
	if opts.changedSince != "" {
		affected, err := repo.Affected(ctx, opts.changedSince)
		if err != nil {
			return err
		}
		envs = slices.DeleteFunc(envs, func(e render.Summary) bool { return !slices.Contains(affected, e.Name) })
	}
	// A directory that lost its environment is listed, and is an error: who applies
	// what is listed must not pass it by.
	var lost []error
	for _, e := range envs {
		if e.Lost {
			lost = append(lost, e.Err)
		}
	}
	return errors.Join(append(lost, g.listEnvs(envs))...)
}

func (g *global) listEnvs(envs []render.Summary) error {
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
		units := strconv.Itoa(e.Units)
		if len(e.Disabled) > 0 {
			units += " (without " + strings.Join(e.Disabled, ", ") + ")"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Name, e.Namespace, orDash(e.Cluster.Context),
			orDash(strings.Join(e.After, ",")), units, protected)
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
	enc := json.NewEncoder(plain.JSON(uncleaned(w)))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
