package kinds

// A unit's objects are written in waves, each when the one before it has ended;
// inside a wave all are written side by side. What is not named belongs to
// WaveCustom: a custom resource's controller may be a workload of the same unit.
const (
	WaveNamespace = iota
	WaveDefinition
	WaveAccount // who may do what, and how much
	WaveBinding // rights that name accounts and roles; what workloads read
	WaveService
	WaveWorkload
	WaveCustom
	WaveEntry   // what leads traffic to the workloads
	WaveWebhook // last: one that is not answered yet would stop the others
)

// Wave is the wave of a kind.
func Wave(kind string) int {
	switch kind {
	case "Namespace":
		return WaveNamespace
	case "CustomResourceDefinition":
		return WaveDefinition
	case "ServiceAccount", "ClusterRole", "Role", "PriorityClass", "StorageClass", "RuntimeClass", "ResourceQuota", "LimitRange":
		return WaveAccount
	case "ClusterRoleBinding", "RoleBinding", "ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim", "NetworkPolicy":
		return WaveBinding
	case "Service", "Endpoints", "EndpointSlice":
		return WaveService
	case "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Pod", "Job", "CronJob",
		"HorizontalPodAutoscaler", "PodDisruptionBudget":
		return WaveWorkload
	case "IngressClass", "Ingress", "APIService":
		return WaveEntry
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding":
		return WaveWebhook
	}
	return WaveCustom
}
