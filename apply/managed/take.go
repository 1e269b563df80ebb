package managed

import (
	"bytes"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Take are the managedFields of an object after the entries of some managers, of
// either operation and no subresource, have become part of our own Apply entry, which
// stands last; nil where there are none. It is how Flux takes objects over from
// kubectl; client-go's csaupgrade leaves alone what `kubectl apply --server-side` owns.
func Take(live *unstructured.Unstructured, managers []string) ([]metav1.ManagedFieldsEntry, error) {
	var ours *metav1.ManagedFieldsEntry
	var rest []metav1.ManagedFieldsEntry
	fields := &fieldpath.Set{}
	taken := false
	for _, e := range live.GetManagedFields() {
		mine := e.Manager == schema.Manager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
		take := e.Subresource == "" && slices.Contains(managers, e.Manager)
		if !mine && !take {
			rest = append(rest, e)
			continue
		}
		taken = taken || take && !mine
		if mine || ours == nil {
			ours = &e
		}
		if e.FieldsV1 == nil {
			continue
		}
		var set fieldpath.Set
		if err := set.FromJSON(e.FieldsV1.GetRawReader()); err != nil {
			return nil, fmt.Errorf("managed fields of %s: %w", e.Manager, err)
		}
		fields = fields.Union(&set)
	}
	if !taken {
		return nil, nil
	}
	var raw bytes.Buffer
	if err := fields.ToJSONStream(&raw); err != nil {
		return nil, fmt.Errorf("managed fields of %s: %w", schema.Manager, err)
	}
	merged := *ours
	merged.Manager, merged.Operation = schema.Manager, metav1.ManagedFieldsOperationApply
	merged.FieldsV1 = metav1.NewFieldsV1(raw.String())
	return append(rest, merged), nil
}
