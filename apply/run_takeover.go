package apply

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/fluxcd/pkg/ssa"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// migrate gives evenkeel the fields of the managers that adoption takes over,
// so that the apply after it removes those that are not desired. Between the two
// requests nothing of the object but its managedFields has changed.
//
// The patch is what Flux uses to take objects over from kubectl; client-go's
// csaupgrade leaves alone what `kubectl apply --server-side` owns.
func (r *run) migrate(ctx context.Context, change *Change) (*unstructured.Unstructured, error) {
	if change.live == nil || len(change.migrate) == 0 {
		return change.live, nil
	}
	merged, err := takeEntries(change.live, change.migrate)
	if err != nil || len(merged) == 0 {
		return change.live, err
	}
	patch, err := json.Marshal([]any{
		map[string]any{"op": "test", "path": "/metadata/uid", "value": change.live.GetUID()},
		merged[0],
		map[string]any{"op": "replace", "path": "/metadata/resourceVersion", "value": change.live.GetResourceVersion()},
	})
	if err != nil {
		return nil, err
	}
	client, err := r.client(ctx, change)
	if err != nil {
		return nil, err
	}
	if err := r.mayWrite(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := r.request(ctx)
	defer cancel()
	live, err := client.Patch(ctx, change.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: schema.Manager})
	return live, mask.Error(change.live, err)
}

// takeEntries is the patch of managedFields that merges the entries of some
// managers, of either operation and no subresource, into the Apply entry of
// evenkeel. It is empty where there are none.
func takeEntries(live *unstructured.Unstructured, managers []string) ([]ssa.JSONPatch, error) {
	var taken []ssa.FieldManager
	for _, name := range managers {
		for _, op := range []metav1.ManagedFieldsOperationType{metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate} {
			taken = append(taken, ssa.FieldManager{Name: name, ExactMatch: true, OperationType: op})
		}
	}
	// ssa finds the entry to merge into again only where it stands first: behind
	// another that is merged it would be there twice.
	ordered := &unstructured.Unstructured{Object: map[string]any{}}
	entries := live.GetManagedFields()
	slices.SortStableFunc(entries, func(a, b metav1.ManagedFieldsEntry) int { return rank(a) - rank(b) })
	ordered.SetManagedFields(entries)
	return ssa.PatchReplaceFieldsManagers(ordered, taken, schema.Manager)
}

// rank puts our own entry first.
func rank(e metav1.ManagedFieldsEntry) int {
	if e.Manager == schema.Manager && e.Operation == metav1.ManagedFieldsOperationApply {
		return 0
	}
	return 1
}
