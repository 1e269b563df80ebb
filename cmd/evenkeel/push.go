package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/render/handover"
)

type pushOptions struct {
	secrets   string
	source    string
	plainHTTP bool
}

// pushed is what push prints as JSON.
type pushed struct {
	Environment string    `json:"environment"`
	URL         string    `json:"url"` // with tag
	Digest      string    `json:"digest"`
	Source      string    `json:"source"`
	Revision    string    `json:"revision"`
	Created     time.Time `json:"created"`
	Objects     int       `json:"objects"`
	Omitted     int       `json:"omitted"` // objects with secret values, left out
}

func newPushCmd(g *global) *cobra.Command {
	opts := &pushOptions{}
	cmd := &cobra.Command{
		Use:   "push ENV oci://REPOSITORY[:TAG]",
		Short: "Push the manifests of an environment to a registry, for Flux or Argo CD",
		Long: `Render an environment and push its manifests as an OCI artifact that Flux and
Argo CD read (media types application/vnd.cncf.flux.*), one file per unit. The
same commit gives the same digest, whoever pushes it and when. Without a tag it
is "latest". The address with the digest is printed.

Secrets are left out, and said so; --secrets include packs them, for a registry
that only those may read who may read the Secrets. Credentials are those of the
Docker configuration (docker login, or DOCKER_CONFIG).`,
		Example: `  evenkeel push prod oci://harbor.od.com/deploy/prod
  evenkeel push prod oci://harbor.od.com/deploy/prod:$(git rev-parse --short HEAD)
  evenkeel push dev oci://localhost:5000/dev --plain-http -o json`,
		Args:              usageArgs(cobra.ExactArgs(2), "name an environment and where to: evenkeel push ENV oci://REPOSITORY"),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	f := cmd.Flags()
	f.StringVar(&opts.secrets, "secrets", "omit", "Secrets in the artifact: include or omit")
	f.StringVar(&opts.source, "source", "", "where the sources are, for the artifact's annotation (default: the git remote origin)")
	f.BoolVar(&opts.plainHTTP, "plain-http", false, "allow a registry without TLS")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runPush(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runPush(ctx context.Context, g *global, opts *pushOptions, args []string) error {
	to, ok := strings.CutPrefix(args[1], "oci://")
	if !ok {
		return &hint.Error{Err: fmt.Errorf("%q is no OCI repository", args[1]), Hint: "write oci://REPOSITORY[:TAG]"}
	}
	if host, _, _ := strings.Cut(to, "/"); strings.Contains(host, "@") {
		return &hint.Error{Err: errors.New("there are credentials before the name of the registry"), Hint: "log in to it (docker login), and write oci://REPOSITORY[:TAG]"}
	}
	if opts.secrets != "include" && opts.secrets != "omit" {
		return &hint.Error{Err: fmt.Errorf("--secrets %q is not known", opts.secrets), Hint: "use include or omit"}
	}
	renderEnvs := g.renderAll
	if opts.secrets == "include" {
		renderEnvs = g.renderUnsealed
	}
	envs, err := renderEnvs(ctx, &selection{}, args[:1])
	if err != nil {
		return err
	}
	env := envs[0]
	repo, err := g.repo()
	if err != nil {
		return err
	}
	origin, err := checkout.OriginOf(repo.Root())
	if errors.Is(err, checkout.ErrNoCommit) {
		return &hint.Error{Err: err, Hint: "commit first: the artifact names the commit that it is made of"}
	}
	if err != nil {
		return err
	}
	if opts.source != "" {
		origin.URL = opts.source
	}
	if origin.Dirty {
		fmt.Fprintf(g.err, "env %s: the working tree is not what is committed: the revision ends in -dirty\n", env.Name)
	}
	out := render.OutputOptions{Secrets: opts.secrets == "include"}
	secrets, marked := out.Omitted(env)
	result := pushed{
		Environment: env.Name, Source: origin.URL, Revision: handover.Revision(origin), Created: origin.Time.UTC(), Omitted: secrets + len(marked),
	}
	for i := range env.Units {
		result.Objects += len(env.Units[i].Objects)
	}
	result.Objects -= result.Omitted
	image, err := handover.Artifact(env, out, origin)
	if err != nil {
		return fmt.Errorf("env %s: %w", env.Name, err)
	}
	url, digest, err := handover.Push(ctx, image, to, opts.plainHTTP)
	if err != nil {
		return fmt.Errorf("env %s: push to %s: %w", env.Name, args[1], err)
	}
	result.URL, result.Digest = "oci://"+url, digest
	if result.Omitted > 0 {
		fmt.Fprintf(g.err, "env %s: left out %s (--secrets include packs them)\n", env.Name, leftOut(secrets, marked))
	}
	if g.output == "json" {
		return writeJSON(g.out, result)
	}
	fmt.Fprintf(g.out, "%s@%s\n", result.URL, result.Digest)
	return nil
}
