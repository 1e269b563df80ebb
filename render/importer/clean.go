package importer

import (
	"maps"
	"reflect"
	"strings"
)

// clean takes out what only the server or kubectl writes.
func clean(obj Object) {
	delete(obj, "status")
	meta := mapping(obj, "metadata")
	for _, name := range []string{"creationTimestamp", "deletionTimestamp", "resourceVersion", "uid", "generation", "managedFields", "selfLink"} {
		delete(meta, name)
	}
	annotations := mapping(meta, "annotations")
	if text(obj, "kind") == "PersistentVolumeClaim" && annotations["pv.kubernetes.io/bound-by-controller"] != nil {
		delete(mapping(obj, "spec"), "volumeName") // which nobody named
	}
	for name := range annotations {
		if name == "kubectl.kubernetes.io/last-applied-configuration" || name == "deprecated.daemonset.template.generation" ||
			strings.HasPrefix(name, "deployment.kubernetes.io/") || strings.HasPrefix(name, "pv.kubernetes.io/") ||
			strings.HasPrefix(name, "volume.kubernetes.io/") || strings.HasPrefix(name, "volume.beta.kubernetes.io/") {
			delete(annotations, name)
		}
	}
	labels := mapping(meta, "labels")
	// evenkeel writes its own: whatever managed the object does so no longer.
	for _, name := range []string{"app.kubernetes.io/managed-by", "applyset.kubernetes.io/part-of", "evenkeel.dev/unit"} {
		delete(labels, name)
	}
	dropEmpty(meta, "annotations", "labels")
}

