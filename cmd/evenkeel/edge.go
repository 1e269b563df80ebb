package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/edge"
)

type edgeOptions struct {
	outputDir string
	check     string
}

func newEdgeCmd(g *global) *cobra.Command {
	opts := &edgeOptions{}
	cmd := &cobra.Command{
		Use:   "edge ENV {--output-dir DIR | --check DIR}",
		Short: "Write nginx and keepalived files for the hosts in front of a cluster",
		Long: `Write the files of the hosts in front of a cluster: a directory per edge host
with what belongs below /etc/nginx and /etc/keepalived and a script that installs
it (tests, reloads, and puts back what was there when something fails), the DNS
records that the Ingresses of all environments of the cluster need, and a
README.txt that says how to install and where certificates come from.

With --check nothing is written: files fetched from the hosts, in a directory per
host, are compared with the rendered ones. Exit code 1 means that they differ.`,
		Example: `  evenkeel edge infra --output-dir edge
  rsync -a root@hdss7-11:/etc/nginx root@hdss7-11:/etc/keepalived live/hdss7-11/
  evenkeel edge infra --check live`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	cmd.Flags().StringVar(&opts.outputDir, "output-dir", "", "write the files below this directory")
	cmd.Flags().StringVar(&opts.check, "check", "", "compare with the files fetched from hosts below this directory")
	cmd.MarkFlagsOneRequired("output-dir", "check")
	cmd.MarkFlagsMutuallyExclusive("output-dir", "check")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runEdge(cmd.Context(), g, opts, args[0])
	}
	return cmd
}

func runEdge(ctx context.Context, g *global, opts *edgeOptions, name string) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	result, err := repo.Render(ctx, name)
	if err != nil {
		return err
	}
	g.warn(result.Warnings)
	if result.Edge == nil {
		return noEdge(name)
	}
	files, err := edge.Files(*result.Edge)
	if err != nil {
		return err
	}
	if opts.check != "" {
		return checkEdge(g, files, opts.check)
	}
	return writeEdge(g, files, opts.outputDir)
}

func noEdge(env string) error {
	return &hint.Error{
		Err:  fmt.Errorf("env %s has no edge", env),
		Hint: "name the environment that has the stack edge, often infra",
	}
}

// writeEdge writes the files and says which.
func writeEdge(g *global, files []edge.File, dir string) error {
	to, err := render.OutputDir(g.dir, dir)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }() // nothing is written by that
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = filepath.Join(dir, filepath.FromSlash(f.Name()))
		if err := to.WriteFileMode(f.Name(), []byte(f.Content), f.Mode); err != nil {
			return err
		}
	}
	if g.output == "json" {
		return writeJSON(g.out, names)
	}
	for _, name := range names {
		fmt.Fprintln(g.out, name)
	}
	return nil
}

// checkEdge prints how the files of hosts differ from the rendered ones.
func checkEdge(g *global, files []edge.File, dir string) error {
	fetched, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = fetched.Close() }() // read only
	diffs, unread := edge.Compare(files, fetched.FS())
	if g.output == "json" {
		err = writeJSON(g.out, append([]edge.Difference{}, diffs...)) // a list, even if empty
	} else {
		for _, d := range diffs {
			fmt.Fprintf(g.out, "%s: %s: %s\n%s", d.Host, d.Path, d.Problem, d.Diff)
		}
	}
	if unread != nil {
		unread = fmt.Errorf("%s: %w", dir, unread)
	} else if err == nil && len(diffs) > 0 {
		return errDifferences
	}
	return errors.Join(err, unread)
}
