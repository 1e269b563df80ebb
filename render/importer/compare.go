package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Compare holds a rendered environment against the objects of the import and
// returns what differs, one for each field: nothing where both are stored alike by
// the API server, in the same order. stored rewrites objects as a rendering does.
func (imp *Import) Compare(env *schema.Environment, stored func([]Object)) []Difference {
	got := map[string]schema.Object{}
	for _, u := range env.Units {
		for _, o := range u.Objects {
			got[identity(o.Object, env.Namespace)] = o
		}
	}
	wanted := make([]Object, len(imp.objects))
	for i, obj := range imp.objects {
		wanted[i] = runtime.DeepCopyJSON(obj)
	}
	stored(wanted)
	unitOf := map[uintptr]string{} // of an app that makes an object
	for i := range imp.Units {
		if app := imp.Units[i].app; app != nil {
			for _, o := range app.made {
				unitOf[pointer(o)] = imp.Units[i].Name
			}
		}
	}
	var diffs []Difference
	for i, want := range wanted {
		unit := unitOf[pointer(imp.objects[i])]
		have, ok := got[identity(want, env.Namespace)]
		if !ok {
			diffs = append(diffs, Difference{unit: unit, text: ref(want) + ": not rendered"})
			continue
		}
		rendered := have.DeepCopy().Object
		for _, pointer := range have.Ignore {
			removeAt(want, pointer)
			removeAt(rendered, pointer)
		}
		for _, d := range differences("", meant(want), meant(rendered)) {
			diffs = append(diffs, Difference{unit: unit, text: ref(want) + ": " + d})
		}
	}
	return diffs
}

// removeAt takes out the field at a JSON pointer (RFC 6901), outside of lists.
func removeAt(obj Object, pointer string) {
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, step := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	last := len(steps) - 1
	delete(mapping(obj, steps[:last]...), steps[last])
}

// Difference is a field that renders differently.
type Difference struct{ unit, text string }

func (d Difference) String() string { return d.text }

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
// ways to write the same, defaults, and what evenkeel adds to its metadata.
func meaning(kinds *typed.Kinds, obj Object) Object {
	gv, _ := kschema.ParseGroupVersion(text(obj, "apiVersion"))
	if t, ok := kinds.Type(gv.WithKind(text(obj, "kind"))); ok {
		kinds.Normalise(obj, t, 0)
	}
	return meant(obj)
}

// meant is the meaning of an object that is normal already.
func meant(obj Object) Object {
	clean(obj)
	dropDefaults(obj)
	delete(mapping(obj, "metadata"), "namespace") // it is part of the identity
	for _, path := range [][]string{{"spec", "template"}, {"spec", "jobTemplate"}, {"spec", "jobTemplate", "spec", "template"}} {
		template := mapping(obj, path...)
		meta := mapping(template, "metadata")
		delete(meta, "creationTimestamp")
		dropEmpty(meta, "annotations", "labels")
		dropEmpty(template, "metadata")
	}
	return obj
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

func sortedNames(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
