package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
)

type initOptions struct {
	facts scaffold.Facts
	nodes []string
	edge  []string
}

func newInitCmd(g *global) *cobra.Command {
	opts := &initOptions{}
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a new repository that renders at once",
		Long: `Make a repository of environments in DIR: the facts of the site, the environment
infra and those that are named, an app to start with, a pipeline for a CI service.
What is missing is asked for on a terminal; elsewhere it has to be given as flags.
Files that are there already are kept; a DIR that holds a repository is refused.

Environments on several clusters are named with the context of theirs in the
kubeconfig, ENV@CONTEXT: each cluster has an infra of its own, infra-CONTEXT.

--from says what to start from: minimal (Traefik and one web app), od (a whole
site with Dubbo services) or cloud (Spring services on a rented cluster).`,
		Example: `  evenkeel init deploy
  evenkeel init deploy --domain example.com --harbor harbor.example.com --vip none
  evenkeel init deploy --domain example.com --harbor harbor.example.com --vip none --envs dev@office,prod-hz@hz,prod-sh@sh
  evenkeel init deploy --from od --domain example.com --harbor harbor.example.com --envs dev,prod \
      --vip 10.0.0.10 --nodes node1=10.0.0.21,node2=10.0.0.22 --dns 10.0.0.11`,
		Args: usageArgs(cobra.ExactArgs(1), "name the directory: evenkeel init DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInit(cmd.Context(), g, opts, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.facts.From, "from", scaffold.Minimal, "what to start from: minimal, od or cloud")
	flags.StringVar(&opts.facts.Domain, "domain", "", "domain of the host names, such as example.com")
	flags.StringVar(&opts.facts.Harbor, "harbor", "", "host name of the private registry")
	flags.StringVar(&opts.facts.VIP, "vip", "", "virtual address of the edge hosts, or none where a load balancer stands in front")
	flags.StringSliceVar(&opts.facts.Envs, "envs", nil, "environments beside infra (default: dev,prod), each as ENV, or ENV@CONTEXT where they are on several clusters")
	flags.StringSliceVar(&opts.nodes, "nodes", nil, "nodes of the cluster, each as name=address")
	flags.StringSliceVar(&opts.edge, "edge", nil, "edge hosts, each as name=address (default: the first two nodes)")
	flags.StringSliceVar(&opts.facts.DNS, "dns", nil, "name servers of the domain, by address")
	flags.StringSliceVar(&opts.facts.ZooKeeper, "zookeeper", nil, "with --from od, ZooKeeper servers as host:port (default: zk1 to zk3 of the domain, port 2181)")
	flags.StringVar(&opts.facts.Pods, "pods", "", "range of the pod addresses (default: one that is free)")
	flags.StringVar(&opts.facts.Services, "services", "", "range of the Service addresses (default: one that is free)")
	flags.StringVar(&opts.facts.ClusterDNS, "cluster-dns", "", "address of the cluster's DNS Service (default: the tenth of the Services)")
	flags.StringVar(&opts.facts.CI, "ci", "", "pipeline for github, gitlab, jenkins, flow, gitee, shell, or none (default: github)")
	flags.StringVar(&opts.facts.Module, "module", "", "CUE module path (default: the domain)")
	return cmd
}

func runInit(ctx context.Context, g *global, opts *initOptions, dir string) error {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(g.dir, dir)
	}
	f := &opts.facts
	switch f.From {
	case scaffold.Minimal, scaffold.Dubbo, scaffold.Cloud:
	default:
		return &hint.Error{Err: fmt.Errorf("--from %q is not known", f.From), Hint: "use minimal, od or cloud"}
	}
	var errNodes, errEdge error
	f.Nodes, errNodes = scaffold.ParseHosts(opts.nodes)
	f.Edge, errEdge = scaffold.ParseHosts(opts.edge)
	if err := errors.Join(errNodes, errEdge); err != nil {
		return err
	}
	if err := f.CheckGiven(); err != nil {
		return err
	}
	f.Context, f.Version = *g.kube.Context, installable(readVersion().Version)
	if err := completeFacts(g, f); err != nil {
		return err
	}
	if err := f.Check(); err != nil {
		return err
	}
	files, err := scaffold.Repository(*f)
	if err != nil {
		return err
	}
	kept, err := scaffold.Write(dir, files)
	if taken := (scaffold.Taken{}); errors.As(err, &taken) {
		return &hint.Error{Err: err, Hint: "name another directory; evenkeel new env adds an environment to a repository"}
	}
	if err != nil {
		return err
	}
	for _, name := range kept {
		fmt.Fprintf(g.err, "kept %s, which was there\n", filepath.Join(dir, filepath.FromSlash(name)))
	}
	repo, err := g.budgeted(render.Open(dir))
	if err != nil {
		return err
	}
	warnings, err := repo.Vet(ctx)
	g.warn(warnings)
	if err != nil {
		return err
	}
	in, cd := " in "+report.Line(dir), "  cd "+report.Line(plain.Operand(dir))+"\n"
	if dir == "." {
		in, cd = "", ""
	}
	fmt.Fprintf(g.err, "%d files%s. Read envs/facts/facts.cue, then:\n%s  evenkeel envs\n  evenkeel render %s\n", len(files)-len(kept), in, cd, f.Envs[0])
	at, err := filepath.Abs(dir)
	if _, checkout := render.Checkout(at); err == nil && !checkout { // writes to a protected environment, and diff --against, want what was committed
		fmt.Fprintf(g.err, "  git init && git add . && git commit -m \"environments of %s\"\n", f.Domain)
	}
	return nil
}

