package importer

import "strings"

// upgrade moves an object from an API version that is gone to the one that took
// its place, where nothing but names and places of fields changed: the server did
// the same when it stored the object. It returns the version that it left, "" where
// it left none.
func upgrade(obj Object) string {
	old := text(obj, "apiVersion")
	kind := text(obj, "kind")
	to := successor(old, kind)
	if to == "" {
		return ""
	}
	obj["apiVersion"] = to
	spec := mapping(obj, "spec")
	switch kind {
	case "Deployment", "DaemonSet", "ReplicaSet", "StatefulSet":
		if spec != nil && spec["selector"] == nil { // the server took the labels of the pods
			if labels := mapping(spec, "template", "metadata", "labels"); len(labels) > 0 {
				spec["selector"] = map[string]any{"matchLabels": deepCopy(labels)}
			}
		}
		delete(spec, "rollbackTo")
	case "Ingress":
		upgradeIngress(spec)
	}
	return old
}

func successor(apiVersion, kind string) string {
	group, version, _ := strings.Cut(apiVersion, "/")
	if !strings.Contains(version, "alpha") && !strings.Contains(version, "beta") {
		return ""
	}
	switch kind {
	case "Deployment", "DaemonSet", "ReplicaSet", "StatefulSet":
		if group == "extensions" || group == "apps" {
			return "apps/v1"
		}
	case "Ingress", "NetworkPolicy", "IngressClass":
		if group == "extensions" || group == "networking.k8s.io" {
			return "networking.k8s.io/v1"
		}
	case "CronJob":
		if group == "batch" {
			return "batch/v1"
		}
	case "PodDisruptionBudget":
		if group == "policy" {
			return "policy/v1"
		}
	case "HorizontalPodAutoscaler":
		if apiVersion == "autoscaling/v2beta2" {
			return "autoscaling/v2"
		}
	case "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
		if group == "rbac.authorization.k8s.io" {
			return "rbac.authorization.k8s.io/v1"
		}
	case "StorageClass", "CSIDriver", "VolumeAttachment":
		if group == "storage.k8s.io" {
			return "storage.k8s.io/v1"
		}
	case "PriorityClass":
		if group == "scheduling.k8s.io" {
			return "scheduling.k8s.io/v1"
		}
	}
	return ""
}

// upgradeIngress gives backends and paths the form of networking.k8s.io/v1.
func upgradeIngress(spec map[string]any) {
	if backend := mapping(spec, "backend"); backend != nil {
		spec["defaultBackend"] = upgradeBackend(backend)
		delete(spec, "backend")
	}
	for _, r := range list(spec, "rules") {
		for _, p := range list(r, "http", "paths") {
			path, _ := p.(map[string]any)
			if path == nil {
				continue
			}
			if backend := mapping(path, "backend"); backend != nil {
				path["backend"] = upgradeBackend(backend)
			}
			if path["pathType"] == nil {
				path["pathType"] = "ImplementationSpecific"
			}
		}
	}
}

func upgradeBackend(backend map[string]any) map[string]any {
	name := text(backend, "serviceName")
	if name == "" {
		return backend
	}
	port := map[string]any{"number": backend["servicePort"]}
	if s, ok := backend["servicePort"].(string); ok {
		port = map[string]any{"name": s}
	}
	return map[string]any{"service": map[string]any{"name": name, "port": port}}
}

// deepCopy copies maps and lists.
func deepCopy(v any) any {
	switch n := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(n))
		for name, value := range n {
			out[name] = deepCopy(value)
		}
		return out
	case []any:
		out := make([]any, len(n))
		for i, value := range n {
			out[i] = deepCopy(value)
		}
		return out
	}
	return v
}
