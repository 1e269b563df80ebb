package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/render"
)

// proven holds what is promoted to what the environment demands: that it was healthy
// in another one, for a time.
func (g *global) proven(ctx context.Context, to render.Summary, from string, edits []*fieldEdit, opts *promoteOptions) error {
	switch {
	case to.Promotion == nil || len(edits) == 0:
		return nil
	case opts.unproven != "":
		opts.because = append(opts.because, "unproven: "+opts.unproven)
		return nil
	case to.Promotion.From != from:
		return &apply.Refused{
			Reason: fmt.Sprintf("environment %s takes images that were healthy in %s, not in %s", to.Name, to.Promotion.From, from),
			Hints:  []string{"evenkeel promote " + to.Promotion.From + " " + to.Name + ", or give --unproven REASON"},
		}
	}
	soak, err := time.ParseDuration(to.Promotion.Soak)
	if err != nil {
		return fmt.Errorf("env %s: promotion: %w", to.Name, err)
	}
	source, err := g.summary(ctx, from)
	if err != nil {
		return err
	}
	cluster, err := g.cluster(source.Cluster)
	if err != nil {
		return err
	}
	var wrong []string
	for _, e := range edits {
		history, err := cluster.AppHistory(ctx, source.Name, source.Namespace, e.Unit)
		if err != nil {
			return fmt.Errorf("env %s: %w", from, err)
		}
		image := fmt.Sprint(e.To)
		switch longest, ever := apply.Proven(history, image, time.Now()); {
		case !ever:
			wrong = append(wrong, fmt.Sprintf("  %s: %s was never healthy in %s", e.Unit, image, from))
		case longest < soak:
			wrong = append(wrong, fmt.Sprintf("  %s: %s has been in %s for %s, %s are demanded", e.Unit, image, from, longest.Round(time.Second), soak))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return &apply.Refused{
		Reason: fmt.Sprintf("environment %s takes what has proven itself in %s:\n%s", to.Name, from, strings.Join(wrong, "\n")),
		Hints:  []string{"wait, or give --unproven REASON, which the message of the commit says"},
	}
}
