package kinds

import kschema "k8s.io/apimachinery/pkg/runtime/schema"

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

// Wave is the wave of a kind. A kind of another group that bears the name of one of
// these, as Knative's Service, is a custom resource.
func Wave(gk kschema.GroupKind) int {
	switch gk.String() {
	case "Namespace":
		return WaveNamespace
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return WaveDefinition
	case "ServiceAccount", "ClusterRole.rbac.authorization.k8s.io", "Role.rbac.authorization.k8s.io",
		"PriorityClass.scheduling.k8s.io", "StorageClass.storage.k8s.io", "RuntimeClass.node.k8s.io", "ResourceQuota", "LimitRange":
		return WaveAccount
	case "ClusterRoleBinding.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io",
		"ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim", "NetworkPolicy.networking.k8s.io":
		return WaveBinding
	case "Service", "Endpoints", "EndpointSlice.discovery.k8s.io":
		return WaveService
	case "Deployment.apps", "DaemonSet.apps", "StatefulSet.apps", "ReplicaSet.apps", "ReplicationController", "Pod", "Job.batch", "CronJob.batch",
		"HorizontalPodAutoscaler.autoscaling", "PodDisruptionBudget.policy":
		return WaveWorkload
	case "IngressClass.networking.k8s.io", "Ingress.networking.k8s.io", "APIService.apiregistration.k8s.io":
		return WaveEntry
	}
	if gk.Group == "admissionregistration.k8s.io" {
		return WaveWebhook
	}
	return WaveCustom
}
