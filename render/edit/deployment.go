package edit

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
)

// Deployment is a Deployment that an environment renders: what a pipeline knows of an
// app that has called kubectl set image so far.
type Deployment struct {
	Env, Unit       string
	Namespace, Name string
	Containers      []string          // init containers among them
	Images          map[string]string // of the containers, as rendered
}

// FindDeployment is the one Deployment of these names in rendered environments.
func FindDeployment(rendered []*render.Result, namespace, name string) (*Deployment, error) {
	var found []Deployment
	var namespaces, others []string
	for _, d := range deploymentsOf(rendered) {
		namespaces = append(namespaces, d.Namespace)
		switch {
		case d.Namespace == namespace && d.Name == name:
			found = append(found, d)
		case d.Namespace == namespace:
			others = append(others, d.Name)
		}
	}
	switch {
	case len(found) == 1:
		return &found[0], nil
	case len(found) > 1:
		var envs []string
		for _, d := range found {
			envs = append(envs, d.Env)
		}
		return nil, &hint.Error{
			Err:  fmt.Errorf("several environments have Deployment/%s/%s: %s", namespace, name, strings.Join(envs, ", ")),
			Hint: "name one: evenkeel set image " + envs[0] + " --namespace " + namespace + " ...",
		}
	case slices.Contains(namespaces, namespace):
		return nil, unknownLive(fmt.Sprintf("no Deployment %q in namespace %s", name, namespace), name, others)
	}
	return nil, unknownLive(fmt.Sprintf("no Deployment in a namespace %q", namespace), namespace, namespaces)
}

// Target is a container of the Deployment by its name, and the image that it is to
// have.
func (d *Deployment) Target(container, image string) (Target, error) {
	if !slices.Contains(d.Containers, container) {
		return Target{}, unknownLive(fmt.Sprintf("Deployment/%s/%s has no container %q", d.Namespace, d.Name, container), container, d.Containers)
	}
	return Target{Unit: d.Unit, Container: container, Runs: d.Images[container], To: image}, nil
}

func unknownLive(reason, name string, known []string) error {
	return unknownName(reason, name, slices.Compact(slices.Sorted(slices.Values(known))))
}

func deploymentsOf(rendered []*render.Result) []Deployment {
	var all []Deployment
	for _, res := range rendered {
		for unit, o := range res.Env.Objects() {
			if o.GetKind() != "Deployment" || o.GroupVersionKind().Group != "apps" {
				continue
			}
			d := Deployment{Env: res.Env.Name, Unit: unit, Namespace: o.GetNamespace(), Name: o.GetName(), Images: map[string]string{}}
			for _, list := range []string{"containers", "initContainers"} {
				containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", list)
				for _, c := range containers {
					if c, ok := c.(map[string]any); ok {
						name := fmt.Sprint(c["name"])
						d.Containers = append(d.Containers, name)
						d.Images[name] = fmt.Sprint(c["image"])
					}
				}
			}
			all = append(all, d)
		}
	}
	return all
}
