package managed

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// TestOwnershipOfTwoEntries takes what the API server kept as two entries of one
// manager after writes to the scale subresource for what it answers to a dry-run: one.
func TestOwnershipOfTwoEntries(t *testing.T) {
	const ours = `{manager: evenkeel, operation: Apply, apiVersion: apps/v1, fieldsV1: {"f:spec": {"f:template": {}}}}`
	entry := func(subresource, fields string) string {
		return `, {manager: y, operation: Update, apiVersion: apps/v1, subresource: "` + subresource + `", fieldsV1: {"f:spec": {` + fields + `}}}`
	}
	live := func(entries string) *unstructured.Unstructured {
		return applytest.Object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, managedFields: [`+ours+entries+`]}}`)
	}
	one := live(entry("scale", `"f:replicas": {}`))
	for name, test := range map[string]struct {
		entries string
		same    bool
	}{
		"twice the same":       {entry("scale", `"f:replicas": {}`) + entry("scale", `"f:replicas": {}`), true},
		"more in the second":   {entry("scale", `"f:replicas": {}`) + entry("scale", `"f:paused": {}`), false},
		"not by a subresource": {entry("scale", `"f:replicas": {}`) + entry("", `"f:replicas": {}`), false},
	} {
		if same := reflect.DeepEqual(Ownership(live(test.entries)), Ownership(one)); same != test.same {
			t.Errorf("%s: equal is %v: %v", name, same, Ownership(live(test.entries)))
		}
	}
}
