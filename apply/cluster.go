package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Cluster is a connection to one Kubernetes cluster, and all that evenkeel does
// there. It is safe for concurrent use.
type Cluster struct {
	*kube.Client
	logs  health.LogReader
	known *mask.Redactor // of secret values, which no error of the API repeats
}

// Connect makes a client for one cluster and sends nothing yet.
func Connect(cfg *rest.Config) (*Cluster, error) {
	known := &mask.Redactor{}
	c, err := kube.Connect(cfg, known)
	if err != nil {
		return nil, err
	}
	logs, err := health.PodLogs(c.Config, c.HTTP)
	if err != nil {
		return nil, err
	}
	return &Cluster{Client: c, logs: logs, known: known}, nil
}

// identityOf is the identity of a cluster that an environment may be compared
// with: another one than it is pinned to is Refused.
func (c *Cluster) identityOf(ctx context.Context, env *schema.Environment) (schema.Cluster, error) {
	is, err := c.Identity(ctx)
	if err != nil {
		return is, err
	}
	pin := env.Cluster
	switch {
	case pin.UID != "" && is.UID != "" && pin.UID != is.UID:
		return is, &Refused{
			Reason: fmt.Sprintf("environment %s is pinned to the cluster %s, this one is %s (%s)", env.Name, pin.UID, is.UID, is.Server),
			Hints:  []string{"check the kubeconfig context", "evenkeel pin " + env.Name + " prints the pin of this cluster"},
		}
	case pin.Server != "" && pin.Server != is.Server:
		return is, &Refused{
			Reason: fmt.Sprintf("environment %s is pinned to the API server %s, this one is %s", env.Name, pin.Server, is.Server),
			Hints:  []string{"check the kubeconfig context"},
		}
	case pin.UID != "" && is.UID == "" && pin.Server == "":
		return is, &Refused{
			Reason: fmt.Sprintf("environment %s is pinned to the cluster %s, and the rights do not allow to see which cluster this is", env.Name, pin.UID),
			Hints:  []string{"allow get on namespaces/kube-system, or pin the server's URL"},
		}
	}
	return is, nil
}

// Learn makes the secret values of an environment known, before anything of it is
// read.
func (c *Cluster) Learn(env *schema.Environment) { c.known.Learn(env) }

// Hide takes the values of Secrets that are known of the environments that were
// looked at out of a text of others.
func (c *Cluster) Hide(text string) string { return c.known.Text(text) }

// resource is the resource of an object's kind; for a kind that the server does
// not serve yet it is read from the environment's definition.
func (c *Cluster) resource(ctx context.Context, env *schema.Environment, ref schema.Ref) (kschema.GroupResource, error) {
	gvk := ref.GVK()
	mapping, err := c.Mapping(ctx, gvk)
	if err == nil {
		return mapping.Resource.GroupResource(), nil
	}
	if !meta.IsNoMatchError(err) {
		return kschema.GroupResource{}, err
	}
	if resource, ok := kinds.DefinedBy(env, gvk.GroupKind()); ok {
		return resource, nil
	}
	return kschema.GroupResource{}, fmt.Errorf("%s: %w", ref, err)
}

func configMapResource() kschema.GroupVersionResource {
	return kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
}

func secretResource() kschema.GroupVersionResource {
	return kschema.GroupVersionResource{Version: "v1", Resource: "secrets"}
}
