package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/handover"
	"github.com/seed-428f4edd/evenkeel/schema"
)

func newExportCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the objects that make Flux or Argo CD apply an environment",
		Long: `Print the objects that make another engine keep an environment level, where one
process is not enough: many clusters, thousands of environments.`,
		Example: `  evenkeel export flux prod --help
  evenkeel export argocd prod --help`,
	}
	cmd.AddCommand(newExportEngineCmd(g, exportEngine{
		name: "flux", title: "Flux", namespace: "flux-system", secret: true,
		long: `Print a source and a Kustomization for Flux (source-controller and
kustomize-controller 1.9 or newer): it prunes, waits for health, stands behind the
environments that this one comes after, and leaves alone what the environment
ignores. What Flux cannot do is said on stderr.`,
		objects: func(_ context.Context, _ *global, env *schema.Environment, opts handover.Options) ([]map[string]any, []string, error) {
			objects, notes := handover.Flux(env, opts)
			return objects, notes, nil
		},
	}), newExportEngineCmd(g, exportEngine{
		name: "argocd", title: "Argo CD", namespace: "argocd",
		long: `Print an Application for Argo CD 3.1 or newer: it prunes, heals, applies
server-side and leaves alone what the environment ignores. Argo CD knows no order
between Applications but the sync waves of an app of apps: those are set. What
Argo CD cannot do is said on stderr.`,
		objects: func(ctx context.Context, g *global, env *schema.Environment, opts handover.Options) ([]map[string]any, []string, error) {
			wave, err := g.wave(ctx, env)
			if err != nil {
				return nil, nil, err
			}
			app, notes := handover.ArgoCD(env, wave, opts)
			return []map[string]any{app}, notes, nil
		},
	}))
	return cmd
}

// exportEngine is what the two commands differ in.
type exportEngine struct {
	name, title, namespace, long string
	secret                       bool // the source names its credentials
	objects                      func(context.Context, *global, *schema.Environment, handover.Options) (objects []map[string]any, notes []string, err error)
}

func newExportEngineCmd(g *global, engine exportEngine) *cobra.Command {
	sel, opts := &selection{}, handover.Options{}
	cmd := &cobra.Command{
		Use:   engine.name + " ENV...",
		Short: "Print the objects that make " + engine.title + " apply an environment",
		Long:  engine.long,
		Example: fmt.Sprintf(`  evenkeel export %[1]s prod --source oci://harbor.od.com/deploy/prod
  evenkeel export %[1]s prod --source https://git.od.com/ops/manifests.git --path prod
  evenkeel export %[1]s --all --source 'oci://harbor.od.com/deploy/{env}'`, engine.name),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "yaml", "json")
	sel.addAll(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&opts.Source.URL, "source", "", "where the manifests are: oci://REPOSITORY[:TAG] as pushed, or a git repository of rendered manifests; {env} stands for the name")
	f.StringVar(&opts.Source.Ref, "ref", "main", "the branch of a git repository")
	f.StringVar(&opts.Source.Path, "path", "", "the directory of the manifests; {env} stands for the name")
	f.StringVar(&opts.Namespace, "engine-namespace", engine.namespace, "the namespace of "+engine.title)
	if engine.secret {
		f.StringVar(&opts.Source.Secret, "secret", "", "the Secret with the credentials of the source")
		f.BoolVar(&opts.Source.PlainHTTP, "plain-http", false, "the registry has no TLS")
		f.DurationVar(&opts.Interval, "interval", 5*time.Minute, "how often the source is read")
		f.DurationVar(&opts.Timeout, "timeout", 5*time.Minute, "how long health is waited for")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runExport(cmd.Context(), g, engine, sel, opts, args)
	}
	return cmd
}

func runExport(ctx context.Context, g *global, engine exportEngine, sel *selection, opts handover.Options, args []string) error {
	if opts.Source.URL == "" {
		return &hint.Error{Err: errors.New("--source is missing"), Hint: "name what evenkeel push pushed to, or a git repository of what evenkeel render --output-dir wrote"}
	}
	envs, err := g.renderAll(ctx, sel, args)
	if err != nil {
		return err
	}
	if len(envs) > 1 && !strings.Contains(opts.Source.URL+opts.Source.Path, "{env}") {
		return &hint.Error{Err: errors.New("several environments have one source"), Hint: "write {env} where the name of the environment stands in --source or --path"}
	}
	var unit schema.Unit
	for _, env := range envs {
		one := opts
		one.Source.URL = strings.ReplaceAll(opts.Source.URL, "{env}", env.Name)
		one.Source.Path = strings.ReplaceAll(opts.Source.Path, "{env}", env.Name)
		objects, notes, err := engine.objects(ctx, g, env, one)
		if err != nil {
			return err
		}
		for _, note := range notes {
			fmt.Fprintf(g.err, "env %s: %s\n", env.Name, note)
		}
		for _, o := range objects {
			unit.Objects = append(unit.Objects, schema.Object{Unstructured: &unstructured.Unstructured{Object: o}})
		}
	}
	return writeManifests(g, "", &schema.Environment{Units: []schema.Unit{unit}}, render.OutputOptions{})
}

// wave is how many environments in a row one comes after.
func (g *global) wave(ctx context.Context, env *schema.Environment) (int, error) {
	repo, err := g.repo()
	if err != nil {
		return 0, err
	}
	all, err := repo.Envs(ctx) // in the order in which they are applied
	if err != nil {
		return 0, err
	}
	waves := map[string]int{}
	for _, e := range all {
		for _, before := range e.After {
			waves[e.Name] = max(waves[e.Name], waves[before]+1)
		}
	}
	return waves[env.Name], nil
}
