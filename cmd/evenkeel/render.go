package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type renderOptions struct {
	selection
	outputDir string
	secrets   string
}

func newRenderCmd(g *global) *cobra.Command {
	opts := &renderOptions{}
	cmd := &cobra.Command{
		Use:   "render ENV...",
		Short: "Print the manifests of an environment",
		Long: `Print the manifests of an environment: exactly the objects that apply writes,
in the order in which it writes them, the same bytes for the same input. No
cluster is asked.

Secrets are left out when the output is a pipe or a terminal, and said so on
stderr; --secrets include prints them.`,
		Example: `  evenkeel render dev
  evenkeel render prod | kubectl diff --server-side --force-conflicts --field-manager evenkeel -f -
  evenkeel render --all --output-dir manifests`,
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "yaml", "json")
	opts.addAll(cmd.Flags())
	opts.addUnits(cmd.Flags())
	cmd.Flags().StringVar(&opts.outputDir, "output-dir", "", "write one file per unit below this directory instead of to stdout")
	cmd.Flags().StringVar(&opts.secrets, "secrets", "omit", "Secrets in the output: include or omit")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runRender(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runRender(ctx context.Context, g *global, opts *renderOptions, args []string) error {
	if opts.secrets != "include" && opts.secrets != "omit" {
		return &usageError{err: fmt.Errorf("--secrets %q is not known", opts.secrets), hint: "use include or omit"}
	}
	envs, err := g.renderAll(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	out := render.OutputOptions{Units: opts.units, Secrets: opts.secrets == "include"}
	for _, env := range envs {
		if err := writeManifests(g, opts.outputDir, env, out); err != nil {
			return err
		}
		if n := out.Omitted(env); n > 0 {
			fmt.Fprintf(g.err, "env %s: %d Secrets left out (--secrets include prints them)\n", env.Name, n)
		}
	}
	return nil
}

func writeManifests(g *global, dir string, env *schema.Environment, opts render.OutputOptions) error {
	switch {
	case dir != "":
		return render.WriteDir(dir, env, opts)
	case g.output == "json":
		return render.WriteJSON(g.out, env, opts)
	default:
		return render.WriteYAML(g.out, env, opts)
	}
}

// renderAll renders the selected environments in apply order and prints their
// warnings. The findings of all of them come as one error.
func (g *global) renderAll(ctx context.Context, sel *selection, args []string) ([]*schema.Environment, error) {
	repo, err := g.repo()
	if err != nil {
		return nil, err
	}
	names, err := sel.names(ctx, repo, args)
	if err != nil {
		return nil, err
	}
	results, err := repo.RenderAll(ctx, names)
	if err != nil {
		return nil, err
	}
	envs := make([]*schema.Environment, len(results))
	for i, r := range results {
		for _, w := range r.Warnings {
			fmt.Fprintln(g.err, w)
		}
		envs[i] = r.Env
		if err := checkUnits(r.Env, sel.units); err != nil {
			return nil, err
		}
	}
	return envs, nil
}

// checkUnits refuses names of units that an environment does not have.
func checkUnits(env *schema.Environment, units []string) error {
	for _, u := range units {
		if env.Unit(u) != nil {
			continue
		}
		names := make([]string, len(env.Units))
		for i := range env.Units {
			names[i] = env.Units[i].Name
		}
		return &usageError{
			err:  fmt.Errorf("env %s has no unit %q", env.Name, u),
			hint: "its units are " + strings.Join(names, ", "),
		}
	}
	return nil
}
