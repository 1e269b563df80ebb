package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render/handbook"
)

type handbookOptions struct {
	selection
	language
}

func newHandbookCmd(g *global) *cobra.Command {
	opts := &handbookOptions{}
	cmd := &cobra.Command{
		Use:   "handbook ENV...",
		Short: "Write the wiki page of environments, from what is rendered",
		Long: `Write the page that a wiki has of a site: the drawing of how requests arrive, all
URLs with the pods that answer them and what those call, the hosts in front, DNS
records, ports, apps, registries, where certificates come from, what others have to
make (Secrets and their keys), images and what they mirror, what happens when a host
fails, and what to type to look, to act and to roll back.

No cluster is asked, and the same source gives the same bytes: CI can write the page
and commit it. Values of Secrets are not on it. The page of HTML is one file that
needs nothing from outside; in Markdown the drawing is Mermaid.`,
		Example: `  evenkeel handbook prod > handbook.html
  evenkeel handbook --all -o markdown > docs/handbook.md
  evenkeel handbook infra prod --lang zh > handbook.html`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, handbook.Formats()...)
	opts.addAll(cmd.Flags())
	opts.addLang(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runHandbook(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runHandbook(ctx context.Context, g *global, opts *handbookOptions, args []string) error {
	ways, names, err := g.ways(ctx, &opts.selection, opts.language, args)
	if err != nil {
		return err
	}
	var page string
	err = g.drawn(ctx, func() { page = handbook.Write(ways, names, handbook.Options{Format: g.output, Lang: opts.lang}) })
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(g.out, page)
	return err
}
