package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/importer"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type importOptions struct {
	env       string
	like      string
	namespace string
	live      bool
	objects   bool
}

func newImportCmd(g *global) *cobra.Command {
	opts := &importOptions{}
	cmd := &cobra.Command{
		Use:   "import [FILE|DIR|-]...",
		Short: "Write existing YAML, or what runs in a namespace, as an environment",
		Long: `Write the objects of files, of directories, of stdin (-) or of a live namespace
(--live) into an environment, which is made where there is none: one unit for
each app. Workloads become apps of a type where that renders them back alike,
with a patch of what the manifests have otherwise; all else, whole objects. What
the server or kubectl adds is left out, and API versions that are gone are
replaced. Values of Secrets are never written: the environment declares the
Secrets with their keys. The result is rendered and held against the objects,
field by field; rules that they do not meet are switched off unit by unit, with
the reason in the source.`,
		Example: `  evenkeel import --env legacy manifests/
  helm template my-chart | evenkeel import --env chart -
  evenkeel import --env shop --live -n shop`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImport(cmd.Context(), g, opts, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.env, "env", "", "the environment to write to")
	flags.StringVar(&opts.like, "like", "", "the environment whose site a new one has (default: the first)")
	flags.StringVarP(&opts.namespace, "namespace", "n", "", "the namespace to read with --live, and that of a new environment")
	flags.BoolVar(&opts.live, "live", false, "read from the cluster")
	flags.BoolVar(&opts.objects, "objects", false, "whole objects only, no apps of a type")
	return cmd
}

func runImport(ctx context.Context, g *global, opts *importOptions, args []string) error {
	switch {
	case opts.env == "":
		return &usageError{err: errors.New("missing: --env"), hint: "name the environment to write to"}
	case opts.live && opts.namespace == "":
		return &usageError{err: errors.New("missing: --namespace"), hint: "--live reads one namespace"}
	case opts.live == (len(args) > 0):
		return &usageError{err: errors.New("give files, directories or -, or --live"), hint: "evenkeel import --help shows examples"}
	}
	repo, err := g.repo()
	if err != nil {
		return err
	}
	envs, err := repo.Envs(ctx)
	if err != nil {
		return err
	}
	objs, err := readObjects(ctx, g, opts, args)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(envs, func(e render.Summary) bool { return e.Name == opts.env })
	namespace := opts.namespace
	switch {
	case at >= 0:
		namespace = envs[at].Namespace
	case namespace == "":
		namespace = opts.env
	}
	imp := importer.Objects(objs, importer.Options{Namespace: namespace, Live: opts.live, Whole: opts.objects})
	target, err := importTarget(g, repo, envs, at, opts, namespace, imp.Level)
	if err != nil {
		return err
	}
	return writeImport(ctx, g, opts.env, imp, target)
}

func readObjects(ctx context.Context, g *global, opts *importOptions, args []string) ([]importer.Object, error) {
	var all []importer.Object
	for _, arg := range args {
		var objs []importer.Object
		var err error
		if arg == "-" {
			objs, err = importer.Read(g.in)
		} else {
			objs, err = importer.ReadPath(arg)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, objs...)
	}
	if opts.live {
		cluster, err := g.cluster(schema.Cluster{})
		if err != nil {
			return nil, err
		}
		objs, skipped, err := cluster.Everything(ctx, opts.namespace)
		if err != nil {
			return nil, err
		}
		for _, s := range skipped {
			fmt.Fprintf(g.err, "left out: %s: may not be listed\n", s)
		}
		for _, o := range objs {
			all = append(all, o.Object)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no objects to import")
	}
	return all, nil
}

// target is where an import goes.
type target struct {
	root  string
	name  string          // of the file with the units
	pkg   string          // its CUE package
	files []scaffold.File // a new environment's own
}

func importTarget(g *global, repo *render.Repo, envs []render.Summary, at int, opts *importOptions, namespace, level string) (target, error) {
	t := target{root: repo.Root()}
	like := max(at, 0)
	if at < 0 && opts.like != "" {
		like = slices.IndexFunc(envs, func(e render.Summary) bool { return e.Name == opts.like })
	}
	if like < 0 || like >= len(envs) {
		return t, render.UnknownEnv{Name: opts.like}
	}
	files, err := scaffold.ReadPackage(repo.Files(), envs[like].Dir)
	if err != nil {
		return t, err
	}
	if at < 0 {
		file, pkg, err := scaffold.NewEnv(files, scaffold.EnvHeader{Name: opts.env, Namespace: namespace, Context: *g.kube.Context, Level: level})
		t.name, t.pkg, t.files = path.Join("envs", opts.env, "imported.cue"), pkg, []scaffold.File{file}
		return t, err
	}
	t.name = path.Join(envs[at].Dir, "imported.cue")
	if slices.ContainsFunc(files, func(f scaffold.File) bool { return f.Name == t.name }) {
		return t, &usageError{err: fmt.Errorf("%s is there already", t.name), hint: "rename it to keep it beside another import"}
	}
	t.pkg, err = scaffold.PackageOf(files)
	return t, err
}
