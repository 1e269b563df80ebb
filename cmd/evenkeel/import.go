package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/chart/pull"
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
	release   string
	chart     string
}

func newImportCmd(g *global) *cobra.Command {
	opts := &importOptions{}
	cmd := &cobra.Command{
		Use:   "import [FILE|DIR|-]...",
		Short: "Write existing YAML, or what runs in a namespace, as an environment",
		Long: `Write the objects of files, of directories, of stdin (-) or of a live namespace
(--live) into an environment, which is made where there is none: one unit and one
file for each app. A kustomization is built; charts and templates are named, and
YAML of something else is passed over. A new environment has the namespace of -n,
or the one that all objects name, or that of its name.

Workloads become apps of a type where that renders them back alike, in the same
order, with a patch of what the manifests have otherwise; all else, whole objects,
with the reason. What the server or kubectl adds is left out, and API versions
that are gone are replaced. Values of Secrets are never written: the environment
declares the Secrets with their keys. The result is rendered and held against the
objects, field by field; rules that they do not meet are switched off unit by
unit, with the reason in the source, but for those that say what a server refuses.
Where the import does not come to an end, nothing of it is left behind.

Objects of Flux, Argo CD and kluctl are not imported themselves: a HelmRelease or an
Application of a chart becomes a unit of that chart, which chart pull brings first;
of others the directory is named, with the command that imports it, what cannot be
kept, and the command after which the tool leaves its objects alone.

--helm-release makes one unit of a Helm release: its chart, written to charts/ unless
--chart names the archive, its values, and a patch of what they render otherwise than
what Helm wrote. Values that stand in Secrets are left out, with these Secrets. The
first apply --take-ownership takes the objects over; helm upgrade refuses then.`,
		Example: `  evenkeel import --env legacy manifests/
  helm template my-chart | evenkeel import --env chart -
  evenkeel import --env shop --live -n shop
  evenkeel import --env infra --helm-release cert-manager -n cert-manager`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImport(cmd.Context(), g, opts, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.env, "env", "", "the environment to write to")
	flags.StringVar(&opts.like, "like", "", "the environment whose site a new one has (default: the first)")
	flags.StringVarP(&opts.namespace, "namespace", "n", "", "the namespace to read with --live, and that of a new environment")
	flags.BoolVar(&opts.live, "live", false, "read from the cluster")
	flags.StringVar(&opts.release, "helm-release", "", "the Helm release to take over, of the namespace -n")
	flags.StringVar(&opts.chart, "chart", "", "with --helm-release: the chart in the repository, a directory or an archive")
	flags.BoolVar(&opts.objects, "objects", false, "whole objects only, no apps of a type")
	return cmd
}

func runImport(ctx context.Context, g *global, opts *importOptions, args []string) error {
	switch {
	case opts.env == "":
		return &hint.Error{Err: errors.New("missing: --env"), Hint: "name the environment to write to"}
	case opts.live && opts.namespace == "":
		return &hint.Error{Err: errors.New("missing: --namespace"), Hint: "--live reads one namespace"}
	case opts.release != "" && (opts.live || opts.objects || len(args) > 0):
		return &hint.Error{Err: errors.New("--helm-release stands alone"), Hint: "evenkeel import --env ENV --helm-release NAME -n NAMESPACE"}
	case opts.release != "" && opts.namespace == "":
		return &hint.Error{Err: errors.New("missing: --namespace"), Hint: "--helm-release is of one namespace"}
	case opts.release != "":
		return runImportRelease(ctx, g, opts)
	case opts.chart != "":
		return &hint.Error{Err: errors.New("--chart without --helm-release"), Hint: "evenkeel chart pull brings a chart into the repository"}
	case opts.live == (len(args) > 0):
		return &hint.Error{Err: errors.New("give files, directories or -, or --live"), Hint: "evenkeel import --help shows examples"}
	}
	repo, err := g.repo()
	if err != nil {
		return err
	}
	envs, err := repo.Envs(ctx)
	if err != nil {
		return err
	}
	read, err := readObjects(ctx, g, opts, args)
	for _, s := range read.Skipped {
		fmt.Fprintf(g.err, "skipped: %s\n", s)
	}
	if err != nil {
		return err
	}
	items, engines := importer.Engines(read.Items, opts.env)
	if len(read.Items) == 0 {
		return errors.New("no objects to import")
	}
	at := slices.IndexFunc(envs, func(e render.Summary) bool { return e.Name == opts.env })
	namespace := opts.namespace
	if at >= 0 {
		namespace = envs[at].Namespace
	}
	imp, err := importer.Objects(items, importer.Options{Namespace: namespace, Env: opts.env, Live: opts.live, Whole: opts.objects})
	if err != nil {
		return err
	}
	if err := takeEngines(ctx, g, repo, imp, engines); err != nil {
		return err
	}
	if len(imp.Units) == 0 && len(imp.Secrets) == 0 && len(imp.Labels) == 0 && len(imp.Annotations) == 0 {
		for _, l := range imp.Left {
			fmt.Fprintln(g.err, report.Line("left out: "+l))
		}
		for _, note := range imp.AllNotes() {
			fmt.Fprintln(g.err, report.Line("note: "+note))
		}
		fmt.Fprintln(g.err, "nothing was written: no object is left for an environment")
		return nil
	}
	target, err := importTarget(g, repo, envs, at, opts, imp)
	if err != nil {
		return err
	}
	return writeImport(ctx, g, opts.env, imp, target)
}

// takeEngines makes units of what other tools apply as charts, and says of each of their
// objects what becomes of it and how the tool is kept from going on.
func takeEngines(ctx context.Context, g *global, repo *render.Repo, imp *importer.Import, engines []importer.Engine) error {
	if len(engines) == 0 {
		return nil
	}
	budget := repo.Budget.Given()
	ctx, cancel := context.WithTimeout(ctx, budget.Time)
	defer cancel()
	var missing []string
	err := budget.Within(ctx, func(ctx context.Context) (err error) {
		missing, err = imp.Charts(ctx, engines, repo.Files(), pull.Dir, time.Now())
		return err
	})
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintln(g.err, report.Line(fmt.Sprintf(format, args...))) }
	for _, e := range engines {
		if e.Says != "" {
			say("found: %s: %s", e.Ref, e.Says)
		}
		if e.Next != "" {
			say("next: %s", e.Next)
		}
		for _, l := range e.Lost {
			say("not kept: %s: %s", e.Ref, l)
		}
		if e.Stop != "" {
			say("before the first apply: %s", e.Stop)
		}
	}
	if len(missing) > 0 {
		return &hint.Error{Err: errors.New("charts that are not in the repository: " + strings.Join(missing, "; ")), Hint: "nothing was written: bring them, and import again"}
	}
	return nil
}

