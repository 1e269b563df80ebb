package health

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Write is the last write of an object that was not a report on it: of anything but
// its status.
type Write struct {
	// By is the field manager that wrote, At when it did.
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// lastWriter reads who wrote an object last from its managed fields. They are left
// as they come: to parse their field sets would cost more than all the rest.
func lastWriter(obj *unstructured.Unstructured) *Write {
	raw, _, _ := unstructured.NestedFieldNoCopy(obj.Object, "metadata", "managedFields")
	entries, _ := raw.([]any)
	var last *Write
	for _, item := range entries {
		entry, _ := item.(map[string]any)
		if sub, _ := entry["subresource"].(string); sub == "status" {
			continue
		}
		text, _ := entry["time"].(string)
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || last != nil && at.Before(last.At) {
			continue
		}
		by, _ := entry["manager"].(string)
		last = &Write{By: by, At: at}
	}
	return last
}

// PodCause says whether a pod is ready, and if it is not, why, as far as the pod
// itself tells.
func PodCause(pod *corev1.Pod, now time.Time) (isReady bool, cause string) {
	if ready(pod) || pod.Status.Phase == corev1.PodSucceeded {
		return true, ""
	}
	if pod.DeletionTimestamp != nil {
		return false, "is being deleted"
	}
	c, ok := podCause(pod, Related{}, now)
	switch {
	case ok:
		return false, c.text
	case pod.Spec.NodeName == "":
		return false, "waiting to be scheduled"
	}
	return false, "starting"
}
