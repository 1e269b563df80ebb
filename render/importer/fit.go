package importer

import (
	"fmt"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	evenkeel "github.com/seed-428f4edd/evenkeel/schema"
)

// Fit closes the gap between what the types render and what was imported: apps
// get a patch of what they still differ in, and those whose patch would say more
// than the type become whole objects.
func (imp *Import) Fit(env *evenkeel.Environment) {
	changed := false
	for i := range imp.Units {
		u := &imp.Units[i]
		if rendered := env.Unit(u.Name); u.release != nil && rendered != nil {
			imp.fitRelease(u, rendered)
		}
		if u.app == nil {
			continue
		}
		if why := imp.fit(u, env.Unit(u.Name)); why != "" {
			imp.keepWhole(u, why)
			changed = true
		}
	}
	if changed {
		imp.replan()
	}
	for i := range imp.Units {
		imp.Units[i].Silence = map[string]string{} // of what was not patched yet
		imp.Units[i].text = nil
	}
}

// keepWhole makes whole objects of an app.
func (imp *Import) keepWhole(u *Unit, why string) {
	for _, o := range u.app.made {
		if isWorkload(o) {
			imp.whole[workloadName(o)] = why
		}
	}
}

// fit computes the patch of a unit; where the type does not fit, it says why.
func (imp *Import) fit(u *Unit, rendered *evenkeel.Unit) string {
	if rendered == nil {
		return u.Type + " does not render"
	}
	u.patch = map[string]map[string]any{}
	sets, all, made := 0, 0, 0
	for _, o := range rendered.Objects {
		if _, whole := u.Objects[o.Key]; whole {
			continue
		}
		want, ok := u.app.made[o.Key]
		if !ok {
			return fmt.Sprintf("%s makes a %s, and there is none", u.Type, o.GetKind())
		}
		made++
		patch, err := imp.gap(o.DeepCopy().Object, want)
		if err != nil {
			return err.Error()
		}
		if len(patch) > 0 {
			u.patch[o.Key] = patch
		}
		sets += leaves(patch)
		all += leaves(want)
	}
	switch {
	case made != len(u.app.made):
		return u.Type + " does not make all of its objects"
	case sets*2 > all:
		return "little of it is what " + u.Type + " makes"
	}
	return ""
}

// gap is the strategic merge patch that leads from what is rendered to what is
// wanted. Where the order of a list is another one, it says the order: the pods of
// another order are other pods.
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
	from, to := meaning(imp.kinds, rendered), meaning(imp.kinds, runtime.DeepCopyJSON(want))
	change, err := strategicpatch.CreateTwoWayMergeMapPatchUsingLookupPatchMeta(runtime.DeepCopyJSON(from), runtime.DeepCopyJSON(to), meta)
	if err != nil {
		return nil, err
	}
	leads := func(patch map[string]any) bool {
		got, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(runtime.DeepCopyJSON(from), runtime.DeepCopyJSON(patch), meta)
		return err == nil && same(map[string]any(got), to)
	}
	patch := map[string]any(change)
	whole := runtime.DeepCopyJSON(patch)
	dropDirectives(patch, func(string, map[string]any) bool { return true })
	if leads(patch) || !leads(whole) {
		return patch, nil
	}
	// One by one: most lists are in order.
	dropDirectives(whole, func(name string, m map[string]any) bool {
		value := m[name]
		delete(m, name)
		if leads(whole) {
			return true
		}
		m[name] = value
		return false
	})
	return whole, nil
}

// dropDirectives takes the directives out of a patch that drop says can go.
func dropDirectives(v any, drop func(name string, m map[string]any) bool) {
	switch n := v.(type) {
	case map[string]any:
		for _, name := range sortedNames(n) {
			if (strings.HasPrefix(name, "$setElementOrder/") || name == "$retainKeys") && drop(name, n) {
				delete(n, name)
			}
		}
		for name, item := range n {
			inner, ok := item.(map[string]any)
			said := len(inner) > 0 // an empty directory is a source
			dropDirectives(item, drop)
			if ok && said && len(inner) == 0 {
				delete(n, name)
			}
		}
	case []any:
		for _, item := range n {
			dropDirectives(item, drop)
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
		for name, item := range x {
			if !strings.HasPrefix(name, "$") {
				n += leaves(item)
			}
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
	why := map[string]string{}
	for _, d := range diffs {
		if why[d.unit] == "" {
			why[d.unit] = "it would render otherwise: " + d.text
		}
	}
	for _, f := range findings {
		unit := f.Unit
		if rest, ok := strings.CutPrefix(f.Path, "apps."); ok && unit == "" {
			unit, _, _ = strings.Cut(rest, ".")
			unit = strings.Trim(unit, `"`)
		}
		if why[unit] == "" {
			why[unit] = strings.TrimPrefix(strings.TrimPrefix(f.Path, "apps."+unit+"."), "apps."+syntax.Label(unit)+".") + ": " + f.Message
		}
	}
	changed := false
	for i := range imp.Units {
		if u := &imp.Units[i]; u.app != nil && why[u.Name] != "" {
			imp.keepWhole(u, why[u.Name])
			changed = true
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

// used is an object that pods name.
type used struct{ namespace, kind, name string }

// eachUsed calls fn for the ConfigMaps, Secrets and claims that a pod names.
func eachUsed(pod map[string]any, fn func(kind, name string)) {
	say := func(kind, name string) {
		if name != "" {
			fn(kind, name)
		}
	}
	for _, v := range list(pod, "volumes") {
		say("PersistentVolumeClaim", text(v, "persistentVolumeClaim", "claimName"))
		say("ConfigMap", text(v, "configMap", "name"))
		say("Secret", text(v, "secret", "secretName"))
		for _, s := range list(v, "projected", "sources") {
			say("ConfigMap", text(s, "configMap", "name"))
			say("Secret", text(s, "secret", "name"))
		}
	}
	for _, containers := range []string{"initContainers", "containers"} {
		for _, c := range list(pod, containers) {
			for _, e := range list(c, "env") {
				say("ConfigMap", text(e, "valueFrom", "configMapKeyRef", "name"))
				say("Secret", text(e, "valueFrom", "secretKeyRef", "name"))
			}
			for _, e := range list(c, "envFrom") {
				say("ConfigMap", text(e, "configMapRef", "name"))
				say("Secret", text(e, "secretRef", "name"))
			}
		}
	}
}
