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
// returns what differs, one for each field: nothing where both mean the same to
// the API server.
func (imp *Import) Compare(env *schema.Environment) []Difference {
	got := map[string]Object{}
	for _, u := range env.Units {
		for _, o := range u.Objects {
			obj := o.DeepCopy().Object
			got[identity(obj, env.Namespace)] = meaning(imp.kinds, obj)
		}
	}
	var diffs []Difference
	for _, want := range imp.objects {
		have, ok := got[identity(want, env.Namespace)]
		if !ok {
			diffs = append(diffs, Difference{unit: imp.unitOf(want), text: ref(want) + ": not rendered"})
			continue
		}
		obj := (&unstructured.Unstructured{Object: normalNumbers(want)}).Object
		for _, d := range differences("", meaning(imp.kinds, obj), have) {
			diffs = append(diffs, Difference{unit: imp.unitOf(want), text: ref(want) + ": " + d})
		}
	}
	return diffs
}

// Difference is a field that renders differently.
type Difference struct{ unit, text string }

func (d Difference) String() string { return d.text }

// unitOf is the unit of an app that makes an object, "" where it is there whole.
func (imp *Import) unitOf(obj Object) string {
	for i := range imp.Units {
		if imp.Units[i].makes(obj) {
			return imp.Units[i].Name
		}
	}
	return ""
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
		kinds.Normalise(obj, t, 0)
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
	sortKeyed(obj)
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

// sortKeyed sorts the lists whose order means nothing: ports, volumes and where
// they are mounted; environment variables, unless they refer to each other.
func sortKeyed(obj Object) {
	sortBy := func(m any, name string, keys ...string) {
		slices.SortStableFunc(list(m, name), func(a, b any) int {
			for _, key := range keys {
				if c := strings.Compare(fmt.Sprint(at(a, key)), fmt.Sprint(at(b, key))); c != 0 {
					return c
				}
			}
			return 0
		})
	}
	if text(obj, "kind") == "Service" {
		sortBy(mapping(obj, "spec"), "ports", "port", "protocol")
	}
	for _, pod := range podSpecs(obj) {
		sortBy(pod, "volumes", "name")
		sortBy(pod, "imagePullSecrets", "name")
		for _, c := range slices.Concat(list(pod, "initContainers"), list(pod, "containers")) {
			sortBy(c, "ports", "containerPort", "protocol")
			sortBy(c, "volumeMounts", "mountPath")
			refers := slices.ContainsFunc(list(c, "env"), func(e any) bool { return strings.Contains(text(e, "value"), "$(") })
			if !refers {
				sortBy(c, "env", "name")
			}
		}
	}
}

func sortedNames(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
