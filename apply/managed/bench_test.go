package managed

import (
	"bytes"
	"encoding/json"
	"testing"

	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// BenchmarkDoubt asks of one Deployment whether an apply changes it: by Doubt, and with
// the libraries that the API server has for it, client-go's types of the built-in kinds
// (custom resources would need the schema of the cluster as well) and field sets of
// structured-merge-diff.
func BenchmarkDoubt(b *testing.B) {
	desired, live := applytest.Object(b, desiredDeployment), applytest.Object(b, liveDeployment)
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if doubt := Doubt(desired, live); doubt != "" {
				b.Fatal(doubt)
			}
		}
	})
	b.Run("libraries", func(b *testing.B) {
		types := applyconfigurations.NewTypeConverter(scheme.Scheme)
		fields, err := json.Marshal(ourApply(entriesOf(live)))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			var owned fieldpath.Set
			if err := owned.FromJSON(bytes.NewReader(fields)); err != nil {
				b.Fatal(err)
			}
			want, err := types.ObjectToTyped(desired)
			if err != nil {
				b.Fatal(err)
			}
			have, err := types.ObjectToTyped(live)
			if err != nil {
				b.Fatal(err)
			}
			set, err := want.ToFieldSet()
			if err != nil {
				b.Fatal(err)
			}
			merged, err := have.Merge(want)
			if err != nil {
				b.Fatal(err)
			}
			changed, err := have.Compare(merged)
			if err != nil {
				b.Fatal(err)
			}
			if !changed.IsSame() || owned.Leaves().Empty() || set.Empty() {
				b.Fatal("an apply changes it")
			}
		}
	})
}
