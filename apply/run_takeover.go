package apply

import (
	"context"
	"encoding/json"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// migrate gives evenkeel the fields of the managers that adoption takes over, and
// alone those that git no longer sets, so that the apply after it removes what is not
// desired. Between the two requests nothing of the object but its managedFields has
// changed.
func (r *run) migrate(ctx context.Context, change *Change) (*unstructured.Unstructured, error) {
	if change.live == nil {
		return nil, nil
	}
	entries, err := owners(change)
	if err != nil || reflect.DeepEqual(entries, change.live.GetManagedFields()) {
		return change.live, err
	}
	patch, err := json.Marshal([]any{
		map[string]any{"op": "test", "path": "/metadata/uid", "value": change.live.GetUID()},
		map[string]any{"op": "add", "path": "/metadata/managedFields", "value": entries},
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

// owners are the managedFields of an object before the apply of a change.
func owners(change *Change) ([]metav1.ManagedFieldsEntry, error) {
	if len(change.recorded) > 0 {
		return change.recorded, nil
	}
	entries := change.live.GetManagedFields()
	if len(change.migrate) > 0 {
		taken, err := managed.Take(change.live, change.migrate)
		if err != nil {
			return nil, err
		}
		if len(taken) > 0 {
			entries = taken
		}
	}
	if change.dropped == nil {
		return entries, nil
	}
	return change.dropped.Disown(entries)
}
