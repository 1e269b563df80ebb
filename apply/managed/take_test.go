package managed

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestTakeMergesEntries: what other managers own becomes part of our entry; a status
// entry and managers that were not named stay.
func TestTakeMergesEntries(t *testing.T) {
	entry := func(manager string, op metav1.ManagedFieldsOperationType, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: op, APIVersion: "v1", FieldsType: "FieldsV1", Subresource: subresource,
			FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	entries := []metav1.ManagedFieldsEntry{
		entry("kubectl-client-side-apply", metav1.ManagedFieldsOperationUpdate, "", `{"f:data":{"f:a":{}}}`),
		entry("kubectl", metav1.ManagedFieldsOperationApply, "", `{"f:data":{"f:b":{}}}`),
		entry("kubectl", metav1.ManagedFieldsOperationUpdate, "status", `{"f:status":{}}`),
		entry("k9s", metav1.ManagedFieldsOperationUpdate, "", `{"f:data":{"f:c":{}}}`),
		entry("evenkeel", metav1.ManagedFieldsOperationApply, "", `{"f:data":{"f:d":{}}}`),
	}
	live := &unstructured.Unstructured{Object: map[string]any{}}
	live.SetManagedFields(entries)
	got, err := Take(live, []string{"kubectl", "kubectl-client-side-apply"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range got {
		lines = append(lines, strings.Join([]string{e.Manager, string(e.Operation), e.Subresource, string(e.FieldsV1.GetRawBytes())}, " "))
	}
	want := []string{
		`kubectl Update status {"f:status":{}}`,
		`k9s Update  {"f:data":{"f:c":{}}}`,
		`evenkeel Apply  {"f:data":{"f:a":{},"f:b":{},"f:d":{}}}`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	live.SetManagedFields(entries[3:])
	if got, err := Take(live, []string{"kubectl"}); err != nil || got != nil {
		t.Errorf("nothing to migrate, and yet: %v, %v", got, err)
	}
}
