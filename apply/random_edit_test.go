package apply_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// editor does to live objects what people, controllers and other tools do.
type editor struct {
	*rand.Rand
	cluster *apply.Cluster
}

// edit is one kind of live edit. It returns an error where the server refuses or
// where the object has nothing to do it to; both are no edits.
type edit struct {
	name string
	do   func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error
}

type errNothingTo struct{}

func (errNothingTo) Error() string { return "nothing to edit" }

func edits() []edit {
	return []edit{
		{"change a leaf", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			at := e.leaf(desired.Object, nil)
			setAt(live.Object, at, e.other(valueAt(live.Object, at)))
			return e.update(ctx, live, "kubectl-edit")
		}},
		{"remove a leaf", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			at := e.leaf(desired.Object, nil)
			removeAt(live.Object, at)
			return e.update(ctx, live, "kubectl-edit")
		}},
		{"change and change back", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			at := e.leaf(desired.Object, nil)
			was := valueAt(live.Object, at)
			setAt(live.Object, at, e.other(was))
			if err := e.update(ctx, live, "dashboard"); err != nil {
				return err
			}
			again, err := e.resource(live).Get(ctx, live.GetName(), metav1.GetOptions{})
			if err != nil {
				return err
			}
			setAt(again.Object, at, was)
			return e.update(ctx, again, "dashboard")
		}},
		{"scale", func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
			return e.scale(ctx, live, 1+e.IntN(2))
		}},
		{"scale away and back", func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
			was, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
			if err := e.scale(ctx, live, int(was)+1); err != nil {
				return err
			}
			return e.scale(ctx, live, int(was))
		}},
		{"add a label", Merge(func(e *editor, _ *unstructured.Unstructured) string {
			return `{"metadata":{"labels":{"foreign` + strconv.Itoa(e.IntN(3)) + `":"x"}}}`
		})},
		{"change a label of ours", Merge(func(*editor, *unstructured.Unstructured) string {
			return `{"metadata":{"labels":{"tier":"changed"}}}`
		})},
		{"remove the set's label", Merge(func(*editor, *unstructured.Unstructured) string {
			return `{"metadata":{"labels":{"` + schema.LabelPartOf + `":null}}}`
		})},
		{"put another set's label", Merge(func(*editor, *unstructured.Unstructured) string {
			return `{"metadata":{"labels":{"` + schema.LabelPartOf + `":"` + schema.ApplySetID("other", "other") + `"}}}`
		})},
		{"add an annotation", Merge(func(*editor, *unstructured.Unstructured) string {
			return `{"metadata":{"annotations":{"foreign":"x"}}}`
		})},
		{"remove all annotations", Merge(func(*editor, *unstructured.Unstructured) string {
			return `{"metadata":{"annotations":null}}`
		})},
		{"put an item first", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editList(ctx, live, desired, func(list []any) []any {
				return slices.Insert(list, 0, e.newItem(list))
			})
		}},
		{"put an item last", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editList(ctx, live, desired, func(list []any) []any { return append(list, e.newItem(list)) })
		}},
		{"put an item between", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editList(ctx, live, desired, func(list []any) []any {
				return slices.Insert(list, min(1, len(list)), e.newItem(list))
			})
		}},
		{"remove an item", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editList(ctx, live, desired, func(list []any) []any {
				i := e.IntN(len(list))
				return slices.Delete(list, i, i+1)
			})
		}},
		{"repeat an item", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editList(ctx, live, desired, func(list []any) []any { return append(list, list[0]) })
		}},
		{"repeat an environment variable", func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
			at := []any{"spec", "template", "spec", "containers", 0, "env"}
			env, _ := valueAt(live.Object, at).([]any)
			if len(env) == 0 {
				return errNothingTo{}
			}
			setAt(live.Object, at, append(env, env[e.IntN(len(env))]))
			return e.update(ctx, live, "kubectl-edit")
		}},
		{"apply in another version as ourselves", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			if live.GetKind() != "HorizontalPodAutoscaler" {
				return errNothingTo{}
			}
			u := desired.DeepCopy()
			u.SetAPIVersion("autoscaling/v1")
			unstructured.RemoveNestedField(u.Object, "spec", "metrics")
			unstructured.RemoveNestedField(u.Object, "spec", "behavior")
			return e.apply(ctx, u, schema.Manager)
		}},
		{"reorder a list", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editList(ctx, live, desired, func(list []any) []any { slices.Reverse(list); return list })
		}},
		{"empty a list", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editList(ctx, live, desired, func([]any) []any { return []any{} })
		}},
		{"add a key to a map", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editMap(ctx, live, desired, func(m map[string]any) { m["zz"] = "foreign" })
		}},
		{"empty a map", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			return e.editMap(ctx, live, desired, func(m map[string]any) { clear(m) })
		}},
		{"fill an empty directory", func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
			volumes, _, _ := unstructured.NestedFieldNoCopy(live.Object, "spec", "template", "spec", "volumes")
			list, _ := volumes.([]any)
			if len(list) == 0 {
				return errNothingTo{}
			}
			list[0].(map[string]any)["emptyDir"] = map[string]any{"sizeLimit": "1Mi"}
			return e.update(ctx, live, "kubectl-edit")
		}},
		{"add a finalizer", jsonPatch(`[{"op":"add","path":"/metadata/finalizers/-","value":"example.com/foreign"}]`)},
		{"swap finalizers", jsonPatch(`[{"op":"replace","path":"/metadata/finalizers","value":["example.com/b","example.com/a"]}]`)},
		{"remove the finalizers", jsonPatch(`[{"op":"remove","path":"/metadata/finalizers"}]`)},
		{"strip managedFields", jsonPatch(`[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`)},
		{"apply the same as another", func(ctx context.Context, e *editor, _ *unstructured.Unstructured, desired *schema.Object) error {
			return e.apply(ctx, desired.DeepCopy(), "other-tool")
		}},
		{"apply another leaf as another", func(ctx context.Context, e *editor, _ *unstructured.Unstructured, desired *schema.Object) error {
			u := desired.DeepCopy()
			at := e.leaf(u.Object, nil)
			setAt(u.Object, at, e.other(valueAt(u.Object, at)))
			return e.apply(ctx, u, "other-tool")
		}},
		{"apply less as ourselves", func(ctx context.Context, e *editor, _ *unstructured.Unstructured, desired *schema.Object) error {
			u := desired.DeepCopy()
			removeAt(u.Object, e.leaf(u.Object, nil))
			return e.apply(ctx, u, schema.Manager)
		}},
		{"apply more as ourselves", func(ctx context.Context, e *editor, _ *unstructured.Unstructured, desired *schema.Object) error {
			u := desired.DeepCopy()
			u.SetAnnotations(map[string]string{"more": "x"})
			return e.apply(ctx, u, schema.Manager)
		}},
		{"update as ourselves", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			at := e.leaf(desired.Object, nil)
			setAt(live.Object, at, e.other(valueAt(live.Object, at)))
			return e.update(ctx, live, schema.Manager)
		}},
		{"write status", func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
			_, err := e.resource(live).Patch(ctx, live.GetName(), types.MergePatchType,
				[]byte(`{"status":{"conditions":[{"type":"X","status":"True","reason":"r","message":"m","lastTransitionTime":"2026-11-21T10:00:00Z"}]}}`),
				metav1.PatchOptions{FieldManager: "controller"}, "status")
			return err
		}},
		{"delete", func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
			return e.resource(live).Delete(ctx, live.GetName(), metav1.DeleteOptions{})
		}},
		{"delete, held by a finalizer", func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
			live.SetFinalizers(append(live.GetFinalizers(), "example.com/held"))
			if err := e.update(ctx, live, "kubectl-edit"); err != nil {
				return err
			}
			return e.resource(live).Delete(ctx, live.GetName(), metav1.DeleteOptions{})
		}},
		{"delete and create plainly", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			if len(live.GetFinalizers()) > 0 {
				return errNothingTo{}
			}
			if err := e.resource(live).Delete(ctx, live.GetName(), metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}); err != nil {
				return err
			}
			_, err := e.resource(live).Create(ctx, desired.DeepCopy(), metav1.CreateOptions{FieldManager: "kubectl-create"})
			return err
		}},
		{"desire another leaf", func(_ context.Context, e *editor, _ *unstructured.Unstructured, desired *schema.Object) error {
			at := e.leaf(desired.Object, nil)
			setAt(desired.Object, at, e.other(valueAt(desired.Object, at)))
			return nil
		}},
		{"desire one leaf less", func(_ context.Context, e *editor, _ *unstructured.Unstructured, desired *schema.Object) error {
			removeAt(desired.Object, e.leaf(desired.Object, nil))
			return nil
		}},
		{"desire what somebody added", func(ctx context.Context, e *editor, live *unstructured.Unstructured, desired *schema.Object) error {
			desired.SetAnnotations(map[string]string{"foreign": "x"})
			live.SetAnnotations(map[string]string{"foreign": "x"})
			return e.update(ctx, live, "kubectl-edit")
		}},
	}
}

