package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render"
)

type imagesOptions struct {
	selection
	copy bool
}

func newImagesCmd(g *global) *cobra.Command {
	opts := &imagesOptions{}
	cmd := &cobra.Command{
		Use:   "images ENV...",
		Short: "List the images of an environment, and what they mirror",
		Long: `List every image that the environment's pods run, with what it mirrors: an image
below a prefix of site.images.mirror is expected there under the name that it has
upstream. Where SOURCE is "-", the image is pushed by those who build it, or is
pulled from where it is made.

With --copy only the mirrored ones are printed, source and target on a line, for
programs that copy images.`,
		Example: `  evenkeel images infra
  evenkeel images --all --copy | xargs -n 2 crane copy
  evenkeel images --all --copy | xargs -n 2 sh -c 'skopeo copy --all docker://$0 docker://$1'`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	opts.addAll(cmd.Flags())
	cmd.Flags().BoolVar(&opts.copy, "copy", false, "only mirrored images, as SOURCE IMAGE")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runImages(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runImages(ctx context.Context, g *global, opts *imagesOptions, args []string) error {
	repo, names, err := g.named(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	results, err := repo.RenderAll(ctx, names)
	if err != nil {
		return err
	}
	images := render.MergeImages(results)
	if opts.copy {
		images = slices.DeleteFunc(images, func(i render.Image) bool { return i.Source == "" })
	}
	switch {
	case g.output == "json":
		return writeJSON(g.out, images)
	case opts.copy:
		for _, i := range images {
			fmt.Fprintln(g.out, i.Source, i.Image)
		}
		return nil
	}
	return printImages(g.out, images)
}

func printImages(w io.Writer, images []render.Image) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "IMAGE\tSOURCE\tUNITS")
	for _, i := range images {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", i.Image, orDash(i.Source), strings.Join(i.Units, ","))
	}
	return tw.Flush()
}