func readObjects(ctx context.Context, g *global, opts *importOptions, args []string) (importer.Reading, error) {
	var all importer.Reading
	for _, arg := range args {
		var read importer.Reading
		var err error
		if arg == "-" {
			read, err = importer.Read(g.in, "stdin")
		} else {
			read, err = importer.ReadPath(arg, opts.env)
		}
		all.Items = append(all.Items, read.Items...)
		all.Skipped = append(all.Skipped, read.Skipped...)
		if err != nil {
			return all, err
		}
	}
	if !opts.live {
		return all, nil
	}
	cluster, err := g.cluster(schema.Cluster{})
	if err != nil {
		return all, err
	}
	objs, skipped, err := cluster.Everything(ctx, opts.namespace)
	if err != nil {
		return all, err
	}
	for _, s := range skipped {
		fmt.Fprintf(g.err, "left out: %s: may not be listed\n", s)
	}
	for _, o := range objs {
		all.Items = append(all.Items, importer.Item{Object: o.Object})
	}
	return all, nil
}

// target is where an import goes.
type target struct {
	root   string
	dir    string          // of the environment
	pkg    string          // its CUE package
	files  []scaffold.File // a new environment's own
	there  []scaffold.File // those of an environment that is there
	others []string        // the other environments
}

func importTarget(g *global, repo *render.Repo, envs []render.Summary, at int, opts *importOptions, imp *importer.Import) (target, error) {
	t := target{root: repo.Root()}
	for _, e := range envs {
		if e.Name != opts.env {
			t.others = append(t.others, e.Name)
		}
	}
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
		file, pkg, err := scaffold.NewEnv(files, scaffold.EnvHeader{Name: opts.env, Namespace: imp.Namespace(), Context: *g.kube.Context, Level: imp.Level})
		t.dir, t.pkg, t.files = path.Join("envs", opts.env), pkg, []scaffold.File{file}
		return t, err
	}
	t.dir, t.there = envs[at].Dir, files
	t.pkg, err = scaffold.PackageOf(files)
	return t, err
}
