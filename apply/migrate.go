package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// migrate gives evenkeel the fields of the managers that adoption takes over,
// so that the apply after it removes those that are not desired. Between the two
// requests nothing of the object but its managedFields has changed.
//
// client-go's csaupgrade does the same for client-side apply, but leaves alone
// what `kubectl apply --server-side` and other operations of these managers own.
func (r *run) migrate(ctx context.Context, change *Change) (*unstructured.Unstructured, error) {
	if change.live == nil || len(change.migrate) == 0 {
		return change.live, nil
	}
	entries, changed, err := migrated(change.live.GetManagedFields(), change.migrate, change.APIVersion)
	if err != nil || !changed {
		return change.live, err
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": change.live.GetUID()},
		{"op": "replace", "path": "/metadata/managedFields", "value": entries},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": change.live.GetResourceVersion()},
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
	return live, maskError(change.live, err)
}

// migrated is managedFields with the entries of some managers merged into the
// Apply entry of evenkeel. Entries of a subresource stay with their manager.
func migrated(entries []metav1.ManagedFieldsEntry, managers []string, apiVersion string) ([]metav1.ManagedFieldsEntry, bool, error) {
	ours := fieldpath.NewSet()
	var out []metav1.ManagedFieldsEntry
	changed := false
	for _, e := range entries {
		mine := e.Manager == schema.Manager && e.Operation == metav1.ManagedFieldsOperationApply
		taken := slices.Contains(managers, e.Manager)
		if e.Subresource != "" || e.FieldsV1 == nil || !mine && !taken {
			out = append(out, e)
			continue
		}
		var set fieldpath.Set
		if err := set.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())); err != nil {
			return nil, false, fmt.Errorf("managedFields of %s: %w", e.Manager, err)
		}
		ours = ours.Union(&set)
		changed = changed || taken
	}
	if !changed {
		return entries, false, nil
	}
	raw, err := ours.ToJSON()
	if err != nil {
		return nil, false, err
	}
	return append(out, metav1.ManagedFieldsEntry{
		Manager:    schema.Manager,
		Operation:  metav1.ManagedFieldsOperationApply,
		APIVersion: apiVersion,
		Time:       new(metav1.Now()),
		FieldsType: "FieldsV1",
		FieldsV1:   metav1.NewFieldsV1(string(raw)),
	}), true, nil
}
