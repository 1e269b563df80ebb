package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
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

func (l *liveNames) given() bool {
	return l.namespace != "" || l.deployment != "" || len(l.containers) > 0
}

// targets are what the names of the cluster mean in the source, and the environment
// that has them: args name it, or it is the only one.
func (l *liveNames) targets(ctx context.Context, g *global, args []string) (env string, targets []edit.Target, err error) {
	const help = "evenkeel set image [ENV] --namespace NS --deployment NAME --container CONTAINER=IMAGE"
	switch {
	case l.namespace == "" || l.deployment == "" || len(l.containers) == 0:
		return "", nil, &hint.Error{Err: errors.New("--namespace, --deployment and --container belong together"), Hint: help}
	case len(args) > 1:
		return "", nil, &hint.Error{Err: fmt.Errorf("%q beside --deployment", args[1]), Hint: help}
	}
	repo, err := g.repo()
	if err != nil {
		return "", nil, err
	}
	sel := selection{all: len(args) == 0}
	names, err := sel.names(ctx, repo, args)
	if err != nil {
		return "", nil, err
	}
	rendered, err := repo.RenderAll(ctx, names)
	if err != nil {
		return "", nil, err
	}
	d, err := edit.FindDeployment(rendered, l.namespace, l.deployment)
	if err != nil {
		return "", nil, err
	}
	for _, c := range l.containers {
		name, image, ok := strings.Cut(c, "=")
		if !ok || name == "" || image == "" {
			return "", nil, &hint.Error{Err: fmt.Errorf("%q is not CONTAINER=IMAGE", c), Hint: help}
		}
		target, err := d.Target(name, image)
		if err != nil {
			return "", nil, err
		}
		targets = append(targets, target)
	}
	return d.Env, targets, nil
}
