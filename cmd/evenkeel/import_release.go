package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/chart"
	"github.com/seed-428f4edd/evenkeel/render/chart/pull"
	"github.com/seed-428f4edd/evenkeel/render/importer"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// runImportRelease makes a unit of a Helm release.
func runImportRelease(ctx context.Context, g *global, opts *importOptions) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	envs, err := repo.Envs(ctx)
	if err != nil {
		return err
	}
	release, err := g.helmRelease(ctx, opts.namespace, opts.release)
	if err != nil {
		return err
	}
	if release.Status != "deployed" {
		return &hint.Error{
			Err:  fmt.Errorf("revision %d of the Helm release %s is %s, not deployed", release.Revision, release.Name, release.Status),
			Hint: "bring it to an end with helm first: helm history " + release.Name + " -n " + release.Namespace,
		}
	}
	loaded, file, files, err := chartOf(repo, release, opts.chart)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(envs, func(e render.Summary) bool { return e.Name == opts.env })
	to := importer.ReleaseOptions{Unit: release.Name, File: file, Now: time.Now()}
	to.Env = opts.env
	if at >= 0 {
		to.Namespace = envs[at].Namespace
	}
	imp, err := importWithin(ctx, repo.Budget, release, loaded, to)
	if err != nil {
		return err
	}
	target, err := importTarget(g, repo, envs, at, opts, imp)
	if err != nil {
		return err
	}
	target.files = append(target.files, files...)
	if err := writeImport(ctx, g, opts.env, imp, target); err != nil {
		return err
	}
	fmt.Fprintf(g.err, "next: evenkeel diff %[1]s --take-ownership, then evenkeel apply %[1]s --take-ownership\n", opts.env)
	return nil
}

// importWithin renders the chart of a release within the budget of a rendering: whoever
// may write Secrets in its namespace wrote it.
func importWithin(ctx context.Context, budget budget.Budget, release *chart.Release, loaded *chart.Chart, to importer.ReleaseOptions) (imp *importer.Import, err error) {
	budget = budget.Given()
	late := fmt.Errorf("the chart of Helm release %s is not rendered after %s: --render-timeout gives it more time", release.Name, budget.Time)
	ctx, cancel := context.WithTimeoutCause(ctx, budget.Time, late)
	defer cancel()
	err = budget.Within(ctx, func(ctx context.Context) error {
		imp, err = importer.Release(ctx, release, loaded, to)
		return err
	})
	return imp, err
}

func (g *global) helmRelease(ctx context.Context, namespace, name string) (*chart.Release, error) {
	cluster, err := g.cluster(schema.Cluster{})
	if err != nil {
		return nil, err
	}
	data, err := cluster.HelmRelease(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	release, err := chart.ReadRelease(data)
	if err != nil {
		return nil, fmt.Errorf("reading Helm release %s: %w", name, err)
	}
	if release.Name != name || release.Namespace != namespace {
		return nil, fmt.Errorf("the record of the Helm release %s in namespace %s is that of another one", name, namespace)
	}
	return release, nil
}

// chartOf is the chart of a release: a file of the repository, or what Helm recorded,
// which is to be written as the files that come back.
func chartOf(repo *render.Repo, release *chart.Release, file string) (*chart.Chart, string, []scaffold.File, error) {
	if file != "" {
		loaded, err := chart.Load(repo.Files(), file)
		if err != nil {
			return nil, "", nil, fmt.Errorf("%s: %w", file, err)
		}
		if loaded.Name != release.Chart || loaded.Version != release.Version {
			return nil, "", nil, &hint.Error{
				Err:  fmt.Errorf("%s is the chart %s %s, the release has %s %s", file, loaded.Name, loaded.Version, release.Chart, release.Version),
				Hint: pullHint(release),
			}
		}
		return loaded, path.Clean(file), nil, nil
	}
	if len(release.SubCharts) > 0 {
		return nil, "", nil, &hint.Error{
			Err:  fmt.Errorf("the chart %s %s has sub-charts (%s), whose files Helm does not record", release.Chart, release.Version, strings.Join(release.SubCharts, ", ")),
			Hint: pullHint(release),
		}
	}
	loaded, err := chart.FromFiles(release.Files)
	if err != nil {
		return nil, "", nil, fmt.Errorf("the chart of Helm release %s: %w", release.Name, err)
	}
	dir := path.Join(pull.Dir, release.Chart+"-"+release.Version)
	var files []scaffold.File
	for name, data := range release.Files {
		f := scaffold.File{Name: path.Join(dir, name), Data: data}
		there, err := fs.ReadFile(repo.Files(), f.Name)
		switch {
		case err == nil && !bytes.Equal(there, data):
			return nil, "", nil, &hint.Error{Err: fmt.Errorf("%s is there already, and differs", f.Name), Hint: "take it with --chart " + dir + ", or remove it"}
		case err == nil:
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return nil, "", nil, err
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b scaffold.File) int { return strings.Compare(a.Name, b.Name) })
	return loaded, dir, files, nil
}

func pullHint(r *chart.Release) string {
	return fmt.Sprintf("evenkeel chart pull %[1]s --repo URL --version %[2]s, then --chart %[3]s/%[1]s-%[2]s.tgz", r.Chart, r.Version, pull.Dir)
}
