package apply

import (
	"cmp"
	"slices"
)

// A unit's objects are written in waves, each when the one before it has ended;
// inside a wave all are written side by side. What is not named belongs to
// waveCustom: a custom resource's controller may be a workload of the same unit.
const (
	waveNamespace = iota
	waveDefinition
	waveAccount // who may do what, and how much
	waveBinding // rights that name accounts and roles; what workloads read
	waveService
	waveWorkload
	waveCustom
	waveEntry   // what leads traffic to the workloads
	waveWebhook // last: one that is not answered yet would stop the others
)

// waveOf is the wave of a kind.
func waveOf(kind string) int {
	switch kind {
	case "Namespace":
		return waveNamespace
	case "CustomResourceDefinition":
		return waveDefinition
	case "ServiceAccount", "ClusterRole", "Role", "PriorityClass", "StorageClass", "RuntimeClass", "ResourceQuota", "LimitRange":
		return waveAccount
	case "ClusterRoleBinding", "RoleBinding", "ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim", "NetworkPolicy":
		return waveBinding
	case "Service", "Endpoints", "EndpointSlice":
		return waveService
	case "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Pod", "Job", "CronJob",
		"HorizontalPodAutoscaler", "PodDisruptionBudget":
		return waveWorkload
	case "IngressClass", "Ingress", "APIService":
		return waveEntry
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding":
		return waveWebhook
	}
	return waveCustom
}

// waves groups changes by wave, in the order of writing.
func waves(changes []*Change) [][]*Change {
	sorted := slices.Clone(changes)
	slices.SortStableFunc(sorted, func(a, b *Change) int { return cmp.Compare(waveOf(a.Kind), waveOf(b.Kind)) })
	var out [][]*Change
	for i, change := range sorted {
		if i == 0 || waveOf(change.Kind) != waveOf(sorted[i-1].Kind) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], change)
	}
	return out
}
