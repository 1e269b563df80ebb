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
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Cluster is a connection to one Kubernetes cluster, and all that evenkeel does
// there. It is safe for concurrent use.
type Cluster struct {
	*record.Store
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
	return &Cluster{Store: &record.Store{Client: c}, logs: logs, known: known}, nil
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
