package managed

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestDrop lets go of a variable, and of a label, that others own too.
func TestDrop(t *testing.T) {
	object := func(text string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
			t.Fatal(err)
		}
		return u
	}
	const fix = `'k:{"name":"FIX"}': {".": {}, "f:name": {}, "f:value": {}}`
	live := func(ours, by string) *unstructured.Unstructured {
		return object(`
apiVersion: example.org/v1
kind: Thing
metadata:
  managedFields:
  - {manager: evenkeel, operation: Apply, apiVersion: example.org/v1, fieldsV1: {f:spec: {f:containers: {'k:{"name":"c"}': {".": {}, "f:name": {}, f:env: {` + ours + `}}}}}}
  - ` + by + `
spec: {containers: [{name: c, env: [{name: FIX, value: "1"}, {name: OTHER, value: "2"}]}]}
`)
	}
	theirs := func(manager, operation string) string {
		return `{manager: ` + manager + `, operation: ` + operation + `, apiVersion: example.org/v1, fieldsV1: {f:spec: {f:containers: {'k:{"name":"c"}': {f:env: {` + fix + `, 'k:{"name":"OTHER"}': {".": {}, "f:name": {}, "f:value": {}}}}}}}}`
	}
	const path = "spec.containers[name=c].env[name=FIX]"
	for _, test := range []struct {
		name, by    string
		force       bool
		controllers []string
		want        []string // removed, meant, stay
	}{
		{name: "by hand", by: theirs("kubectl-set", "Update"), want: []string{"removed " + path + " (kubectl-set)"}},
		{name: "another apply", by: theirs("argocd-controller", "Apply"), want: []string{"meant " + path + " (argocd-controller)"}},
		{name: "another apply, by force", by: theirs("argocd-controller", "Apply"), force: true, want: []string{"removed " + path + " (argocd-controller)"}},
		{name: "kubectl apply --server-side", by: theirs("kubectl", "Apply"), want: []string{"removed " + path + " (kubectl)"}},
		{name: "a controller of the environment", by: theirs("flagger", "Update"), controllers: []string{"flagger"}, want: []string{"stay " + path + " (flagger)"}},
		{name: "a component of Kubernetes", by: theirs("kube-controller-manager", "Update"), want: []string{"stay " + path + " (kube-controller-manager)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			after := live("", test.by)
			d := Drop(live(fix, test.by), after, Policy{Controllers: test.controllers}, test.force)
			var got []string
			for _, f := range d.Removed {
				got = append(got, "removed "+f.Path+" ("+f.By+")")
			}
			for _, text := range d.Meant {
				got = append(got, "meant "+text)
			}
			for _, text := range d.Stay {
				got = append(got, "stay "+text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			entries, err := d.Disown(after.GetManagedFields())
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, e := range entries {
				if e.Manager != "evenkeel" {
					left = append(left, string(e.FieldsV1.GetRawBytes()))
				}
			}
			full := []string{string(after.GetManagedFields()[1].FieldsV1.GetRawBytes())}
			if len(d.Removed) > 0 {
				full = []string{`{"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{"f:env":{"k:{\"name\":\"OTHER\"}":{".":{},"f:name":{},"f:value":{}}}}}}}`}
			}
			if diff := cmp.Diff(full, left); diff != "" {
				t.Errorf("what others own then (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("nothing is left of an entry", func(t *testing.T) {
		by := `{manager: kubectl-set, operation: Update, apiVersion: example.org/v1, fieldsV1: {f:spec: {f:containers: {'k:{"name":"c"}': {f:env: {` + fix + `}}}}}}`
		d := Drop(live(fix, by), live("", by), Policy{}, false)
		entries, err := d.Disown(live(fix, by).GetManagedFields())
		if err != nil || len(entries) != 1 || entries[0].Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("got %v, %v", entries, err)
		}
	})
}
