package record

import (
	"context"
	"fmt"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// IdentityOf is the identity of a cluster that an environment may be compared
// with: another one than it is pinned to is Refused.
func (c *Store) IdentityOf(ctx context.Context, env *schema.Environment) (schema.Cluster, error) {
	is, err := c.Identity(ctx)
	if err != nil {
		return is, err
	}
	pin := env.Cluster
	switch {
	case pin.UID != "" && is.UID != "" && pin.UID != is.UID:
		return is, &hint.Refused{
			Reason: fmt.Sprintf("environment %s is pinned to the cluster %s, this one is %s (%s)", env.Name, pin.UID, is.UID, is.Server),
			Hints:  []string{"check the kubeconfig context", "evenkeel pin " + env.Name + " prints the pin of this cluster"},
		}
	case pin.Server != "" && pin.Server != is.Server:
		return is, &hint.Refused{
			Reason: fmt.Sprintf("environment %s is pinned to the API server %s, this one is %s", env.Name, pin.Server, is.Server),
			Hints:  []string{"check the kubeconfig context"},
		}
	case pin.UID != "" && is.UID == "" && pin.Server == "":
		return is, &hint.Refused{
			Reason: fmt.Sprintf("environment %s is pinned to the cluster %s, and the rights do not allow to see which cluster this is", env.Name, pin.UID),
			Hints:  []string{"allow get on namespaces/kube-system, or pin the server's URL"},
		}
	}
	return is, nil
}

// ConfigMaps is their resource.
func ConfigMaps() kschema.GroupVersionResource {
	return kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
}

func secretResource() kschema.GroupVersionResource {
	return kschema.GroupVersionResource{Version: "v1", Resource: "secrets"}
}
