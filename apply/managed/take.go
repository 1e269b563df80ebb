package managed

import (
	"slices"

	"github.com/fluxcd/pkg/ssa"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Take are the managedFields of an object after the entries of some managers, of
// either operation and no subresource, have become part of our own Apply entry, which
// stands last; nil where there are none. It is how Flux takes objects over from
// kubectl; client-go's csaupgrade leaves alone what `kubectl apply --server-side` owns.
func Take(live *unstructured.Unstructured, managers []string) ([]metav1.ManagedFieldsEntry, error) {
	var taken []ssa.FieldManager
	for _, name := range managers {
		for _, op := range []metav1.ManagedFieldsOperationType{metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate} {
			taken = append(taken, ssa.FieldManager{Name: name, ExactMatch: true, OperationType: op})
		}
	}
	// ssa finds the entry to merge into again only where it stands first: behind
	// another that is merged it would be there twice.
	entries := live.GetManagedFields()
	slices.SortStableFunc(entries, func(a, b metav1.ManagedFieldsEntry) int { return rank(a) - rank(b) })
	ordered := &unstructured.Unstructured{Object: map[string]any{}}
	ordered.SetManagedFields(entries)
	patch, err := ssa.PatchReplaceFieldsManagers(ordered, taken, schema.Manager)
	if err != nil || len(patch) == 0 {
		return nil, err
	}
	return patch[0].Value, nil
}

// rank puts our own entry first.
func rank(e metav1.ManagedFieldsEntry) int {
	if e.Manager == schema.Manager && e.Operation == metav1.ManagedFieldsOperationApply {
		return 0
	}
	return 1
}
