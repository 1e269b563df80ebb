package importer

import (
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
)

// upgrade moves an object from an API version that is gone to the one that took
// its place, where what it says can be said there: the server did the same when it
// stored the object. It returns the version that it left, "" where it left none.
func upgrade(obj Object) string {
	old := text(obj, "apiVersion")
	kind := text(obj, "kind")
	to := successor(old, kind)
	if to == "" || !convertible(obj, old, kind) {
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
	case crd.Kind:
		upgradeDefinition(spec)
	case "HorizontalPodAutoscaler":
		for _, m := range list(spec, "metrics") {
			upgradeMetric(m)
		}
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		for _, w := range list(obj, "webhooks") {
			upgradeWebhook(w)
		}
	case "PriorityLevelConfiguration":
		if limited := mapping(spec, "limited"); limited != nil && limited["assuredConcurrencyShares"] != nil {
			limited["nominalConcurrencyShares"] = limited["assuredConcurrencyShares"]
			delete(limited, "assuredConcurrencyShares")
		}
	}
	return old
}

// convertible says whether the version that took the place of an old one can say what
// an object says.
func convertible(obj Object, old, kind string) bool {
	switch kind {
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		for _, w := range list(obj, "webhooks") { // v1 takes no webhook that may have side effects
			if effects := text(w, "sideEffects"); effects != "None" && effects != "NoneOnDryRun" {
				return false
			}
		}
	case "PodDisruptionBudget":
		selector, has := at(obj, "spec", "selector").(map[string]any) // the empty one chose no pod, and now chooses all
		return !has || len(mapping(selector, "matchLabels"))+len(list(selector, "matchExpressions")) > 0
	case "HorizontalPodAutoscaler":
		if old == "autoscaling/v2beta1" {
			for _, m := range list(obj, "spec", "metrics") {
				if t := text(m, "type"); t != "Resource" && t != "Pods" {
					return false
				}
			}
		}
	case crd.Kind:
		return len(list(obj, "spec", "versions")) > 0 || text(obj, "spec", "version") != ""
	case "RuntimeClass":
		return old == "node.k8s.io/v1beta1"
	}
	return true
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
	case "HorizontalPodAutoscaler":
		if apiVersion == "autoscaling/v2beta2" || apiVersion == "autoscaling/v2beta1" {
			return "autoscaling/v2"
		}
	case "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
		if group == "rbac.authorization.k8s.io" {
			return "rbac.authorization.k8s.io/v1"
		}
	}
	for _, known := range []struct{ kinds, group string }{
		{"CronJob", "batch"},
		{"PodDisruptionBudget", "policy"},
		{"StorageClass CSIDriver CSINode CSIStorageCapacity VolumeAttachment", "storage.k8s.io"},
		{"PriorityClass", "scheduling.k8s.io"},
		{crd.Kind, "apiextensions.k8s.io"},
		{"APIService", "apiregistration.k8s.io"},
		{"RuntimeClass", "node.k8s.io"},
		{"FlowSchema PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io"},
		{"ValidatingWebhookConfiguration MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding", "admissionregistration.k8s.io"},
	} {
		if group == known.group && strings.Contains(" "+known.kinds+" ", " "+kind+" ") {
			return group + "/v1"
		}
	}
	return ""
}

// upgradeDefinition gives a definition the form of apiextensions.k8s.io/v1: schema,
// columns and subresources stand in each version, and a version without a schema has
// one that takes all.
func upgradeDefinition(spec map[string]any) {
	versions := list(spec, "versions")
	if len(versions) == 0 {
		versions = []any{map[string]any{"name": spec["version"], "served": true, "storage": true}}
	}
	preserves := spec["preserveUnknownFields"] != false // the default of v1beta1
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if version == nil {
			continue
		}
		if version["schema"] == nil {
			version["schema"] = deepCopy(spec["validation"])
		}
		for from, to := range map[string]string{"subresources": "subresources", "additionalPrinterColumns": "additionalPrinterColumns"} {
			if version[to] == nil && spec[from] != nil {
				version[to] = deepCopy(spec[from])
			}
		}
		for _, c := range list(version, "additionalPrinterColumns") {
			if column, ok := c.(map[string]any); ok && column["JSONPath"] != nil {
				column["jsonPath"] = column["JSONPath"]
				delete(column, "JSONPath")
			}
		}
		schema := mapping(version, "schema", "openAPIV3Schema")
		if schema == nil {
			schema = map[string]any{}
			version["schema"] = map[string]any{"openAPIV3Schema": schema}
		}
		if schema["type"] == nil {
			schema["type"] = "object"
		}
		if preserves {
			schema["x-kubernetes-preserve-unknown-fields"] = true
		}
	}
	spec["versions"] = versions
	if spec["scope"] == nil {
		spec["scope"] = "Namespaced"
	}
	conversion := mapping(spec, "conversion")
	if client := conversion["webhookClientConfig"]; client != nil {
		conversion["webhook"] = map[string]any{"clientConfig": client, "conversionReviewVersions": or(conversion["conversionReviewVersions"], []any{"v1beta1"})}
		delete(conversion, "webhookClientConfig")
		delete(conversion, "conversionReviewVersions")
	}
	for _, gone := range []string{"version", "validation", "subresources", "additionalPrinterColumns", "preserveUnknownFields"} {
		delete(spec, gone)
	}
}

// upgradeWebhook writes out what v1beta1 filled in otherwise than v1 does.
func upgradeWebhook(w any) {
	webhook, _ := w.(map[string]any)
	if webhook == nil {
		return
	}
	for name, value := range map[string]any{
		"failurePolicy": "Ignore", "matchPolicy": "Exact", "timeoutSeconds": int64(30), "admissionReviewVersions": []any{"v1beta1"},
	} {
		if webhook[name] == nil {
			webhook[name] = value
		}
	}
}

// upgradeMetric gives a metric of autoscaling/v2beta1 the form of v2.
func upgradeMetric(m any) {
	source := mapping(m, "resource")
	if source == nil {
		source = mapping(m, "pods")
	}
	if source == nil || source["target"] != nil {
		return
	}
	if name := source["metricName"]; name != nil {
		metric := map[string]any{"name": name}
		if selector := source["selector"]; selector != nil {
			metric["selector"] = selector
		}
		source["metric"] = metric
	}
	if use := source["targetAverageUtilization"]; use != nil {
		source["target"] = map[string]any{"type": "Utilization", "averageUtilization": use}
	} else if value := source["targetAverageValue"]; value != nil {
		source["target"] = map[string]any{"type": "AverageValue", "averageValue": value}
	}
	for _, gone := range []string{"metricName", "selector", "targetAverageUtilization", "targetAverageValue"} {
		delete(source, gone)
	}
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
