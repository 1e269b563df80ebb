package managed

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// cannotChange lists, by group-kind, fields that the server does not change once
// an object is there (the validation of updates in pkg/apis/*/validation). It only
// serves comparisons without a cluster, where no server can be asked.
func cannotChange(obj *unstructured.Unstructured) (fields, except []string) {
	switch obj.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps", "DaemonSet.apps", "ReplicaSet.apps":
		return []string{"spec.selector"}, nil
	case "StatefulSet.apps":
		return []string{"spec"}, []string{
			"spec.replicas", "spec.ordinals", "spec.template", "spec.updateStrategy", "spec.minReadySeconds",
			"spec.revisionHistoryLimit", "spec.persistentVolumeClaimRetentionPolicy",
		}
	case "Job.batch":
		return []string{"spec.selector", "spec.template", "spec.completions", "spec.completionMode", "spec.podFailurePolicy", "spec.backoffLimitPerIndex", "spec.managedBy"}, nil
	case "Service":
		return []string{"spec.clusterIP"}, nil
	case "Pod":
		return []string{"spec"}, []string{"spec.containers.image", "spec.initContainers.image", "spec.activeDeadlineSeconds", "spec.tolerations", "spec.terminationGracePeriodSeconds"}
	case "PersistentVolumeClaim":
		return []string{"spec"}, []string{"spec.resources", "spec.volumeAttributesClassName"}
	case "RoleBinding.rbac.authorization.k8s.io", "ClusterRoleBinding.rbac.authorization.k8s.io":
		return []string{"roleRef"}, nil
	case "StorageClass.storage.k8s.io":
		return []string{"provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"}, nil
	case "VolumeAttributesClass.storage.k8s.io":
		return []string{"driverName", "parameters"}, nil
	case "PriorityClass.scheduling.k8s.io":
		return []string{"value", "preemptionPolicy"}, nil
	case "IngressClass.networking.k8s.io":
		return []string{"spec.controller"}, nil
	case "RuntimeClass.node.k8s.io":
		return []string{"handler"}, nil
	case "EndpointSlice.discovery.k8s.io":
		return []string{"addressType"}, nil
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return []string{"spec.group", "spec.scope", "spec.names.plural", "spec.names.kind"}, nil
	case "Secret":
		if obj.Object["immutable"] == true {
			return []string{"type", "data", "immutable"}, nil
		}
		return []string{"type"}, nil
	case "ConfigMap":
		if obj.Object["immutable"] == true {
			return []string{"data", "binaryData", "immutable"}, nil
		}
	}
	return nil, nil
}

// KeptByServer are the fields that an apply gives up and that the server keeps all the
// same, in silence, although the object is another one without them: a Service without
// an address does not get one any more.
func KeptByServer(before, after *unstructured.Unstructured) []string {
	if before.GroupVersionKind().GroupKind().String() != "Service" {
		return nil
	}
	address := func(o *unstructured.Unstructured) string {
		s, _, _ := unstructured.NestedString(o.Object, "spec", "clusterIP")
		return s
	}
	entries := entriesOf(before)
	had := slices.ContainsFunc(entries, func(e entry) bool {
		return (e.isOurApply() || !IsApplied(before) && migrates(before, &e)) && owns(e.fields, "f:spec", "f:clusterIP")
	})
	if had && address(before) == "None" && address(after) == "None" && !owns(ourApply(entriesOf(after)), "f:spec", "f:clusterIP") {
		return []string{"spec.clusterIP"}
	}
	return nil
}

// owns reports whether a tree has a field.
func owns(n node, names ...string) bool {
	for _, name := range names {
		below, ok := child(n, name)
		if !ok {
			return false
		}
		n = below
	}
	return true
}

// RunsAgain reports whether a Job is to be made anew because a ConfigMap or Secret that
// its pods read is another one by now. A Job without a hash of them was applied before
// it bore one, and has run: nobody knows with what.
func RunsAgain(job *unstructured.Unstructured, diffs []Difference) bool {
	return job.GroupVersionKind().GroupKind().String() == "Job.batch" && slices.ContainsFunc(diffs, func(d Difference) bool {
		return d.Path.isAnnotation(schema.AnnotationConfigHash) && d.from != nil && d.to != nil
	})
}

// ImmutableChanges are the fields among the differences that cannot be changed on
// the object as it was.
func ImmutableChanges(old *unstructured.Unstructured, diffs []Difference) []string {
	fields, except := cannotChange(old)
	within := func(name string, all []string) bool {
		return slices.ContainsFunc(all, func(f string) bool { return name == f || strings.HasPrefix(name, f+".") })
	}
	var found []string
	for _, d := range diffs {
		name := d.Path.Fields()
		if !within(name, fields) || within(name, except) {
			continue
		}
		// The field as the table has it: what is below says less.
		for _, f := range fields {
			if strings.HasPrefix(name, f+".") && f != "spec" {
				name = f
			}
		}
		if parts := strings.SplitN(name, ".", 3); parts[0] == "spec" && len(parts) > 2 {
			name = "spec." + parts[1]
		}
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}