func Merge(patch func(*editor, *unstructured.Unstructured) string) func(context.Context, *editor, *unstructured.Unstructured, *schema.Object) error {
	return func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
		_, err := e.resource(live).Patch(ctx, live.GetName(), types.MergePatchType, []byte(patch(e, live)),
			metav1.PatchOptions{FieldManager: "kubectl-label"})
		return err
	}
}

func jsonPatch(patch string) func(context.Context, *editor, *unstructured.Unstructured, *schema.Object) error {
	return func(ctx context.Context, e *editor, live *unstructured.Unstructured, _ *schema.Object) error {
		_, err := e.resource(live).Patch(ctx, live.GetName(), types.JSONPatchType, []byte(patch),
			metav1.PatchOptions{FieldManager: "kubectl-patch"})
		return err
	}
}

func (e *editor) resource(u *unstructured.Unstructured) dynamic.ResourceInterface {
	gvk := u.GroupVersionKind()
	m, err := e.cluster.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		panic(err)
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		return e.cluster.Dynamic.Resource(m.Resource).Namespace(u.GetNamespace())
	}
	return e.cluster.Dynamic.Resource(m.Resource)
}

// deleteAtEnd cleans up what lives in no namespace: every further CRD makes the
// deletion of every namespace slower.
func (e *editor) deleteAtEnd(t *testing.T, u *unstructured.Unstructured) {
	t.Helper()
	resource := e.resource(u)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := resource.Delete(ctx, u.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Logf("delete %s: %v", u.GetName(), err)
		}
	})
}

