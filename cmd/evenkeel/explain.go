package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render/reference"
)

func newExplainCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [NAME]",
		Short: "Show the fields of a stack or an app type, with defaults and an example",
		Long: `Show what a stack or an app type is, a worked example, and its fields with values,
units and defaults; without a name, list them. "environment" and "site" are what an
environment and a site have, "app" and "unit" what every app and every unit has.`,
		Example: `  evenkeel explain
  evenkeel explain flannel
  evenkeel explain DubboProvider
  evenkeel explain health Kafka`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return runExplain(g, args)
	}
	cmd.AddCommand(newExplainHealthCmd(g))
	return cmd
}

func runExplain(g *global, args []string) error {
	pages, err := reference.Pages()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		tw := tabwriter.NewWriter(g.out, 0, 0, 2, ' ', 0)
		for _, p := range pages {
			first, _, _ := strings.Cut(p.Doc, "\n")
			fmt.Fprintf(tw, "%s\t%s\t%s\n", p.Name, p.Kind, first)
		}
		return tw.Flush()
	}
	for _, p := range pages {
		if strings.EqualFold(p.Name, args[0]) {
			_, err := fmt.Fprint(g.out, p.Markdown())
			return err
		}
	}
	return &usageError{err: fmt.Errorf("no stack or app type %q", args[0]), hint: "evenkeel explain lists them"}
}
