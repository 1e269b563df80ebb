package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// global holds the streams and the flags that every command has.
type global struct {
	streams
	dir     string
	output  string
	color   string
	verbose bool
	budget  budgetFlags
	kube    *genericclioptions.ConfigFlags
}

// warn tells what does not stand in the way.
func (g *global) warn(warnings render.Findings) {
	for _, w := range warnings {
		fmt.Fprintln(g.err, "warning:", w)
	}
}

func newGlobal(s streams) *global {
	kube := genericclioptions.NewConfigFlags(false)
	kube.Namespace = nil // an environment names its namespace
	kube.CacheDir = nil  // nothing is kept on disk
	return &global{streams: s, kube: kube}
}

func (g *global) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&g.dir, "dir", "C", ".", "the repository, or a directory below it")
	flags.StringVar(&g.color, "color", "auto", "colour the output: auto, always or never")
	flags.BoolVarP(&g.verbose, "verbose", "v", false, "say more: API requests and durations")
	g.budget.addFlags(flags)
	g.kube.AddFlags(flags)
}

// addOutput gives a command its -o flag with the formats that it knows, the
// first of which is the default.
func (g *global) addOutput(cmd *cobra.Command, formats ...string) {
	output := cmd.Flags().StringP("output", "o", formats[0], "output format: "+strings.Join(formats, ", "))
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains(formats, *output) {
			return &hint.Error{
				Err:  fmt.Errorf("output format %q is not known to %s", *output, cmd.CommandPath()),
				Hint: "use one of " + strings.Join(formats, ", "),
			}
		}
		g.output = *output
		return nil
	}
}

// repo opens the repository that -C names.
func (g *global) repo() (*render.Repo, error) { return g.budgeted(render.Open(g.dir)) }

// budgeted gives an opened repository the budget of the flags.
func (g *global) budgeted(repo *render.Repo, err error) (*render.Repo, error) {
	if missing, ok := errors.AsType[render.NotRepo](err); ok {
		return nil, &hint.Error{Err: missing, Hint: "go into a repository, name one with -C DIR, or make one: evenkeel init DIR"}
	}
	if err != nil {
		return nil, err
	}
	budget.PrepareProcess()
	repo.Budget, err = g.budget.budget()
	repo.Renderings.LastWords = lastWords("")
	return repo, err
}

// lastWords are the error of a rendering that the system ends, behind where that is.
func lastWords(where string) func(*budget.Over) string {
	return func(over *budget.Over) string {
		var b strings.Builder
		printError(newCleaner(&b, inCI()), fmt.Errorf("%s%w", where, over))
		return b.String()
	}
}

// cluster connects to the cluster of an environment. The --context flag wins
// over the context that the environment names. In a pod without a kubeconfig it is
// the cluster of the pod.
func (g *global) cluster(target schema.Cluster) (*apply.Cluster, error) {
	if *g.kube.Context == "" && !g.inPod() {
		*g.kube.Context = target.Context
		defer func() { *g.kube.Context = "" }()
	}
	cfg, err := g.kube.ToRESTConfig()
	if err != nil {
		return nil, &hint.Error{Err: err, Hint: "name a kubeconfig with --kubeconfig or KUBECONFIG, a context with --context"}
	}
	return apply.Connect(cfg)
}

// inPod reports whether this is a pod, and no kubeconfig names other clusters. A
// context that the environment names would hide the account of the pod.
func (g *global) inPod() bool {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return false
	}
	config, err := g.kube.ToRawKubeConfigLoader().RawConfig()
	return err == nil && clientcmdapi.IsConfigEmpty(&config)
}

// colored says whether output to w is coloured: only a terminal's is, NO_COLOR
// (no-color.org) and --color decide.
func (g *global) colored(w io.Writer) bool {
	switch g.color {
	case "always":
		return true
	case "never":
		return false
	}
	return os.Getenv("NO_COLOR") == "" && isTerminal(w)
}

// isTerminal says whether a stream is a terminal that understands cursor moves.
func isTerminal(stream any) bool {
	if w, ok := stream.(io.Writer); ok {
		stream = uncleaned(w)
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}
