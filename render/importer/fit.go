package importer

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/seed-428f4edd/evenkeel/render"
	evenkeel "github.com/seed-428f4edd/evenkeel/schema"
)

// Fit closes the gap between what the types render and what was imported: apps
// get a patch of what they still differ in, and those whose patch would say more
// than the type become whole objects.
func (imp *Import) Fit(env *evenkeel.Environment) {
	changed := false
	for i := range imp.Units {
		u := &imp.Units[i]
		if u.app == nil {
			continue
		}
		if !imp.fit(u, env.Unit(u.Name)) {
			imp.whole[u.Name], changed = true, true
		}
	}
	if changed {
		imp.replan()
	}
	for i := range imp.Units {
		imp.Units[i].Silence = map[string]string{} // of what was not patched yet
	}
}

// fit computes the patch of a unit; false where the type does not fit.
func (imp *Import) fit(u *Unit, rendered *evenkeel.Unit) bool {
	if rendered == nil {
		return false
	}
	u.patch = map[string]map[string]any{}
	sets, all := 0, 0
	for _, o := range rendered.Objects {
		if _, whole := u.Objects[o.Key]; whole {
			continue
		}
		want, ok := u.app.made[o.Key]
		if !ok {
			return false // the type makes more
		}
		patch, err := imp.gap(o.DeepCopy().Object, want)
		if err != nil {
			return false
		}
		if len(patch) > 0 {
			u.patch[o.Key] = patch
		}
		sets += leaves(patch)
		all += leaves(normalNumbers(want))
	}
	return len(rendered.Objects) == len(u.app.made)+len(u.Objects) && sets*3 <= all
}

// gap is the strategic merge patch that leads from what is rendered to what is
// wanted. The order of keyed lists is left alone: it means nothing.
func (imp *Import) gap(rendered, want Object) (map[string]any, error) {
	gv, err := schema.ParseGroupVersion(text(want, "apiVersion"))
	if err != nil {
		return nil, err
	}
	t, ok := imp.kinds.Type(gv.WithKind(text(want, "kind")))
	if !ok {
		return nil, fmt.Errorf("%s: not built in", ref(want))
	}
	meta, err := strategicpatch.NewPatchMetaFromStruct(reflect.New(t).Interface())
	if err != nil {
		return nil, err
	}
	patch, err := strategicpatch.CreateTwoWayMergeMapPatchUsingLookupPatchMeta(
		meaning(imp.kinds, rendered), meaning(imp.kinds, normalNumbers(want)), meta)
	if err != nil {
		return nil, err
	}
	plain := map[string]any(patch)
	dropDirectives(plain)
	return plain, nil
}

func dropDirectives(v any) {
	switch n := v.(type) {
	case map[string]any:
		maps.DeleteFunc(n, func(name string, _ any) bool {
			return strings.HasPrefix(name, "$setElementOrder/") || name == "$retainKeys"
		})
		for name, item := range n {
			dropDirectives(item)
			if inner, ok := item.(map[string]any); ok && len(inner) == 0 {
				delete(n, name)
			}
		}
	case []any:
		for _, item := range n {
			dropDirectives(item)
		}
	}
}

// leaves counts the values that are set.
func leaves(v any) int {
	n := 0
	switch x := v.(type) {
	case nil:
	case map[string]any:
		if x["$patch"] == "delete" {
			return 0
		}
		for _, item := range x {
			n += leaves(item)
		}
	case []any:
		for _, item := range x {
			n += leaves(item)
		}
	default:
		n = 1
	}
	return n
}

// Refuse makes whole objects of the apps that findings, or differences, are about;
// it says whether there were any.
func (imp *Import) Refuse(findings render.Findings, diffs []Difference) bool {
	names := map[string]bool{}
	for _, d := range diffs {
		names[d.unit] = true
	}
	for _, f := range findings {
		unit := f.Unit
		if rest, ok := strings.CutPrefix(f.Path, "apps."); ok && unit == "" {
			unit, _, _ = strings.Cut(rest, ".")
		}
		names[unit] = true
	}
	changed := false
	for _, u := range imp.Units {
		if u.app != nil && names[u.Name] {
			imp.whole[u.Name], changed = true, true
		}
	}
	if changed {
		imp.replan()
	}
	return changed
}

// replan sorts anew; what was found out about the other units stays.
func (imp *Import) replan() {
	before := map[string]Unit{}
	for _, u := range imp.Units {
		before[u.Name] = u
	}
	imp.plan()
	for i := range imp.Units {
		u := &imp.Units[i]
		if old, ok := before[u.Name]; ok && u.app != nil {
			u.patch, u.Silence = old.patch, old.Silence
		}
	}
}

// uses says whether the pods of the app name an object.
func (a *app) uses(kind, name string) bool {
	for _, o := range a.made {
		for _, pod := range podSpecs(o) {
			if kind == "ServiceAccount" && text(pod, "serviceAccountName") == name {
				return true
			}
			if (kind == "ConfigMap" || kind == "PersistentVolumeClaim") && podUses(pod, kind, name) {
				return true
			}
		}
	}
	return false
}

func podUses(pod map[string]any, kind, name string) bool {
	mounted := slices.ContainsFunc(list(pod, "volumes"), func(v any) bool {
		return kind == "ConfigMap" && text(v, "configMap", "name") == name ||
			kind == "PersistentVolumeClaim" && text(v, "persistentVolumeClaim", "claimName") == name
	})
	if mounted || kind != "ConfigMap" {
		return mounted
	}
	for _, c := range append(slices.Clone(list(pod, "initContainers")), list(pod, "containers")...) {
		for _, e := range list(c, "env") {
			mounted = mounted || text(e, "valueFrom", "configMapKeyRef", "name") == name
		}
		for _, e := range list(c, "envFrom") {
			mounted = mounted || text(e, "configMapRef", "name") == name
		}
	}
	return mounted
}
