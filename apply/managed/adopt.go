package managed

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// OtherOwner names the tool or controller that a live object belongs to, or ""
// if it may be adopted. sets are the ids of ApplySets that count as this
// environment's.
func OtherOwner(live *unstructured.Unstructured, sets []string) string {
	labels, annotations := live.GetLabels(), live.GetAnnotations()
	if set := labels[schema.LabelPartOf]; set != "" && !slices.Contains(sets, set) {
		return "ApplySet " + set
	}
	if _, release := HelmRelease(live); release != "" {
		return "Helm release " + release
	}
	if name := labels["kustomize.toolkit.fluxcd.io/name"]; name != "" {
		return "Flux Kustomization " + labels["kustomize.toolkit.fluxcd.io/namespace"] + "/" + name
	}
	if name := labels["helm.toolkit.fluxcd.io/name"]; name != "" {
		return "Flux HelmRelease " + labels["helm.toolkit.fluxcd.io/namespace"] + "/" + name
	}
	if app := labels["argocd.argoproj.io/instance"]; app != "" {
		return "Argo CD application " + app
	}
	if id := annotations["argocd.argoproj.io/tracking-id"]; id != "" {
		app, _, _ := strings.Cut(id, ":")
		return "Argo CD application " + app
	}
	if c := metav1.GetControllerOf(live); c != nil {
		return c.Kind + "/" + c.Name + ", its controller"
	}
	return ""
}

// HelmRelease is the namespace and the name of the Helm release that a live object says
// it belongs to, empty where it says none.
func HelmRelease(live *unstructured.Unstructured) (namespace, name string) {
	annotations := live.GetAnnotations()
	return annotations["meta.helm.sh/release-namespace"], annotations["meta.helm.sh/release-name"]
}

// migrates reports whether adoption takes an entry over as its own: those of
// kubectl without --server-side, or from before it (the same as kubectl does in
// k8s.io/client-go/util/csaupgrade), and those of Helm where the object is of a
// release. Left alone, what they own would stay in the object for ever after it is
// gone from git.
func migrates(live *unstructured.Unstructured, e *entry) bool {
	if e.subresource != "" {
		return false
	}
	if _, release := HelmRelease(live); release != "" && isHelm(e.manager) {
		return true
	}
	switch e.manager {
	case "kubectl-client-side-apply", "kubectl-create", "kubectl", "kubectl-edit", "kubectl-replace", beforeFirstApply:
		return true
	}
	return false
}

// isHelm reports whether a manager is Helm, which calls itself as its binary is called,
// or a controller that is built on it.
func isHelm(manager string) bool {
	return strings.HasPrefix(manager, "helm") || strings.HasPrefix(manager, "terraform-provider-helm")
}

// Adoption is what taking over a live object means.
type Adoption struct {
	Managers []string // whose entries are migrated
	Present  []string // all managers besides ours, for the report
	Removed  []Field  // what goes because it is not desired
	Paths    []Path   // of what goes
}

// Adopt computes what a dry-run of an apply does not show: the fields that the
// migrated entries alone keep in the object. result is the dry-run's answer.
func Adopt(live, result *unstructured.Unstructured) Adoption {
	var a Adoption
	entries := entriesOf(live)
	stay := []node{ourApply(entriesOf(result))}
	for i := range entries {
		e := &entries[i]
		switch {
		case migrates(live, e):
			a.Managers = append(a.Managers, e.manager)
			a.Present = append(a.Present, e.manager)
		case !e.isOurApply():
			stay = append(stay, e.fields)
			a.Present = append(a.Present, e.manager)
		}
	}
	for i := range entries {
		e := &entries[i]
		if !migrates(live, e) {
			continue
		}
		for _, f := range ownedBeside(e.fields, live.Object, stay...) {
			if f.path.isAnnotation(corev1.LastAppliedConfigAnnotation) || IsBuiltin(live.GroupVersionKind().Group) && isDefault(f) {
				continue
			}
			a.Paths = append(a.Paths, f.path)
			a.Removed = append(a.Removed, Field{Path: f.path.String(), From: f.value, To: "removed", By: e.manager, At: e.at})
		}
	}
	sortFields(a.Removed)
	a.Removed = slices.CompactFunc(a.Removed, func(x, y Field) bool { return x.Path == y.Path })
	slices.Sort(a.Managers)
	a.Managers = slices.Compact(a.Managers)
	slices.Sort(a.Present)
	a.Present = slices.Compact(a.Present)
	return a
}
