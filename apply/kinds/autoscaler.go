package kinds

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Autoscaled lists the objects whose replicas an autoscaler of the environment
// decides, as Kind/namespace/name.
func Autoscaled(env *schema.Environment) map[string]bool {
	targets := map[string]bool{}
	for _, obj := range env.Objects() {
		switch obj.GroupVersionKind().GroupKind().String() {
		case "HorizontalPodAutoscaler.autoscaling", "ScaledObject.keda.sh":
			targets[ScaleTarget(obj.Unstructured).String()] = true
		}
	}
	return targets
}

// ScaleTarget is what an autoscaler scales.
func ScaleTarget(scaler *unstructured.Unstructured) schema.Ref {
	kind, _, _ := unstructured.NestedString(scaler.Object, "spec", "scaleTargetRef", "kind")
	name, _, _ := unstructured.NestedString(scaler.Object, "spec", "scaleTargetRef", "name")
	if kind == "" {
		kind = "Deployment" // the default of a ScaledObject
	}
	return schema.Ref{Kind: kind, Namespace: scaler.GetNamespace(), Name: name}
}
