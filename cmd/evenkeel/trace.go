package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

type traceOptions struct {
	language
	live, probe bool
}

func newTraceCmd(g *global) *cobra.Command {
	opts := &traceOptions{}
	cmd := &cobra.Command{
		Use:   "trace ENV [URL]",
		Short: "Show how a request travels, hop by hop, and where it breaks",
		Long: `Follow the request for a URL through what the environments of a cluster render:
DNS, virtual address, nginx on the edge hosts or load balancer, ingress controller,
route, Service, pods, app, and what the app calls. Each hop names the field that
decides it and where that stands in the source. A hop that the request would not
pass says why, and what to change. Routes are chosen by the rules of their
controller. Without --live no cluster is asked.

Without a URL all URLs of the environment are listed, with the app, its pods and
what it calls, and those that break.

With --live the cluster is asked what it says at each hop: health with its cause,
endpoints that are ready, each pod, who changed the object last and when. The hosts
in front are asked who holds the virtual address, and this machine how it resolves
the name. A hop that failed breaks the way.

With --probe a GET for the URL is sent as well, without credentials: to the address
in front and, with the same host name, straight to the nodes and pods behind it, as
far as they are reached from here. The hop whose own answer is the same is where it
was made. Redirects are not followed to another host or scheme.

With --lang zh it is told in Chinese; names and fields, and what the cluster says, stay
as they are.

Exit codes: 0 all that was asked for is answered, 1 something breaks, 2 error.`,
		Example: `  evenkeel trace prod http://demo-prod.od.com/hello
  evenkeel trace infra https://dashboard.od.com -o svg > dashboard.svg
  evenkeel trace prod http://demo-prod.od.com/hello --live --probe
  evenkeel trace prod http://demo-prod.od.com/hello --lang zh
  evenkeel trace prod
  evenkeel trace prod -o json | jq -r '.[] | select(.broken) | .url'`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json", "mermaid", "svg")
	opts.addLang(cmd.Flags())
	cmd.Flags().BoolVar(&opts.live, "live", false, "ask the cluster, and the hosts in front, at each hop")
	cmd.Flags().BoolVar(&opts.probe, "probe", false, "send the request from this machine, and say at which hop the answer was made")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runTrace(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runTrace(ctx context.Context, g *global, opts *traceOptions, args []string) error {
	if err := opts.known(); err != nil {
		return err
	}
	repo, err := g.repo()
	if err != nil {
		return err
	}
	if len(args) == 1 && (opts.live || opts.probe) {
		return &hint.Error{Err: errors.New("--live and --probe follow one URL"), Hint: "name a URL, or colour the whole environment: evenkeel graph " + args[0] + " --live"}
	}
	ways, err := repo.Ways(ctx, args[:1])
	if err != nil {
		return err
	}
	g.warn(ways.Warnings)
	ways = ways.In(opts.lang)
	model := ways.Models[args[0]]
	if len(args) == 1 {
		return printTable(ctx, g, model, args[0])
	}
	var w *way.Way
	var wrong error
	if err := g.drawn(ctx, func() { w, wrong = model.Trace(args[1]) }); err != nil {
		return err
	}
	if err := wrong; err != nil {
		return &hint.Error{Err: err, Hint: "give a URL such as http://demo.od.com/hello, or a host"}
	}
	if opts.live || opts.probe {
		if err := g.sight(ways).follow(ctx, model, w, opts.probe); err != nil {
			return err
		}
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

func printTable(ctx context.Context, g *global, model *way.Model, env string) error {
	var rows []way.Row
	err := g.drawn(ctx, func() { rows = model.Table(env) })
	if err != nil {
		return err
	}
	switch g.output {
	case "json":
		err = writeJSON(g.out, rows)
	case "text":
		_, err = fmt.Fprint(g.out, draw.TableText(model, rows, g.colored(g.out)))
	default:
		return &hint.Error{Err: fmt.Errorf("the table of all URLs has no format %s", g.output), Hint: "name a URL, or use evenkeel graph for the whole environment"}
	}
	for _, row := range rows {
		if err == nil && row.Broken {
			err = errBreaks
		}
	}
	return err
}
