package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render/chart"
	"github.com/seed-428f4edd/evenkeel/render/chart/pull"
	"github.com/seed-428f4edd/evenkeel/render/reference"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

func newChartCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chart",
		Short: "Bring a Helm chart into the repository, and show its values",
		Long: `Bring a Helm chart into the repository, and show the values that it takes. An
environment renders it as a unit of the type schema.#Chart, offline.`,
		Example: `  evenkeel chart pull cert-manager --repo https://charts.jetstack.io
  evenkeel chart values cert-manager
  evenkeel explain Chart`,
	}
	cmd.AddCommand(newChartPullCmd(g), newChartValuesCmd(g))
	return cmd
}

func newChartPullCmd(g *global) *cobra.Command {
	req := pull.Request{}
	cmd := &cobra.Command{
		Use:   "pull NAME --repo URL",
		Short: "Fetch the archive of a chart into charts/, and print its unit",
		Long: `Fetch the archive of a Helm chart from a chart repository or a container registry
and write it to charts/NAME-VERSION.tgz; print the unit that an environment takes
in. This is the only command that fetches charts. The archive is held against the
digest that the repository names, and the unit has its digest: vet refuses another
one. Commit the archive.

Credentials of a registry are those of the Docker configuration (docker login, or
DOCKER_CONFIG).`,
		Example: `  evenkeel chart pull cert-manager --repo https://charts.jetstack.io --version v1.21.2
  evenkeel chart pull podinfo --repo oci://ghcr.io/stefanprodan/charts
  evenkeel chart pull demo --repo oci://localhost:5000/charts --plain-http`,
		Args: usageArgs(cobra.ExactArgs(1), "name the chart: evenkeel chart pull NAME --repo URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Name = args[0]
			return runChartPull(cmd.Context(), g, req)
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.Repo, "repo", "", "the URL of a chart repository, or oci://REGISTRY/PATH")
	f.StringVar(&req.Version, "version", "", "the version of the chart (default: the newest that is not a preview)")
	f.BoolVar(&req.PlainHTTP, "plain-http", false, "allow a repository or registry without TLS")
	return cmd
}

func runChartPull(ctx context.Context, g *global, req pull.Request) error {
	if req.Repo == "" {
		return &hint.Error{Err: errors.New("missing: --repo"), Hint: "such as --repo https://charts.jetstack.io or --repo oci://ghcr.io/org/charts"}
	}
	repo, err := g.repo()
	if err != nil {
		return err
	}
	p, err := pull.Pull(ctx, req)
	if err != nil {
		return fmt.Errorf("chart %s: %w", req.Name, err)
	}
	if err := p.Write(repo.Root()); err != nil {
		return fmt.Errorf("chart %s: %w", req.Name, err)
	}
	fmt.Fprintf(g.err, "%s %s in %s\n", p.Name, p.Version, p.File())
	if p.Unverified {
		fmt.Fprintf(g.err, "warning: the repository names no digest: the archive is as it came\n")
	}
	if p.Deprecated {
		fmt.Fprintf(g.err, "warning: its makers call the chart deprecated\n")
	}
	fmt.Fprintf(g.out, `stacks: %q: schema.#Chart & {
	chart:   %q
	repo:    %q
	version: %q
	digest:  %q
	values: {}
}
`, p.Name, p.File(), strings.TrimSuffix(req.Repo, "/"), p.Version, p.Digest)
	return nil
}

func newChartValuesCmd(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "values NAME|PATH[:VALUE]",
		Short: "Show the values that a chart takes, with defaults",
		Long: `Show the values of a chart that lies in the repository, with their defaults and what
its values.yaml says of them, sub-charts included. NAME is that of a chart below
charts/, PATH a directory or an archive. Behind a colon, only the values below that
one are shown.`,
		Example: `  evenkeel chart values cert-manager
  evenkeel chart values cert-manager:webhook
  evenkeel chart values charts/cert-manager-v1.21.2.tgz`,
		Args: usageArgs(cobra.ExactArgs(1), "name the chart: evenkeel chart values NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			return runChartValues(g, args[0])
		},
	}
}

func runChartValues(g *global, arg string) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	where, below, _ := strings.Cut(arg, ":")
	file, err := findChart(repo.Files(), where)
	if err != nil {
		return err
	}
	c, err := chart.Load(repo.Files(), file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	page := reference.Page{Name: c.Name + " " + c.Version, Kind: "common"}
	for _, v := range c.Values() {
		page.Fields = append(page.Fields, reference.Field{Path: v.Path, Doc: v.Doc, Default: v.Default})
	}
	if below != "" {
		found, ok := page.Below(below)
		if !ok {
			return noSuch(fmt.Sprintf("%s has no value %q", c.Name, below), reference.Nearest(nil, page, below), "evenkeel chart values "+where+" lists them")
		}
		page = found
		page.Name = c.Name + " " + c.Version + ": " + below
	}
	_, err = fmt.Fprint(g.out, page.Markdown())
	return err
}

// versioned matches the version in the name of an archive.
var versioned = regexp.MustCompile(`-v?[0-9]+\.[0-9]+\..*$`)

// findChart is a chart by its path, or by its name below charts/.
func findChart(files fs.FS, name string) (string, error) {
	if _, err := fs.Stat(files, path.Clean(name)); err == nil {
		return path.Clean(name), nil
	}
	entries, err := fs.ReadDir(files, pull.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var names []string
	for _, e := range entries {
		base := versioned.ReplaceAllString(strings.TrimSuffix(e.Name(), ".tgz"), "")
		if base == name {
			return path.Join(pull.Dir, e.Name()), nil
		}
		names = append(names, base)
	}
	return "", noSuch(fmt.Sprintf("no chart %q in the repository", name), typed.Closest(name, names), "give a path, or bring it: evenkeel chart pull "+name+" --repo URL")
}
