package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/render/handbook"
)

type handbookOptions struct {
	selection
	language
	changes int
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
and commit it. --changes also has the last commits that changed envs/, which a commit of
the page alone is not; it takes a clone with its history. Values of Secrets are not on it. The page of HTML is one file that
needs nothing from outside; in Markdown the drawing is Mermaid.`,
		Example: `  evenkeel handbook prod > handbook.html
  evenkeel handbook --all -o markdown > docs/handbook.md
  evenkeel handbook infra prod --lang zh > handbook.html`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, handbook.Formats()...)
	opts.addAll(cmd.Flags())
	opts.addLang(cmd.Flags())
	cmd.Flags().IntVar(&opts.changes, "changes", 0, "how many of the last commits that changed envs/ to tell of")
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
	page := handbook.Options{Format: g.output, Lang: opts.lang, Last: opts.changes}
	if page.Changes, err = g.changes(ctx, opts.changes); err != nil {
		return err
	}
	var text string
	if err := g.drawn(ctx, func() { text = handbook.Write(ways, names, page) }); err != nil {
		return err
	}
	_, err = fmt.Fprint(g.out, text)
	return err
}

// changes are the last commits that changed the environments.
func (g *global) changes(ctx context.Context, n int) ([]handbook.Change, error) {
	if n < 0 {
		return nil, fmt.Errorf("--changes is %d: it counts commits", n)
	}
	if n == 0 {
		return nil, nil
	}
	repo, err := g.repo()
	if err != nil {
		return nil, err
	}
	commits, err := checkout.Changes(ctx, repo.Root(), "envs", n)
	if err != nil {
		return nil, &hint.Error{Err: err, Hint: "leave out --changes"}
	}
	changes := make([]handbook.Change, len(commits))
	for i, c := range commits {
		changes[i] = handbook.Change{Commit: c.Commit[:10], Day: c.At.Format(time.DateOnly), Who: plain.Line(c.Who, 100), Subject: plain.Line(c.Subject, 200)}
	}
	return changes, nil
}
