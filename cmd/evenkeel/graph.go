package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

type graphOptions struct {
	selection
	language
	live bool
}

func newGraphCmd(g *global) *cobra.Command {
	opts := &graphOptions{}
	cmd := &cobra.Command{
		Use:   "graph ENV...",
		Short: "Draw environments: what stands in front, the apps, and what they call",
		Long: `Draw environments of one cluster in the order of the way of a request: DNS, edge
or load balancer, ingress controller, the apps with their URLs, what those call, and
what is outside. What would break is marked and says why. Without --live no cluster
is asked, and the same source gives the same bytes.

The SVG and the page fit light and dark, need nothing from outside, and say in words
what they show.

With --live the clusters are asked how the apps are, by the rules of evenkeel status,
and the hosts in front whether they answer; cards have the colour of that and say it.

With --lang zh the picture is in Chinese; names and fields stay as they are.`,
		Example: `  evenkeel graph prod > prod.svg
  evenkeel graph infra prod test -o html > site.html
  evenkeel graph prod --live -o html > now.html
  evenkeel graph prod --lang zh > prod.svg
  evenkeel graph prod -o mermaid
  evenkeel graph prod -o dot | dot -Tpdf > prod.pdf`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "svg", "mermaid", "dot", "html", "json")
	opts.addAll(cmd.Flags())
	opts.addLang(cmd.Flags())
	cmd.Flags().BoolVar(&opts.live, "live", false, "colour the apps by their health: asks the clusters, and the hosts in front")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runGraph(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runGraph(ctx context.Context, g *global, opts *graphOptions, args []string) error {
	ways, names, err := g.ways(ctx, &opts.selection, opts.language, args)
	if err != nil {
		return err
	}
	var pictures []render.Picture
	if err := g.drawn(ctx, func() { pictures = ways.Pictures(names) }); err != nil {
		return err
	}
	graphs := make([]*way.Graph, len(pictures))
	for i, p := range pictures {
		if graphs[i] = p.Graph; opts.live {
			if err := g.sight(ways).over(ctx, p.Model, p.Graph); err != nil {
				return err
			}
		}
	}
	if len(graphs) > 1 && g.output != "html" {
		return &hint.Error{Err: errors.New("the environments belong to several clusters, and a picture shows one"), Hint: "name those of one cluster, or use -o html"}
	}
	if g.output == "json" {
		return writeJSON(g.out, graphs[0])
	}
	var text string
	if err := g.drawn(ctx, func() { text = graphText(graphs, g.output) }); err != nil {
		return err
	}
	_, err = fmt.Fprint(g.out, text)
	return err
}

func graphText(graphs []*way.Graph, format string) string {
	switch format {
	case "html":
		return draw.GraphHTML(graphs[0], graphs)
	case "mermaid":
		return draw.GraphMermaid(graphs[0])
	case "dot":
		return draw.GraphDOT(graphs[0])
	}
	return draw.GraphSVG(graphs[0])
}
