package kinds

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// IsNamespace reports whether an object is a Namespace.
func IsNamespace(u *unstructured.Unstructured) bool {
	return u.GroupVersionKind().GroupKind() == kschema.GroupKind{Kind: "Namespace"}
}

// IsCRD reports whether an object is a CustomResourceDefinition.
func IsCRD(u *unstructured.Unstructured) bool {
	return u.GroupVersionKind().GroupKind() == Definition()
}

// Definition is the kind of definitions.
func Definition() kschema.GroupKind {
	return kschema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
}

// Defines is the kind that a CRD defines.
func Defines(crd *unstructured.Unstructured) kschema.GroupKind {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	return kschema.GroupKind{Group: group, Kind: kind}
}

// DefinedBy is the resource of a kind whose definition an environment renders.
func DefinedBy(env *schema.Environment, gk kschema.GroupKind) (kschema.GroupResource, bool) {
	for _, o := range env.Objects() {
		if IsCRD(o.Unstructured) && Defines(o.Unstructured) == gk {
			plural, _, _ := unstructured.NestedString(o.Object, "spec", "names", "plural")
			return kschema.GroupResource{Group: gk.Group, Resource: plural}, true
		}
	}
	return kschema.GroupResource{}, false
}

// Irreplaceable are the kinds whose deletion takes data or other objects with it:
// they are never recreated, and pruned only by name.
func Irreplaceable(u *unstructured.Unstructured) bool {
	switch u.GroupVersionKind().GroupKind().String() {
	case "Namespace", "PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition.apiextensions.k8s.io":
		return true
	}
	return false
}

// IsSystemNamespace reports whether a namespace is in every cluster.
func IsSystemNamespace(name string) bool {
	return name == "default" || name == "kube-system" || name == "kube-public" || name == "kube-node-lease"
}

// Transient kinds are made by the system in every namespace, or by the pods in
// it.
func Transient(gk kschema.GroupKind) bool {
	switch gk.String() {
	case "Event", "Event.events.k8s.io", "Lease.coordination.k8s.io", "PodMetrics.metrics.k8s.io",
		"EndpointSlice.discovery.k8s.io", "Endpoints", "ControllerRevision.apps":
		return true
	}
	return false
}

// IsFurniture is what the controller manager puts into every namespace.
func IsFurniture(live *unstructured.Unstructured) bool {
	return live.GetKind() == "ConfigMap" && live.GetName() == "kube-root-ca.crt" ||
		live.GetKind() == "ServiceAccount" && live.GetName() == "default"
}
