package apply

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// otherOwner names the tool or controller that a live object belongs to, or ""
// if it may be adopted. sets are the ids of ApplySets that count as this
// environment's.
func otherOwner(live *unstructured.Unstructured, sets []string) string {
	labels, annotations := live.GetLabels(), live.GetAnnotations()
	if set := labels[schema.LabelPartOf]; set != "" && !slices.Contains(sets, set) {
		return "ApplySet " + set
	}
	if release := annotations["meta.helm.sh/release-name"]; release != "" {
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

// migrates reports whether adoption takes an entry over as its own: those of
// kubectl without --server-side, or from before it (the same as kubectl does in
// k8s.io/client-go/util/csaupgrade). Left alone, what they own would stay in the
// object for ever after it is gone from git.
func migrates(e *entry) bool {
	if e.subresource != "" {
		return false
	}
	switch e.manager {
	case "kubectl-client-side-apply", "kubectl-create", "kubectl", "kubectl-edit", "kubectl-replace", "before-first-apply":
		return true
	}
	return false
}

// adoption is what taking over a live object means.
type adoption struct {
	managers []string // whose entries are migrated
	present  []string // all managers besides ours, for the report
	removed  []Field  // what goes because it is not desired
	paths    []path   // of what goes
}

// adopting computes what a dry-run of an apply does not show: the fields that the
// migrated entries alone keep in the object. result is the dry-run's answer.
func adopting(live, result *unstructured.Unstructured) adoption {
	var a adoption
	entries := managedFields(live)
	stay := []node{ourApply(managedFields(result))}
	for i := range entries {
		e := &entries[i]
		switch {
		case migrates(e):
			a.managers = append(a.managers, e.manager)
			a.present = append(a.present, e.manager)
		case !e.isOurApply():
			stay = append(stay, e.fields)
			a.present = append(a.present, e.manager)
		}
	}
	for i := range entries {
		e := &entries[i]
		if !migrates(e) {
			continue
		}
		for _, f := range ownedBeside(e.fields, live.Object, stay...) {
			if f.path.isAnnotation(corev1.LastAppliedConfigAnnotation) || isBuiltin(live) && isDefault(f) {
				continue
			}
			a.paths = append(a.paths, f.path)
			a.removed = append(a.removed, Field{Path: f.path.String(), From: f.value, To: "removed", By: e.manager, At: e.at})
		}
	}
	sortFields(a.removed)
	a.removed = slices.CompactFunc(a.removed, func(x, y Field) bool { return x.Path == y.Path })
	slices.Sort(a.managers)
	a.managers = slices.Compact(a.managers)
	slices.Sort(a.present)
	a.present = slices.Compact(a.present)
	return a
}

func (p path) isAnnotation(name string) bool {
	return len(p) == 3 && p[0].name == "metadata" && p[1].name == "annotations" && p[2].name == name
}
