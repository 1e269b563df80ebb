package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Compare holds a rendered environment against the objects of the import and
// returns what differs, one line for each field: nothing where both mean the
// same to the API server.
func (imp *Import) Compare(env *schema.Environment) []string {
	kinds := typed.New()
	got := map[string]Object{}
	for _, u := range env.Units {
		for _, o := range u.Objects {
			obj := o.DeepCopy().Object
			got[identity(obj, env.Namespace)] = meaning(kinds, obj)
		}
	}
	var diffs []string
	for _, want := range imp.objects {
		have, ok := got[identity(want, env.Namespace)]
		if !ok {
			diffs = append(diffs, ref(want)+": not rendered")
			continue
		}
		obj := (&unstructured.Unstructured{Object: normalNumbers(want)}).Object
		for _, d := range differences("", meaning(kinds, obj), have) {
			diffs = append(diffs, ref(want)+": "+d)
		}
	}
	return diffs
}

func identity(obj Object, namespace string) string {
	gv, _ := kschema.ParseGroupVersion(text(obj, "apiVersion"))
	gk := kschema.GroupKind{Group: gv.Group, Kind: text(obj, "kind")}
	ns := text(obj, "metadata", "namespace")
	if ns == "" && !typed.ClusterScoped(gk) {
		ns = namespace
	}
	return gk.String() + "/" + ns + "/" + text(obj, "metadata", "name")
}

// meaning is an object without what makes no difference to the API server: other
// ways to write the same, defaults, and what evenkeel adds.
func meaning(kinds *typed.Kinds, obj Object) Object {
	gv, _ := kschema.ParseGroupVersion(text(obj, "apiVersion"))
	if t, ok := kinds.Type(gv.WithKind(text(obj, "kind"))); ok {
		kinds.Normalise(obj, t)
	}
	clean(obj)
	dropDefaults(obj)
	delete(mapping(obj, "metadata"), "namespace") // it is part of the identity
	for _, path := range [][]string{{"spec", "template", "metadata"}, {"spec", "jobTemplate", "spec", "template", "metadata"}} {
		meta := mapping(obj, path...)
		annotations := mapping(meta, "annotations")
		for name := range annotations {
			if strings.HasPrefix(name, "evenkeel.dev/") {
				delete(annotations, name)
			}
		}
		delete(meta, "creationTimestamp")
		dropEmpty(meta, "annotations", "labels")
	}
	return obj
}

// normalNumbers is a copy with the numbers that JSON has.
func normalNumbers(obj Object) Object {
	data, err := json.Marshal(obj)
	if err != nil {
		return obj
	}
	var out unstructured.Unstructured
	if err := out.UnmarshalJSON(data); err != nil {
		return obj
	}
	return out.Object
}

// differences lists the fields that differ.
func differences(path string, want, have any) []string {
	if a, ok := want.([]any); ok {
		if b, ok := have.([]any); ok && len(a) == len(b) {
			var diffs []string
			for i := range a {
				diffs = append(diffs, differences(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])...)
			}
			return diffs
		}
	}
	w, okW := want.(map[string]any)
	h, okH := have.(map[string]any)
	if !okW || !okH {
		if same(want, have) {
			return nil
		}
		return []string{strings.TrimPrefix(path, ".") + fmt.Sprintf(": %s became %s", typed.Describe(want), typed.Describe(have))}
	}
	names := slices.Collect(maps.Keys(w))
	for name := range h {
		if _, ok := w[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var diffs []string
	for _, name := range names {
		diffs = append(diffs, differences(path+"."+name, w[name], h[name])...)
	}
	return diffs
}
