package managed

import (
	"slices"
	"strings"
)

// isDefault reports whether a field of a built-in kind has the value that the
// server fills in or allocates: whoever created the object by a plain create owns
// it without ever having written it. Used only to keep reports short; nothing is
// proven with it.
//
// The values are those of k8s.io/kubernetes pkg/apis/*/v*/defaults.go.
func isDefault(f ownedField) bool {
	switch v := f.value.(type) {
	case map[string]any:
		if len(v) == 0 {
			return true
		}
	case []any:
		if len(v) == 0 {
			return true
		}
	case nil:
		return true
	}
	path := f.path.Fields()
	for _, d := range serverDefaults() {
		if path != d.path && !strings.HasSuffix(path, "."+d.path) {
			continue
		}
		if d.any || slices.ContainsFunc(d.values, func(v any) bool { return Equal(v, f.value) }) {
			return true
		}
	}
	return false
}

type serverDefault struct {
	path   string // field names from the end of the path
	values []any
	any    bool // allocated: any value may be the server's
}

func serverDefaults() []serverDefault {
	is := func(path string, values ...any) serverDefault { return serverDefault{path: path, values: values} }
	allocated := func(path string) serverDefault { return serverDefault{path: path, any: true} }
	return []serverDefault{
		// Pods
		is("terminationMessagePath", "/dev/termination-log"),
		is("terminationMessagePolicy", "File"),
		is("imagePullPolicy", "IfNotPresent", "Always"),
		is("dnsPolicy", "ClusterFirst"),
		is("restartPolicy", "Always"),
		is("schedulerName", "default-scheduler"),
		is("terminationGracePeriodSeconds", int64(30)),
		is("enableServiceLinks", true),
		is("preemptionPolicy", "PreemptLowerPriority"),
		is("timeoutSeconds", int64(1), int64(10)),
		is("periodSeconds", int64(10)),
		is("successThreshold", int64(1)),
		is("failureThreshold", int64(3)),
		is("httpGet.scheme", "HTTP"),
		is("httpGet.path", "/"),
		is("grpc.service", ""),
		is("ports.protocol", "TCP"),
		is("defaultMode", int64(420)),
		is("fieldRef.apiVersion", "v1"),
		is("resourceFieldRef.divisor", "0"),
		is("expirationSeconds", int64(3600)),
		is("hostPath.type", ""),
		allocated("spec.template.spec.serviceAccount"), // alias of serviceAccountName
		allocated("template.metadata.creationTimestamp"),
		// Workloads
		is("spec.replicas", int64(1)),
		is("progressDeadlineSeconds", int64(600)),
		is("revisionHistoryLimit", int64(10)),
		is("strategy.type", "RollingUpdate"),
		is("updateStrategy.type", "RollingUpdate"),
		is("rollingUpdate.maxSurge", "25%", int64(0)),
		is("rollingUpdate.maxUnavailable", "25%", int64(1)),
		is("rollingUpdate.partition", int64(0)),
		is("podManagementPolicy", "OrderedReady"),
		is("persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain"),
		is("persistentVolumeClaimRetentionPolicy.whenScaled", "Retain"),
		is("parallelism", int64(1)),
		is("completions", int64(1)),
		is("backoffLimit", int64(6)),
		is("completionMode", "NonIndexed"),
		is("suspend", false),
		is("manualSelector", false),
		is("podReplacementPolicy", "TerminatingOrFailed"),
		is("concurrencyPolicy", "Allow"),
		is("successfulJobsHistoryLimit", int64(3)),
		is("failedJobsHistoryLimit", int64(1)),
		// Services
		is("spec.type", "ClusterIP"),
		is("sessionAffinity", "None"),
		is("internalTrafficPolicy", "Cluster"),
		is("externalTrafficPolicy", "Cluster"),
		is("allocateLoadBalancerNodePorts", true),
		allocated("spec.ipFamilies"),
		allocated("spec.ipFamilyPolicy"),
		allocated("spec.clusterIP"),
		allocated("spec.clusterIPs"),
		allocated("spec.ports.targetPort"), // the port itself
		allocated("spec.ports.nodePort"),
		allocated("spec.healthCheckNodePort"),
		// Storage
		is("volumeMode", "Filesystem"),
		allocated("spec.volumeName"),
		allocated("spec.storageClassName"),
		is("persistentVolumeReclaimPolicy", "Retain"),
		is("reclaimPolicy", "Delete"),
		is("volumeBindingMode", "Immediate"),
		is("type", "Opaque"),
		// Registrations
		is("matchPolicy", "Equivalent"),
		is("failurePolicy", "Fail"),
		is("reinvocationPolicy", "Never"),
		is("scope", "*"),
		is("conversion.strategy", "None"),
		is("roleRef.apiGroup", "rbac.authorization.k8s.io"),
		allocated("metadata.labels.kubernetes.io/metadata.name"),
		is("spec.finalizers", []any{"kubernetes"}),
		allocated("names.listKind"),
		allocated("names.singular"),
	}
}