// dropDefaults takes out of a live object what the server fills in where it is
// left out. The values are those of the defaulting of Kubernetes 1.37
// (pkg/apis/*/v1/defaults.go).
func dropDefaults(obj Object) {
	spec := mapping(obj, "spec")
	switch text(obj, "kind") {
	case "Deployment":
		drop(spec, Object{"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10})
		dropRolling(spec, "strategy", map[string]any{"maxSurge": "25%", "maxUnavailable": "25%"})
	case "StatefulSet":
		drop(spec, Object{
			"revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
			"persistentVolumeClaimRetentionPolicy": map[string]any{"whenDeleted": "Retain", "whenScaled": "Retain"},
		})
		dropRolling(spec, "updateStrategy", map[string]any{"partition": int64(0)})
		for _, c := range list(spec, "volumeClaimTemplates") {
			claim, _ := c.(map[string]any)
			delete(claim, "status")
			drop(claim, Object{"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
			drop(mapping(claim, "spec"), Object{"volumeMode": "Filesystem"})
		}
	case "DaemonSet":
		drop(spec, Object{"revisionHistoryLimit": 10})
		dropRolling(spec, "updateStrategy", map[string]any{"maxSurge": int64(0), "maxUnavailable": int64(1)})
	case "Job":
		dropJob(spec)
	case "CronJob":
		drop(spec, Object{"concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1})
		dropJob(mapping(spec, "jobTemplate", "spec"))
	case "Service":
		dropService(spec)
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		for _, w := range list(obj, "webhooks") {
			for _, r := range list(w, "rules") {
				rule, _ := r.(map[string]any)
				drop(rule, Object{"scope": "*"})
			}
			webhook, _ := w.(map[string]any)
			drop(webhook, Object{"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10, "reinvocationPolicy": "Never", "namespaceSelector": map[string]any{}, "objectSelector": map[string]any{}})
			drop(mapping(webhook, "clientConfig", "service"), Object{"port": 443})
		}
	case "PersistentVolumeClaim":
		drop(spec, Object{"volumeMode": "Filesystem"})
	}
	for _, pod := range podSpecs(obj) {
		dropPod(pod)
	}
}

// dropRolling takes out a rolling strategy that is the default, and spells out one that
// says a part of it.
func dropRolling(spec map[string]any, name string, defaults map[string]any) {
	strategy, ok := spec[name].(map[string]any)
	if !ok || or(strategy["type"], "RollingUpdate") != any("RollingUpdate") {
		return
	}
	rolling := map[string]any{}
	maps.Copy(rolling, defaults)
	maps.Copy(rolling, mapping(strategy, "rollingUpdate"))
	if same(rolling, defaults) {
		delete(spec, name)
		return
	}
	spec[name] = map[string]any{"type": "RollingUpdate", "rollingUpdate": rolling}
}

func dropJob(spec map[string]any) {
	drop(spec, Object{
		"backoffLimit": 6, "completions": 1, "parallelism": 1, "completionMode": "NonIndexed", "suspend": false,
		"manualSelector": false, "podReplacementPolicy": "TerminatingOrFailed",
	})
	if spec["manualSelector"] == true {
		return
	}
	labels := mapping(spec, "template", "metadata", "labels")
	for name := range labels { // made with the Job, as is its selector
		if strings.HasSuffix(name, "controller-uid") || strings.HasSuffix(name, "job-name") {
			delete(labels, name)
		}
	}
	delete(spec, "selector")
}

func dropService(spec map[string]any) {
	if _, written := spec["clusterIPs"]; written { // by the server, which fills in all of these
		delete(spec, "clusterIPs")
		delete(spec, "healthCheckNodePort")
		if text(spec, "clusterIP") != "None" {
			delete(spec, "clusterIP")
		}
	}
	if policy := text(spec, "ipFamilyPolicy"); policy == "" || policy == "SingleStack" {
		drop(spec, Object{"ipFamilyPolicy": "SingleStack", "ipFamilies": []any{"IPv4"}})
	}
	drop(spec, Object{
		"internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster", "sessionAffinity": "None",
		"type": "ClusterIP", "allocateLoadBalancerNodePorts": true,
	})
	for _, p := range list(spec, "ports") {
		port, _ := p.(map[string]any)
		drop(port, Object{"protocol": "TCP"})
		if same(port["targetPort"], port["port"]) {
			delete(port, "targetPort")
		}
	}
}

func dropPod(pod map[string]any) {
	drop(pod, Object{
		"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
		"terminationGracePeriodSeconds": 30, "securityContext": map[string]any{},
	})
	if old := pod["serviceAccount"]; old != nil { // the old name of serviceAccountName
		delete(pod, "serviceAccount")
		if pod["serviceAccountName"] == nil {
			pod["serviceAccountName"] = old
		}
	}
	for _, kind := range []string{"containers", "initContainers"} {
		for _, c := range list(pod, kind) {
			container, _ := c.(map[string]any)
			dropContainer(container)
		}
	}
	for _, v := range list(pod, "volumes") {
		for _, source := range []string{"configMap", "secret", "projected", "downwardAPI"} {
			drop(mapping(v, source), Object{"defaultMode": 420})
		}
		drop(mapping(v, "hostPath"), Object{"type": ""})
	}
}

func dropContainer(c map[string]any) {
	drop(c, Object{"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "resources": map[string]any{}})
	pull := "IfNotPresent"
	image := text(c, "image")
	name := image[strings.LastIndexByte(image, '/')+1:]
	if !strings.Contains(name, "@") && (!strings.Contains(name, ":") || strings.HasSuffix(name, ":latest")) {
		pull = "Always"
	}
	drop(c, Object{"imagePullPolicy": pull})
	for _, p := range list(c, "ports") {
		port, _ := p.(map[string]any)
		drop(port, Object{"protocol": "TCP"})
	}
	for _, e := range list(c, "env") {
		drop(mapping(e, "valueFrom", "fieldRef"), Object{"apiVersion": "v1"})
		resource := mapping(e, "valueFrom", "resourceFieldRef")
		drop(resource, Object{"divisor": "0"})
		if env, _ := e.(map[string]any); env != nil {
			drop(env, Object{"value": ""})
		}
	}
	for _, name := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		probe := mapping(c, name)
		drop(probe, Object{"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
		drop(mapping(probe, "httpGet"), Object{"scheme": "HTTP"})
		drop(mapping(probe, "grpc"), Object{"service": ""})
	}
}

// podSpecs are the pod specs inside an object.
func podSpecs(obj Object) []map[string]any {
	var found []map[string]any
	for _, path := range [][]string{
		{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"},
	} {
		if spec := mapping(obj, path...); spec != nil {
			found = append(found, spec)
		}
	}
	if text(obj, "kind") == "Pod" {
		found = append(found, mapping(obj, "spec"))
	}
	return found
}

// drop removes the fields that have these values.
func drop(m map[string]any, defaults Object) {
	for name, value := range defaults {
		if have, ok := m[name]; ok && same(have, value) {
			delete(m, name)
		}
	}
}

func dropEmpty(m map[string]any, names ...string) {
	for _, name := range names {
		if inner, ok := m[name].(map[string]any); ok && len(inner) == 0 {
			delete(m, name)
		}
	}
}

// same compares values as JSON has them: 3 is 3.0.
func same(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for name, value := range x {
			other, ok := y[name]
			if !ok || !same(value, other) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	}
	if i, ok := a.(int64); ok {
		if j, ok := b.(int64); ok {
			return i == j // a float64 has 53 bits
		}
	}
	x, okX := number(a)
	y, okY := number(b)
	if okX && okY {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
