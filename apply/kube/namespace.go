package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

// Everything reads all objects of a namespace, as EachOf sees them, and fails where they
// take more memory than anybody expects.
func (c *Client) Everything(ctx context.Context, namespace string) (objs []*unstructured.Unstructured, skipped []string, err error) {
	left := int64(mostOfNamespace)
	skipped, err = c.EachOf(ctx, namespace, func(live *unstructured.Unstructured) error {
		if left -= paging.Weight(live.Object); left < 0 {
			return fmt.Errorf("what the namespace holds takes more than %d MiB: look for large objects", mostOfNamespace>>20)
		}
		objs = append(objs, live)
		return nil
	})
	return objs, skipped, err
}

// mostOfNamespace bounds what the objects of a namespace may take, as paging.Weight counts.
const mostOfNamespace = 256 << 20

// EachOf calls do with the Namespace and with each object in it, of every kind that can be
// listed; what the cluster makes by the thousand (Events, Leases, endpoints) is passed
// over. Kinds that may not be listed come back as skipped, by resource. What do does not
// keep is forgotten.
func (c *Client) EachOf(ctx context.Context, namespace string, do func(*unstructured.Unstructured) error) (skipped []string, err error) {
	ns, err := c.Dynamic.Resource(Namespaces()).Get(ctx, namespace, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", namespace, err)
	}
	if err := do(ns); err != nil {
		return nil, err
	}
	lists, err := discovery.ServerPreferredNamespacedResourcesWithContext(ctx, c.Discovery)
	if err != nil && len(lists) == 0 {
		return nil, err
	}
	var partly *discovery.ErrGroupDiscoveryFailed
	if err != nil && !errors.As(err, &partly) {
		return nil, err
	}
	for _, l := range lists {
		gv, err := kschema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range l.APIResources {
			if !slices.Contains(r.Verbs, "list") || made(gv.Group, r.Name) {
				continue
			}
			err := Each(ctx, c.Dynamic.Resource(gv.WithResource(r.Name)).Namespace(namespace), metav1.ListOptions{}, func(live *unstructured.Unstructured) (bool, error) {
				return true, do(live)
			})
			switch {
			case apierrors.IsForbidden(err), apierrors.IsMethodNotSupported(err), apierrors.IsNotFound(err):
				skipped = append(skipped, gv.WithResource(r.Name).GroupResource().String())
			case err != nil:
				return nil, fmt.Errorf("list %s in namespace %s: %w", r.Name, namespace, err)
			}
		}
	}
	return skipped, nil
}

// made are the resources that only the cluster writes.
func made(group, resource string) bool {
	switch resource {
	case "events", "endpoints", "endpointslices", "leases", "controllerrevisions", "replicasets":
		return true
	}
	return group == "metrics.k8s.io"
}