func (e *editor) update(ctx context.Context, u *unstructured.Unstructured, manager string) error {
	u.SetResourceVersion("")
	_, err := e.resource(u).Update(ctx, u, metav1.UpdateOptions{FieldManager: manager})
	return err
}

func (e *editor) apply(ctx context.Context, u *unstructured.Unstructured, manager string) error {
	_, err := e.resource(u).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: manager, Force: true})
	return err
}

func (e *editor) scale(ctx context.Context, u *unstructured.Unstructured, replicas int) error {
	if k := u.GetKind(); k != "Deployment" && k != "StatefulSet" {
		return errNothingTo{}
	}
	_, err := e.resource(u).Patch(ctx, u.GetName(), types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{FieldManager: "kubectl-scale"}, "scale")
	return err
}

// editList edits one random list of the object, where desired has one too.
func (e *editor) editList(ctx context.Context, live *unstructured.Unstructured, desired *schema.Object, change func([]any) []any) error {
	var lists [][]any
	walk(desired.Object, nil, func(at []any, v any) {
		if l, ok := valueAt(live.Object, at).([]any); ok && len(l) > 0 {
			if _, both := v.([]any); both {
				lists = append(lists, at)
			}
		}
	})
	if len(lists) == 0 {
		return errNothingTo{}
	}
	at := lists[e.IntN(len(lists))]
	list, _ := valueAt(live.Object, at).([]any)
	setAt(live.Object, at, change(list))
	return e.update(ctx, live, "kubectl-edit")
}

