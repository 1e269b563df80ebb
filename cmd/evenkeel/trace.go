package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

func newTraceCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace ENV [URL]",
		Short: "Show how a request travels, hop by hop, and where it breaks",
		Long: `Follow the request for a URL through what the environments of a cluster render:
DNS, virtual address, nginx on the edge hosts or load balancer, ingress controller,
route, Service, pods, app, and what the app calls. Each hop names the field that
decides it and where that stands in the source. A hop that the request would not
pass says why, and what to change. Routes are chosen by the rules of their
controller. No cluster is asked.

Without a URL all URLs of the environment are listed, with the app, its pods and
what it calls, and those that break.

Exit codes: 0 all that was asked for is answered, 1 something breaks, 2 error.`,
		Example: `  evenkeel trace prod http://demo-prod.od.com/hello
  evenkeel trace infra https://dashboard.od.com -o svg > dashboard.svg
  evenkeel trace prod
  evenkeel trace prod -o json | jq -r '.[] | select(.broken) | .url'`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json", "mermaid", "svg")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runTrace(cmd.Context(), g, args)
	}
	return cmd
}

func runTrace(ctx context.Context, g *global, args []string) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	models, warnings, err := repo.Ways(ctx, args[:1])
	if err != nil {
		return err
	}
	g.warn(warnings)
	model := models[args[0]]
	if len(args) == 1 {
		return printTable(g, model.Table(args[0]))
	}
	w, err := model.Trace(args[1])
	if err != nil {
		return &usageError{err: err, hint: "give a URL such as http://demo.od.com/hello, or a host"}
	}
	switch g.output {
	case "json":
		err = writeJSON(g.out, w)
	case "mermaid":
		_, err = fmt.Fprint(g.out, draw.WayMermaid(w))
	case "svg":
		_, err = fmt.Fprint(g.out, draw.WaySVG(w))
	default:
		_, err = fmt.Fprint(g.out, draw.WayText(w, g.colored(g.out)))
	}
	if err == nil && w.Broken {
		err = errBreaks
	}
	return err
}

func printTable(g *global, rows []way.Row) error {
	var err error
	switch g.output {
	case "json":
		err = writeJSON(g.out, rows)
	case "text":
		_, err = fmt.Fprint(g.out, draw.TableText(rows, g.colored(g.out)))
	default:
		return &usageError{err: fmt.Errorf("the table of all URLs has no format %s", g.output), hint: "name a URL, or use evenkeel graph for the whole environment"}
	}
	for _, row := range rows {
		if err == nil && row.Broken {
			err = errBreaks
		}
	}
	return err
}