// completeFacts asks for what is missing. Where nobody can answer it is an error
// that names the flags.
func completeFacts(g *global, f *scaffold.Facts) error {
	ask := isTerminal(g.in) && isTerminal(g.err)
	in := bufio.NewReader(g.in)
	for missing := f.Missing(); len(missing) > 0; missing = f.Missing() {
		if !ask {
			var flags []string
			for _, q := range missing {
				if q.Default == "" {
					flags = append(flags, "--"+q.Flag)
					continue
				}
				if err := f.Set(q.Flag, q.Default); err != nil {
					return err
				}
			}
			if len(flags) > 0 {
				return &hint.Error{Err: fmt.Errorf("missing: %s", strings.Join(flags, ", ")), Hint: "give them as flags, or run it on a terminal"}
			}
			continue
		}
		if err := answer(g, f, missing[0], in); err != nil {
			return err
		}
	}
	return nil
}

// answer asks one question until the answer can be read.
func answer(g *global, f *scaffold.Facts, q scaffold.Question, in *bufio.Reader) error {
	prompt := strings.ToUpper(q.Text[:1]) + q.Text[1:]
	if q.Default != "" {
		prompt += " [" + q.Default + "]"
	}
	fmt.Fprintf(g.err, "%s: ", prompt)
	line, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) && line == "" {
		return &hint.Error{Err: fmt.Errorf("no answer for --%s", q.Flag)}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	line = strings.TrimSpace(line)
	if line == "" {
		line = q.Default
	}
	err = errors.New("an answer is needed; Ctrl-C ends this and writes nothing")
	if line != "" {
		err = f.Set(q.Flag, line)
	}
	if err != nil {
		fmt.Fprintln(g.err, err) // and it is asked again
	}
	return nil
}

// installable is the version for "go install": a build without one takes the
// latest.
func installable(version string) string {
	if strings.HasPrefix(version, "v") && !strings.Contains(version, "+") && !strings.HasSuffix(version, "-dirty") {
		return version
	}
	return "latest"
}

// usageArgs turns an error about the number of arguments into one with a hint.
func usageArgs(check cobra.PositionalArgs, help string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &hint.Error{Err: err, Hint: help}
		}
		return nil
	}
}
