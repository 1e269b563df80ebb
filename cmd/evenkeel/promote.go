package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/edit"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type promoteOptions struct {
	setOptions
	unproven      string
	digest        bool
	despiteFreeze string
}

func newPromoteCmd(g *global) *cobra.Command {
	opts := &promoteOptions{}
	cmd := &cobra.Command{
		Use:   "promote FROM TO [APP...]",
		Short: "Give an environment the images of another one, in the source",
		Long: `Give the apps of an environment the images that the apps of the same names have in
another one: all that differ, or the named ones. It is evenkeel set image for each.

An environment in a freeze takes no new images: exit code 4.

Where the environment says promotion: {from, soak}, FROM must be that environment,
and its history must show that each image was healthy there for that time. The
cluster of FROM is asked; --unproven REASON goes past it.

A tag can be pushed again. --digest writes the images as the ready pods in FROM pulled
them, IMAGE:TAG@sha256:..., so that TO runs those and no others; where no pod is ready, as
it is recorded of the app when it was healthy. With promotion: {from, soak} it is the
digest that must have been healthy for that time.`,
		Example: `  evenkeel promote test pre
  evenkeel promote pre prod shop user --commit --push
  evenkeel promote pre prod --digest --branch release/2026-12-01
  evenkeel promote test pre --dry-run`,
		Args:              usageArgs(cobra.MinimumNArgs(2), "name two environments: evenkeel promote FROM TO [APP...]"),
		ValidArgsFunction: g.completeEnvs,
	}
	opts.add(g, cmd)
	cmd.Flags().StringVar(&opts.unproven, "unproven", "", "promote what was not healthy in FROM for long enough, for this REASON, which the message of the commit says")
	cmd.Flags().BoolVar(&opts.digest, "digest", false, "pin the images to the digests by which the pods of FROM pulled them; its cluster is asked")
	cmd.Flags().StringVar(&opts.despiteFreeze, "despite-freeze", "", "promote in a freeze, for this REASON, which the message of the commit says")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runPromote(cmd.Context(), g, opts, args[0], args[1], args[2:])
	}
	return cmd
}

func runPromote(ctx context.Context, g *global, opts *promoteOptions, from, to string, apps []string) error {
	if err := opts.check(); err != nil {
		return err
	}
	if from == to {
		return &hint.Error{Err: fmt.Errorf("%s is to be given its own images", to), Hint: "evenkeel promote FROM TO"}
	}
	repo, at, err := g.source(ctx, to)
	if err != nil {
		return err
	}
	frozen := schema.Environment{Freezes: at.Freezes}
	if f, until, is := frozen.Frozen(time.Now()); is && opts.despiteFreeze == "" {
		return apply.Frozen(to, f, until)
	}
	edits, files, err := edit.Promote(ctx, repo, from, to, apps)
	if err != nil {
		return err
	}
	if opts.digest {
		if err := g.pin(ctx, from, edits); err != nil {
			return err
		}
	}
	edits = slices.DeleteFunc(edits, func(e *edit.Edit) bool { return e.To == e.From })
	if len(edits) == 0 {
		fmt.Fprintf(g.err, "the apps of %s have the images of %s already\n", to, from)
	}
	message := fmt.Sprintf("%s: the images of %s", to, from)
	if len(apps) > 0 {
		message += " for " + strings.Join(apps, ", ")
	}
	if err := g.proven(ctx, at, from, edits, opts); err != nil {
		return err
	}
	if opts.despiteFreeze != "" {
		opts.because = append(opts.because, "despite the freeze: "+opts.despiteFreeze)
	}
	return g.set(ctx, repo, at, files, edits, &opts.setOptions, message)
}

