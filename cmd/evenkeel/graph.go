package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

func newGraphCmd(g *global) *cobra.Command {
	opts := &selection{}
	cmd := &cobra.Command{
		Use:   "graph ENV...",
		Short: "Draw environments: what stands in front, the apps, and what they call",
		Long: `Draw environments of one cluster in the order of the way of a request: DNS, edge
or load balancer, ingress controller, the apps with their URLs, what those call, and
what is outside. What would break is marked and says why. No cluster is asked, and
the same source gives the same bytes.

The SVG and the page fit light and dark, need nothing from outside, and say in words
what they show.`,
		Example: `  evenkeel graph prod > prod.svg
  evenkeel graph infra prod test -o html > site.html
  evenkeel graph prod -o mermaid
  evenkeel graph prod -o dot | dot -Tpdf > prod.pdf`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "svg", "mermaid", "dot", "html", "json")
	opts.addAll(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runGraph(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runGraph(ctx context.Context, g *global, opts *selection, args []string) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	names, err := opts.names(ctx, repo, args)
	if err != nil {
		return err
	}
	models, warnings, err := repo.Ways(ctx, names)
	if err != nil {
		return err
	}
	g.warn(warnings)
	var graphs []*way.Graph // of each cluster, in the order of the names
	var done []*way.Model
	for _, name := range names {
		model := models[name]
		if slices.Contains(done, model) {
			continue
		}
		done = append(done, model)
		var same []string
		for _, other := range names {
			if models[other] == model && !slices.Contains(same, other) {
				same = append(same, other)
			}
		}
		graphs = append(graphs, model.Graph(same...))
	}
	if g.output == "html" {
		_, err = fmt.Fprint(g.out, draw.GraphHTML(graphs))
		return err
	}
	if len(graphs) > 1 {
		return &usageError{err: errors.New("the environments belong to several clusters, and a picture shows one"), hint: "name those of one cluster, or use -o html"}
	}
	switch g.output {
	case "json":
		return writeJSON(g.out, graphs[0])
	case "mermaid":
		_, err = fmt.Fprint(g.out, draw.GraphMermaid(graphs[0]))
	case "dot":
		_, err = fmt.Fprint(g.out, draw.GraphDOT(graphs[0]))
	default:
		_, err = fmt.Fprint(g.out, draw.GraphSVG(graphs[0]))
	}
	return err
}
