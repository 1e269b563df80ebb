package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/typed"
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
	d, err := findDeployment(rendered, l.namespace, l.deployment)
	if err != nil {
		return nil, err
	}
	out := []string{d.env}
	for _, c := range l.containers {
		name, image, ok := strings.Cut(c, "=")
		if !ok || name == "" || image == "" {
			return nil, &usageError{err: fmt.Errorf("%q is not CONTAINER=IMAGE", c), hint: hint}
		}
		if !slices.Contains(d.containers, name) {
			return nil, unknownName(fmt.Sprintf("Deployment/%s/%s has no container %q", l.namespace, l.deployment, name), name, d.containers)
		}
		out = append(out, d.unit+"/"+name+"="+image)
	}
	return out, nil
}

// renderedDeployment is a Deployment that an environment renders.
type renderedDeployment struct {
	env, unit, namespace, name string
	containers                 []string
}

// findDeployment is the one Deployment of these names.
func findDeployment(rendered []*render.Result, namespace, name string) (*renderedDeployment, error) {
	var found []renderedDeployment
	var namespaces, others []string
	for _, d := range deploymentsOf(rendered) {
		namespaces = append(namespaces, d.namespace)
		switch {
		case d.namespace == namespace && d.name == name:
			found = append(found, d)
		case d.namespace == namespace:
			others = append(others, d.name)
		}
	}
	switch {
	case len(found) == 1:
		return &found[0], nil
	case len(found) > 1:
		var envs []string
		for _, d := range found {
			envs = append(envs, d.env)
		}
		return nil, &usageError{
			err:  fmt.Errorf("several environments have Deployment/%s/%s: %s", namespace, name, strings.Join(envs, ", ")),
			hint: "name one: evenkeel set image " + envs[0] + " --namespace " + namespace + " ...",
		}
	case slices.Contains(namespaces, namespace):
		return nil, unknownName(fmt.Sprintf("no Deployment %q in namespace %s", name, namespace), name, others)
	}
	return nil, unknownName(fmt.Sprintf("no Deployment in a namespace %q", namespace), namespace, namespaces)
}

func deploymentsOf(rendered []*render.Result) []renderedDeployment {
	var all []renderedDeployment
	for _, res := range rendered {
		for unit, o := range res.Env.Objects() {
			if o.GetKind() != "Deployment" || o.GroupVersionKind().Group != "apps" {
				continue
			}
			d := renderedDeployment{env: res.Env.Name, unit: unit, namespace: o.GetNamespace(), name: o.GetName()}
			for _, list := range []string{"containers", "initContainers"} {
				containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", list)
				for _, c := range containers {
					if c, ok := c.(map[string]any); ok {
						d.containers = append(d.containers, fmt.Sprint(c["name"]))
					}
				}
			}
			all = append(all, d)
		}
	}
	return all
}

// unknownName says what there is in place of a name.
func unknownName(message, name string, known []string) error {
	known = slices.Compact(slices.Sorted(slices.Values(known)))
	if near := typed.Closest(name, known); near != "" {
		return &usageError{err: errors.New(message), hint: fmt.Sprintf("did you mean %q?", near)}
	}
	return &usageError{err: errors.New(message), hint: "there are: " + strings.Join(known, ", ")}
}
