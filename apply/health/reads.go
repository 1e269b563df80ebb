package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Reads is what waiting for the health of an object reads.
type Reads struct {
	// Watched says that its kind is listed and watched; not so where to exist is
	// all that an object can do.
	Watched bool
	// Status says that the status subresource may be asked for.
	Status bool
	// Explained are the resources of its namespace, and Cluster those of the
	// cluster, that are listed and watched while it is not healthy.
	Explained, Cluster []schema.GroupResource
	// Logs says that the logs of crashed pods in its namespace are read.
	Logs bool
}

// ReadsOf says what waiting for the health of obj reads; declared says that it
// has a rule of its own.
func ReadsOf(obj *unstructured.Unstructured, declared bool) Reads {
	gk := obj.GroupVersionKind().GroupKind()
	if !declared && static(gk) {
		return Reads{}
	}
	_, known := builtin(gk)
	_, tabled := ruleOf(gk)
	r := Reads{Watched: true, Status: !declared && !known && !tabled, Logs: gk.String() == "Pod"}
	for _, key := range relatedStreams(gk, obj.GetNamespace()) {
		if key.namespace == "" {
			r.Cluster = append(r.Cluster, key.GroupResource())
			continue
		}
		r.Explained = append(r.Explained, key.GroupResource())
		r.Logs = r.Logs || key.GroupVersionResource == podsResource() && gk.Kind != "PersistentVolumeClaim"
	}
	if r.Logs && withClaims(obj) {
		r.Explained = append(r.Explained, claimsResource().GroupResource())
	}
	return r
}

// withClaims reports whether the pods of a workload mount claims.
func withClaims(obj *unstructured.Unstructured) bool {
	if templates, _, _ := unstructured.NestedSlice(obj.Object, "spec", "volumeClaimTemplates"); len(templates) > 0 {
		return true
	}
	volumes, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "volumes")
	if obj.GetKind() == "Pod" {
		volumes, _, _ = unstructured.NestedSlice(obj.Object, "spec", "volumes")
	}
	for _, v := range volumes {
		if volume, _ := v.(map[string]any); volume["persistentVolumeClaim"] != nil {
			return true
		}
	}
	return false
}
