package lint

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

const rulePodSecurity = "pod-security"

// checkPodSecurity applies the checks of the Pod Security admission plugin to the
// pods of namespaces whose level the environment sets: a workload that violates it
// is accepted by the server, and its pods are not.
func checkPodSecurity(w *world) {
	levels := map[string]api.LevelVersion{}
	for _, ns := range w.byKind["Namespace"] {
		labels := tree.Map(tree.At(ns.Content, "metadata", "labels"))
		level, err := api.ParseLevel(tree.Text(labels[api.EnforceLevelLabel]))
		if err != nil || level == api.LevelPrivileged {
			continue
		}
		version := api.LatestVersion()
		if v, err := api.ParseVersion(tree.Text(labels[api.EnforceVersionLabel])); err == nil {
			version = v
		}
		levels[ns.Name] = api.LevelVersion{Level: level, Version: version}
	}
	if len(levels) == 0 {
		return
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return // the checks of the library itself are wrong
	}
	for _, p := range w.pods {
		level, ok := levels[p.Namespace]
		if !ok || hasBareVolume(p) || hasBareContainer(p) {
			continue
		}
		reasons, ok := violations(evaluator, level, p.template)
		if !ok || len(reasons) == 0 { // wrong types are reported by the strict check
			continue
		}
		f := p.located.at(rulePodSecurity, p.at("spec")...)
		f.Message = fmt.Sprintf("namespace %s enforces %s, and these pods violate it: %s", p.Namespace, level.Level, strings.Join(reasons, "; "))
		w.report(f)
	}
}

// violations are the reasons why a level does not allow pods of a template; false where
// its fields have wrong types.
func violations(evaluator policy.Evaluator, level api.LevelVersion, template map[string]any) (reasons []string, ok bool) {
	var spec corev1.PodSpec
	if runtime.DefaultUnstructuredConverter.FromUnstructured(tree.Map(template["spec"]), &spec) != nil {
		return nil, false
	}
	labels, annotations := tree.Map(tree.At(template, "metadata", "labels")), tree.Map(tree.At(template, "metadata", "annotations"))
	meta := metav1.ObjectMeta{Labels: labelSet(labels), Annotations: labelSet(annotations)}
	for _, result := range evaluator.EvaluatePod(level, &meta, &spec) {
		if result.Allowed {
			continue
		}
		reason := result.ForbiddenReason
		if result.ForbiddenDetail != "" {
			reason += " (" + result.ForbiddenDetail + ")"
		}
		reasons = append(reasons, reason)
	}
	return reasons, true
}

// StrictestLevel is the strictest Pod Security level that allows the pods of all templates.
func StrictestLevel(templates []map[string]any) string {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	for _, level := range []api.Level{api.LevelRestricted, api.LevelBaseline} {
		refused := func(template map[string]any) bool {
			reasons, ok := violations(evaluator, api.LevelVersion{Level: level, Version: api.LatestVersion()}, template)
			return !ok || len(reasons) > 0
		}
		if err == nil && !slices.ContainsFunc(templates, refused) {
			return string(level)
		}
	}
	return string(api.LevelPrivileged)
}

// hasBareVolume says whether a volume has no source: the level of such a pod is
// not known, and the rule volume reports it.
func hasBareVolume(p podSource) bool {
	return slices.ContainsFunc(tree.List(p.spec()["volumes"]), func(v any) bool { return len(tree.Map(v)) == 1 })
}

// hasBareContainer says whether a container has no image: the rule container reports it.
func hasBareContainer(p podSource) bool {
	bare := false
	p.containers(func(c map[string]any, _ typed.Path) { bare = bare || tree.Text(c["image"]) == "" })
	return bare
}
