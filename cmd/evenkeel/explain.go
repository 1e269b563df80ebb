package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render/reference"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

func newExplainCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [NAME[.FIELD]]",
		Short: "Show the fields of a stack or an app type, with defaults and an example",
		Long: `Show what a stack or an app type is, a worked example, and its fields with values,
units and defaults; without a name, list them. "environment" and "site" are what an
environment and a site have, "app" and "unit" what every app and every unit has.
NAME.FIELD shows that field and those below it, such as site.networks.`,
		Example: `  evenkeel explain
  evenkeel explain flannel
  evenkeel explain DubboProvider
  evenkeel explain site.networks
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
			fmt.Fprintf(tw, "%s\t%s\t%s\n", p.Name, p.Kind, p.Summary())
		}
		return tw.Flush()
	}
	name, path, below := strings.Cut(args[0], ".")
	names := make([]string, len(pages))
	for i, p := range pages {
		if strings.EqualFold(p.Name, name) {
			if below {
				var found bool
				if p, found = reference.Below(pages, p, path); !found {
					return noSuch(fmt.Sprintf("%s has no field %q", p.Name, path), reference.Nearest(pages, p, path), "evenkeel explain "+p.Name+" lists its fields")
				}
			}
			_, err := fmt.Fprint(g.out, p.Markdown())
			return err
		}
		names[i] = p.Name
	}
	return noSuch(fmt.Sprintf("no stack or app type %q", name), typed.Closest(name, names), "evenkeel explain lists them")
}

// noSuch is the error of a name that nothing has, with the one that is near.
func noSuch(message, near, help string) error {
	if near != "" {
		message += fmt.Sprintf("; did you mean %q?", near)
	}
	return &hint.Error{Err: errors.New(message), Hint: help}
}
