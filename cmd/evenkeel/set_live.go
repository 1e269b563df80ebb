package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/render/edit"
)

// liveNames are what a cluster calls an app: what a pipeline knows that has said
// kubectl set image so far.
type liveNames struct {
	namespace, deployment string
	containers            []string // each CONTAINER=IMAGE
}

func (l *liveNames) add(f *pflag.FlagSet) {
	f.StringVar(&l.namespace, "namespace", "", "the namespace of the Deployment, in place of APP")
	f.StringVar(&l.deployment, "deployment", "", "the Deployment, in place of APP")
	f.StringArrayVar(&l.containers, "container", nil, "CONTAINER=IMAGE of the Deployment (repeatable)")
}

// args are the arguments of set image by the names of the source: those that were
// given, or what the names of the cluster mean.
func (l *liveNames) args(ctx context.Context, g *global, args []string) ([]string, error) {
	if l.namespace == "" && l.deployment == "" && len(l.containers) == 0 {
		if len(args) < 2 {
			return nil, &usageError{err: errors.New("name the environment and the app"), hint: "evenkeel set image ENV APP=IMAGE"}
		}
		return args, nil
	}
	const hint = "evenkeel set image [ENV] --namespace NS --deployment NAME --container CONTAINER=IMAGE"
	switch {
	case l.namespace == "" || l.deployment == "" || len(l.containers) == 0:
		return nil, &usageError{err: errors.New("--namespace, --deployment and --container belong together"), hint: hint}
	case len(args) > 1:
		return nil, &usageError{err: fmt.Errorf("%q beside --deployment", args[1]), hint: hint}
	}
	repo, err := g.repo()
	if err != nil {
		return nil, err
	}
	sel := selection{all: len(args) == 0}
	names, err := sel.names(ctx, repo, args)
	if err != nil {
		return nil, err
	}
	rendered, err := repo.RenderAll(ctx, names)
	if err != nil {
		return nil, err
	}
	d, err := edit.FindDeployment(rendered, l.namespace, l.deployment)
	if err != nil {
		return nil, err
	}
	out := []string{d.Env}
	for _, c := range l.containers {
		name, image, ok := strings.Cut(c, "=")
		if !ok || name == "" || image == "" {
			return nil, &usageError{err: fmt.Errorf("%q is not CONTAINER=IMAGE", c), hint: hint}
		}
		if _, err := d.Target(name, image); err != nil {
			return nil, err
		}
		out = append(out, d.Unit+"/"+name+"="+image)
	}
	return out, nil
}