func (e *editor) editMap(ctx context.Context, live *unstructured.Unstructured, desired *schema.Object, change func(map[string]any)) error {
	var maps [][]any
	walk(desired.Object, nil, func(at []any, v any) {
		if _, ok := v.(map[string]any); ok && len(at) > 1 {
			if _, both := valueAt(live.Object, at).(map[string]any); both {
				maps = append(maps, at)
			}
		}
	})
	if len(maps) == 0 {
		return errNothingTo{}
	}
	m, _ := valueAt(live.Object, maps[e.IntN(len(maps))]).(map[string]any)
	change(m)
	return e.update(ctx, live, "kubectl-edit")
}

// newItem resembles the items of a list, with another name or number.
func (e *editor) newItem(list []any) any {
	if len(list) == 0 {
		return "foreign"
	}
	raw, _ := json.Marshal(list[0])
	var item any
	_ = json.Unmarshal(raw, &item)
	switch v := item.(type) {
	case map[string]any:
		for _, k := range []string{"name", "key", "mountPath", "host", "ip", "port", "containerPort", "id"} {
			if was, ok := v[k]; ok {
				v[k] = e.other(was)
			}
		}
		return v
	default:
		return e.other(v)
	}
}

// leaf is the path of a random leaf that is not the object's name.
func (e *editor) leaf(object map[string]any, _ []any) []any {
	var leaves [][]any
	walk(object, nil, func(at []any, v any) {
		switch v := v.(type) {
		case map[string]any:
			if len(v) > 0 {
				return
			}
		case []any:
			if len(v) > 0 {
				return
			}
		}
		if len(at) < 2 || at[0] == "metadata" && (at[1] == "name" || at[1] == "namespace") {
			return
		}
		leaves = append(leaves, at)
	})
	return leaves[e.IntN(len(leaves))]
}

// other is a value of the same type.
func (e *editor) other(v any) any {
	switch v := v.(type) {
	case string:
		return strings.TrimRight(v, "=") + strconv.Itoa(e.IntN(10))
	case int64:
		return v + 1
	case float64:
		return v + 1
	case bool:
		return !v
	case map[string]any:
		return map[string]any{"medium": "Memory"}
	case []any:
		return append(v, "foreign")
	}
	return "foreign"
}

// walk visits every value below v in a stable order. Paths consist of field names
// and indexes.
func walk(v any, at []any, visit func(at []any, v any)) {
	if len(at) > 0 {
		visit(slices.Clone(at), v)
	}
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			walk(v[k], append(at, k), visit)
		}
	case []any:
		for i := range v {
			walk(v[i], append(at, i), visit)
		}
	}
}

func valueAt(v any, at []any) any {
	for _, step := range at {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

func setAt(v any, at []any, value any) {
	parent := valueAt(v, at[:len(at)-1])
	switch last := at[len(at)-1].(type) {
	case string:
		if m, ok := parent.(map[string]any); ok {
			m[last] = value
		}
	case int:
		if l, ok := parent.([]any); ok && last < len(l) {
			l[last] = value
		}
	}
}

func removeAt(v any, at []any) {
	parent := valueAt(v, at[:len(at)-1])
	switch last := at[len(at)-1].(type) {
	case string:
		if m, ok := parent.(map[string]any); ok {
			delete(m, last)
		}
	case int:
		if l, ok := parent.([]any); ok && last < len(l) {
			setAt(v, at[:len(at)-1], slices.Delete(l, last, last+1))
		}
	}
}
