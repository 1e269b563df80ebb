package render

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// patch bends the objects of a unit as the environment asks: as kubectl patch
// does, a strategic merge for built-in kinds (lists merge by their keys), and a
// JSON merge (RFC 7396) for all others. "$patch": "delete" takes an object out.
func (fin *finisher) patch(u *unit) Findings {
	byKey := map[string]*object{}
	for _, o := range u.objs {
		byKey[o.key] = o
	}
	var findings Findings
	for _, key := range slices.Sorted(maps.Keys(u.data.Patch)) {
		change := tree.Map(u.data.Patch[key])
		o := byKey[key]
		if o == nil {
			f := fin.at(u, typed.Path{"patch", key})
			f.Message = fmt.Sprintf("no object %q in this unit", key)
			known := slices.Sorted(maps.Keys(byKey))
			f.Expected, f.DidYouMean = "one of "+enumerate(known), typed.Closest(key, known)
			findings = append(findings, f)
			continue
		}
		if len(change) == 1 && change["$patch"] == "delete" {
			u.objs = slices.DeleteFunc(u.objs, func(other *object) bool { return other == o })
			continue
		}
		if err := fin.repo.apply(o, change); err != nil {
			f := fin.at(u, typed.Path{"patch", key})
			f.Object = o.ref()
			f.Message = "the patch does not apply: " + err.Error()
			findings = append(findings, f)
		}
	}
	return findings
}

func (r *Repo) apply(o *object, change map[string]any) error {
	t, ok := r.kinds.Type(o.GroupVersionKind())
	if !ok {
		o.Object = tree.Map(mergeJSON(o.Object, change))
		return nil
	}
	patched, err := strategicpatch.StrategicMergeMapPatch(
		runtime.DeepCopyJSON(o.Object), runtime.DeepCopyJSON(change), reflect.New(t).Interface())
	if err != nil {
		return err
	}
	o.Object = patched
	return nil
}

// mergeJSON is RFC 7396.
func mergeJSON(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged := map[string]any{}
	maps.Copy(merged, tree.Map(target))
	for key, value := range change {
		if value == nil {
			delete(merged, key)
			continue
		}
		merged[key] = mergeJSON(merged[key], value)
	}
	return merged
}
