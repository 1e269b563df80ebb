package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
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

Secrets, and objects with fields that are marked secret, are left out, and said
so on stderr; --secrets include prints them. Values that sops encrypted are
decrypted only then.`,
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
		return &hint.Error{Err: fmt.Errorf("--secrets %q is not known", opts.secrets), Hint: "use include or omit"}
	}
	renderEnvs := g.renderAll
	if opts.secrets == "include" {
		renderEnvs = g.renderUnsealed
	}
	envs, err := renderEnvs(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	out := render.OutputOptions{Units: opts.units, Secrets: opts.secrets == "include"}
	for _, env := range envs {
		if err := writeManifests(g, opts.outputDir, env, out); err != nil {
			return err
		}
		if secrets, marked := out.Omitted(env); secrets+len(marked) > 0 {
			fmt.Fprintf(g.err, "env %s: left out %s (--secrets include prints them)\n", env.Name, leftOut(secrets, marked))
		}
	}
	return nil
}

// leftOut says what render did not print: Secrets by number, other objects, which
// one would not expect to miss, by name.
func leftOut(secrets int, marked []string) string {
	var parts []string
	switch {
	case secrets == 1:
		parts = append(parts, "1 Secret")
	case secrets > 1:
		parts = append(parts, fmt.Sprintf("%d Secrets", secrets))
	}
	if len(marked) > 0 {
		parts = append(parts, strings.Join(marked, ", ")+" with fields that are marked secret")
	}
	return strings.Join(parts, " and ")
}

func writeManifests(g *global, dir string, env *schema.Environment, opts render.OutputOptions) error {
	switch {
	case dir != "":
		to, err := render.OutputDir(g.dir, dir)
		if err != nil {
			return err
		}
		defer func() { _ = to.Close() }() // nothing is written by that
		return render.WriteDir(to, env, opts)
	case g.output == "json":
		return render.WriteJSON(plain.JSON(uncleaned(g.out)), env, opts)
	default:
		return render.WriteYAML(uncleaned(g.out), env, opts)
	}
}

// renderAll renders the selected environments in apply order and prints their
// warnings. The findings of all of them come as one error. Secrets from files stay
// encrypted: see renderUnsealed.
func (g *global) renderAll(ctx context.Context, sel *selection, args []string) ([]*schema.Environment, error) {
	results, err := g.renderResults(ctx, sel, args)
	if err != nil {
		return nil, err
	}
	return g.environments(sel, results)
}

// renderUnsealed is renderAll with the values of Secrets decrypted, for what goes
// to a cluster or is compared with one.
func (g *global) renderUnsealed(ctx context.Context, sel *selection, args []string) ([]*schema.Environment, error) {
	results, err := g.renderResults(ctx, sel, args)
	if err != nil {
		return nil, err
	}
	if err := render.Unseal(ctx, results...); err != nil {
		return nil, err
	}
	return g.environments(sel, results)
}

func (g *global) renderResults(ctx context.Context, sel *selection, args []string) ([]*render.Result, error) {
	repo, names, err := g.named(ctx, sel, args)
	if err != nil {
		return nil, err
	}
	return repo.RenderAll(ctx, names)
}

func (g *global) environments(sel *selection, results []*render.Result) ([]*schema.Environment, error) {
	envs := make([]*schema.Environment, len(results))
	for i, r := range results {
		g.warn(r.Warnings)
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
		return &hint.Error{
			Err:  fmt.Errorf("env %s has no unit %q", envs[0].Name, name),
			Hint: "its units are " + strings.Join(names, ", "),
		}
	}
	return nil
}
