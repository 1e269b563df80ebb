package apply

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// autoscaled lists the objects whose replicas an autoscaler of the environment
// decides, by apiGroup-free reference: Kind/namespace/name.
func autoscaled(env *schema.Environment) map[string]bool {
	targets := map[string]bool{}
	for i := range env.Units {
		for _, obj := range env.Units[i].Objects {
			switch obj.GroupVersionKind().GroupKind().String() {
			case "HorizontalPodAutoscaler.autoscaling", "ScaledObject.keda.sh":
			default:
				continue
			}
			kind, _, _ := unstructured.NestedString(obj.Object, "spec", "scaleTargetRef", "kind")
			name, _, _ := unstructured.NestedString(obj.Object, "spec", "scaleTargetRef", "name")
			if kind == "" {
				kind = "Deployment" // the default of a ScaledObject
			}
			targets[ObjectRef{Kind: kind, Namespace: obj.GetNamespace(), Name: name}.String()] = true
		}
	}
	return targets
}

// replicasPointer is the field that autoscalers write through the scale
// subresource of every built-in workload.
const replicasPointer = "/spec/replicas"

// handsOver reports whether this apply stops rendering replicas that are still
// ours alone while an autoscaler of the environment takes over: plain server-side
// apply would reset them to 1 for a moment.
func handsOver(desired, live *unstructured.Unstructured, targets map[string]bool) bool {
	if !targets[refOf(desired).String()] {
		return false
	}
	if _, rendered, _ := unstructured.NestedFieldNoCopy(desired.Object, "spec", "replicas"); rendered {
		return false
	}
	spec, _ := child(ourApply(managedFields(live)), "f:spec")
	_, ours := child(spec, "f:replicas")
	return ours
}
