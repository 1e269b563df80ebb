package managed

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "k8s.io/apimachinery/pkg/util/json"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// FuzzLiveObjects feeds what a cluster may hold, well-formed or not, to everything
// that reads it. Nothing may panic, and what is proven unchanged must not differ.
func FuzzLiveObjects(f *testing.F) {
	add := func(desired, live *unstructured.Unstructured) {
		d, err := json.Marshal(desired.Object)
		if err != nil {
			f.Fatal(err)
		}
		l, err := json.Marshal(live.Object)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(d, l, "/spec/replicas")
	}
	t := &testing.T{} // Object fails on no constant of this package
	add(applytest.Object(t, desiredDeployment), applytest.Object(t, liveDeployment))
	f.Add([]byte(`{"metadata":{"name":"a"},"l":[{"name":"x"}]}`),
		[]byte(`{"metadata":{"name":"a","managedFields":[{"manager":"evenkeel","operation":"Apply","fieldsV1":{"f:l":{"k:{\"name\":\"x\"}":{".":{},"f:name":{}}}}},7,{"manager":7}]},"l":[{"name":"x"},{"name":"x"},3]}`), "/l/0")
	f.Fuzz(func(t *testing.T, d, l []byte, pointer string) {
		desired, live := &unstructured.Unstructured{}, &unstructured.Unstructured{}
		if kjson.Unmarshal(d, &desired.Object) != nil || kjson.Unmarshal(l, &live.Object) != nil || desired.Object == nil || live.Object == nil {
			t.Skip()
		}
		obj := &schema.Object{Unstructured: desired, Ignore: []string{pointer}}
		want := Effective(obj, live)
		if Doubt(want, live) == "" {
			if diffs := LocalDifferences(want, live); len(diffs) > 0 {
				t.Errorf("proven unchanged, and yet %s differs", diffs[0].Path)
			}
		}
		for _, field := range append(Fields(Differences(live, desired)), Fields(RenderedDifferences(live, desired))...) {
			_ = field.Path
		}
		Foreign(desired, live, desired, nil, true)
		Adopt(live, desired)
		Drop(live, desired, Policy{}, false)
		OwnBody(live, desired)
		ImmutableChanges(live, LocalDifferences(desired, live))
		Ownership(live)
		LastWrite(live, "spec")
	})
}
