package managed

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Foreign lists what others added to a live object beside the fields that
// desired sets: those are drift if they differ. Left out is what is no news:
// status, what the system's own components and the environment's controllers
// write, values that the server would fill in anyway, and what adoption removes.
// result, where not nil, is the answer to a dry-run: what that makes our own is not
// foreign either.
func Foreign(desired, live, result *unstructured.Unstructured, controllers []string, adoption bool) []Field {
	var ours []node
	if result != nil {
		ours = append(ours, ourApply(entriesOf(result)))
	}
	entries := entriesOf(live)
	for i := range entries {
		if entries[i].isOurs() {
			ours = append(ours, entries[i].fields)
		}
	}
	builtin := IsBuiltin(live.GroupVersionKind().Group)
	var fields []Field
	for i := range entries {
		e := &entries[i]
		if e.isOurs() || e.subresource == "status" || isSystem(e.manager) ||
			slices.Contains(controllers, e.manager) || adoption && migrates(live, e) {
			continue
		}
		for _, f := range ownedBeside(e.fields, live.Object, ours...) {
			if isNoise(f.path) || builtin && isDefault(f) || f.path.in(desired.Object) {
				continue
			}
			fields = append(fields, Field{Path: f.path.String(), From: f.value, By: e.manager, At: e.at})
		}
	}
	sortFields(fields)
	return slices.CompactFunc(fields, func(a, b Field) bool { return a.Path == b.Path && a.By == b.By })
}

// isSystem names the components of Kubernetes itself: what they add is their job.
func isSystem(manager string) bool {
	switch manager {
	case "kube-controller-manager", "kube-scheduler", "kube-apiserver", "kubelet",
		"cloud-controller-manager", "apiserver", "service-controller", "clusterrole-aggregation-controller":
		return true
	}
	return strings.HasSuffix(manager, "cloud-controller-manager")
}

// isNoise holds for paths that change without anybody deciding so.
func isNoise(p Path) bool {
	if len(p) == 0 {
		return true
	}
	if p[0].name == "status" {
		return true
	}
	last := p[len(p)-1]
	if strings.HasPrefix(last.name, "deployment.kubernetes.io/") || last.name == "kubectl.kubernetes.io/restartedAt" ||
		last.name == corev1.LastAppliedConfigAnnotation {
		return true
	}
	if len(p) > 1 && p[0].name == "metadata" {
		switch p[1].name {
		case "finalizers":
			return strings.Contains(last.item, "service.kubernetes.io/load-balancer-cleanup") ||
				strings.Contains(last.item, "kubernetes.io/pvc-protection") ||
				strings.Contains(last.item, "kubernetes.io/pv-protection") ||
				strings.Contains(last.item, "foregroundDeletion")
		case "name", "namespace", "generateName":
			return true
		}
	}
	return false
}

// IsBuiltin reports whether a group is served by the API server itself: the defaults
// of its kinds are known, and it needs no controller of anybody to end one. Others end
// in .k8s.io too, such as gateway.networking.k8s.io: they come with CRDs.
func IsBuiltin(group string) bool {
	switch group {
	case "", "apps", "batch", "autoscaling", "policy", "extensions",
		"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io",
		"authentication.k8s.io", "authorization.k8s.io", "certificates.k8s.io",
		"coordination.k8s.io", "discovery.k8s.io", "events.k8s.io",
		"flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io", "networking.k8s.io",
		"node.k8s.io", "rbac.authorization.k8s.io", "resource.k8s.io",
		"scheduling.k8s.io", "storage.k8s.io", "storagemigration.k8s.io":
		return true
	}
	return false
}
