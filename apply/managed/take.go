package managed

import (
	"encoding/json"
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
	return withoutBinding(live, patch[0].Value)
}

// withoutBinding leaves nobody on record for the volume of a claim, which is bound by a
// controller and cannot be given up: whoever applied what he had read of the cluster
// came to own it, and an apply without it would take it away from us.
func withoutBinding(live *unstructured.Unstructured, entries []metav1.ManagedFieldsEntry) ([]metav1.ManagedFieldsEntry, error) {
	if live.GroupVersionKind().GroupKind().String() != "PersistentVolumeClaim" {
		return entries, nil
	}
	for i, e := range entries {
		if rank(e) != 0 || e.FieldsV1 == nil {
			continue
		}
		n := node{}
		if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &n); err != nil {
			return nil, err
		}
		raw, err := json.Marshal(without(n, node{"f:spec": node{"f:volumeName": node{}}}))
		if err != nil {
			return nil, err
		}
		entries[i].FieldsV1 = metav1.NewFieldsV1(string(raw))
	}
	return entries, nil
}

// rank puts our own entry first.
func rank(e metav1.ManagedFieldsEntry) int {
	if e.Manager == schema.Manager && e.Operation == metav1.ManagedFieldsOperationApply {
		return 0
	}
	return 1
}
