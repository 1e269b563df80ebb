package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// handoverManager owns the fields that an autoscaler took over from evenkeel.
const handoverManager = schema.Manager + "-handover"

// handOver keeps the live value of fields that are no longer rendered because an
// autoscaler has them now. An apply that drops the last owner of a field resets
// it (replicas became 1), so another manager is made an owner first.
func (r *run) handOver(ctx context.Context, change *Change) (*unstructured.Unstructured, error) {
	live := change.live
	if live == nil || len(change.handover) == 0 {
		return live, nil
	}
	return r.handTo(ctx, change, live)
}

// handTo gives the live values of a change to over, in the name of handoverManager.
func (r *run) handTo(ctx context.Context, change *Change, over *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	body := &unstructured.Unstructured{Object: map[string]any{}}
	body.SetAPIVersion(change.APIVersion)
	body.SetKind(change.Kind)
	body.SetNamespace(change.Namespace)
	body.SetName(change.Name)
	for _, pointer := range change.handover {
		path := schema.PointerTokens(pointer)
		value, found, err := unstructured.NestedFieldCopy(change.live.Object, path...)
		if err != nil || !found {
			return nil, fmt.Errorf("%s has no live value to hand over: %w", pointer, err)
		}
		if err := unstructured.SetNestedField(body.Object, value, path...); err != nil {
			return nil, fmt.Errorf("hand over %s: %w", pointer, err)
		}
	}
	return r.patch(ctx, change, body, over, handoverManager)
}
