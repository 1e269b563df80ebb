package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render/outdated"
)

type outdatedOptions struct {
	selection
	outdated.Options
	exitCode bool
}

func newOutdatedCmd(g *global) *cobra.Command {
	opts := &outdatedOptions{}
	cmd := &cobra.Command{
		Use:   "outdated [ENV...]",
		Short: "List images, charts and stacks that have newer versions",
		Long: `List the images, Helm charts and built-in stacks of environments, all of them where none
is named, for which there is a newer version. An image is looked up under the name that
it has behind the site's mirror, and only tags of its form are compared: the same prefix,
as many numbers, the same suffix such as -jdk21, no previews. What nothing is known of is
listed as unknown, with the reason.

Nothing is sent anywhere: what is newest stands in a table of the binary, of the day that
the last line says. With --online, registries and chart repositories are asked in place
of it, with the credentials of the Docker configuration (docker login), which go to the
registry that they are for and the token server of its domain alone.

Exit codes: 0 done, 2 error; with --exit-code 1 where something is outdated.`,
		Example: `  evenkeel outdated
  evenkeel outdated infra --online
  evenkeel outdated --online -o json | jq -r '.items[] | select(.status == "outdated") | .name'`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	f := cmd.Flags()
	f.BoolVar(&opts.Online, "online", false, "ask registries and chart repositories")
	f.BoolVar(&opts.PlainHTTP, "plain-http", false, "allow registries and repositories without TLS")
	f.BoolVar(&opts.exitCode, "exit-code", false, "exit with 1 where something is outdated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.all = len(args) == 0
		return runOutdated(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runOutdated(ctx context.Context, g *global, opts *outdatedOptions, args []string) error {
	if opts.PlainHTTP && !opts.Online {
		return &hint.Error{Err: errors.New("--plain-http without --online: nobody is asked"), Hint: "evenkeel outdated --online --plain-http"}
	}
	repo, names, err := g.named(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	results, err := repo.RenderAll(ctx, names)
	if err != nil {
		return err
	}
	found := outdated.Look(ctx, results, opts.Options)
	if err := ctx.Err(); err != nil {
		return err
	}
	var ending error
	if opts.exitCode && found.Outdated() {
		ending = errDifferences
	}
	if g.output == "json" {
		return errors.Join(writeJSON(g.out, found), ending)
	}
	return errors.Join(printOutdated(g.out, found), ending)
}

func printOutdated(w io.Writer, found *outdated.Report) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	current := 0
	fmt.Fprintln(tw, "KIND\tNAME\tVERSION\tNEWEST\tUNITS")
	for _, i := range found.Items {
		newest := i.Newest
		switch i.Status {
		case outdated.Current:
			current++
			continue
		case outdated.Unknown:
			newest = "unknown: " + i.Why
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", i.Kind, report.Line(i.Name), report.Line(orDash(i.Version)), report.Line(newest), strings.Join(i.Units, ","))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	source := "by the table of " + found.Known + "; --online asks the registries"
	if found.Online {
		source = "by what the registries answer"
	}
	_, err := fmt.Fprintf(w, "%d more have the newest that is known, %s\n", current, source)
	return err
}