// proven holds what is promoted to what the environment demands: that it was healthy
// in another one, for a time.
func (g *global) proven(ctx context.Context, to render.Summary, from string, edits []*edit.Edit, opts *promoteOptions) error {
	switch {
	case to.Promotion == nil || len(edits) == 0:
		return nil
	case opts.unproven != "":
		opts.because = append(opts.because, "unproven: "+opts.unproven)
		return nil
	case to.Promotion.From != from:
		return &hint.Refused{
			Reason: fmt.Sprintf("environment %s takes images that were healthy in %s, not in %s", to.Name, to.Promotion.From, from),
			Hints:  []string{"evenkeel promote " + to.Promotion.From + " " + to.Name + ", or give --unproven REASON"},
		}
	}
	soak, err := time.ParseDuration(to.Promotion.Soak)
	if err != nil {
		return fmt.Errorf("env %s: promotion: %w", to.Name, err)
	}
	var wrong []string
	for _, e := range edits {
		history, err := g.appHistory(ctx, from, e.Unit)
		if err != nil {
			return err
		}
		image := fmt.Sprint(e.To)
		switch longest, ever := record.Proven(history, image, time.Now()); {
		case !ever:
			wrong = append(wrong, fmt.Sprintf("  %s: %s was never healthy in %s%s", e.Unit, image, from, otherwisePulled(history, image)))
		case longest < soak:
			wrong = append(wrong, fmt.Sprintf("  %s: %s has been in %s for %s, %s are demanded", e.Unit, image, from, longest.Round(time.Second), soak))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return &hint.Refused{
		Reason: fmt.Sprintf("environment %s takes what has proven itself in %s:\n%s", to.Name, from, strings.Join(wrong, "\n")),
		Hints:  []string{"wait, or give --unproven REASON, which the message of the commit says"},
	}
}

// otherwisePulled says by which digests the tag of a pinned image was pulled when it was
// healthy.
func otherwisePulled(history []record.AppRevision, image string) string {
	tag, _, pinned := strings.Cut(image, "@")
	if was := record.PulledAs(history, tag); pinned && len(was) > 0 {
		return ", but " + strings.Join(was, " and ") + " was"
	}
	return ""
}

// appHistory is what an app of an environment has run as.
func (g *global) appHistory(ctx context.Context, name, app string) ([]record.AppRevision, error) {
	env, err := g.summary(ctx, name)
	if err != nil {
		return nil, err
	}
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return nil, err
	}
	history, err := cluster.AppHistory(ctx, env.Name, env.Namespace, app, time.Now())
	if err != nil {
		return nil, fmt.Errorf("env %s: %w", name, err)
	}
	return history, nil
}

// pin puts the digests by which the pods of an environment pulled their images behind
// them: of those that are ready, or where none is, of those that were when an apply saw
// the app healthy with the image.
func (g *global) pin(ctx context.Context, from string, edits []*edit.Edit) error {
	if len(edits) == 0 {
		return nil
	}
	envs, err := g.renderAll(ctx, &selection{}, []string{from})
	if err != nil {
		return err
	}
	cluster, err := g.cluster(envs[0].Cluster)
	if err != nil {
		return err
	}
	var units []string
	for _, e := range edits {
		units = append(units, e.Unit)
	}
	pulled, err := cluster.Pulled(ctx, envs[0], units)
	if err != nil {
		return fmt.Errorf("env %s: %w", from, err)
	}
	for _, e := range edits {
		image := fmt.Sprint(e.To)
		if len(pulled[e.Unit][image]) == 0 && !strings.Contains(image, "@") {
			history, err := g.appHistory(ctx, from, e.Unit)
			if err != nil {
				return err
			}
			if was := record.PulledAs(history, image); len(was) == 1 {
				e.To = was[0]
				continue
			}
		}
		pinned, err := pulled.Pin(e.Unit, image)
		if err != nil {
			return &hint.Refused{Reason: fmt.Sprintf("env %s: %v", from, err), Hints: []string{"wait until its pods are ready, or leave out --digest"}}
		}
		e.To = pinned
	}
	return nil
}
