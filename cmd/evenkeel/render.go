package main

import (
	"context"
	"fmt"
	"slices"
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
		if err := checkUnits(sel.units, r.Env); err != nil {
			return nil, err
		}
	}
	return envs, nil
}

// checkUnits refuses names of units that none of the renderings of an environment
// has; nil is one that does not exist.
func checkUnits(units []string, envs ...*schema.Environment) error {
	envs = slices.DeleteFunc(envs, func(e *schema.Environment) bool { return e == nil })
	for _, name := range units {
		if len(envs) == 0 || slices.ContainsFunc(envs, func(e *schema.Environment) bool { return e.Unit(name) != nil }) {
			continue
		}
		var names []string
		for i := range envs[0].Units {
			names = append(names, envs[0].Units[i].Name)
		}
		return &usageError{
			err:  fmt.Errorf("env %s has no unit %q", envs[0].Name, name),
			hint: "its units are " + strings.Join(names, ", "),
		}
	}
	return nil
}
