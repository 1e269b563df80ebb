package managed

import (
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// TestForeignDefaults: what looks like a default of the API server is one in the
// kinds that it serves itself alone. A Gateway comes with a CRD, though its group
// ends in .k8s.io.
func TestForeignDefaults(t *testing.T) {
	for apiVersion, want := range map[string]int{
		"apps/v1":                         0,
		"networking.k8s.io/v1":            0,
		"gateway.networking.k8s.io/v1":    1,
		"snapshot.storage.k8s.io/v1":      1,
		"traefik.io/v1alpha1":             1,
		"flowcontrol.apiserver.k8s.io/v1": 0,
	} {
		live := applytest.Object(t, `
apiVersion: `+apiVersion+`
kind: Thing
metadata:
  name: a
  managedFields:
  - {manager: somebody, operation: Update, apiVersion: `+apiVersion+`, fieldsV1: {"f:spec": {"f:replicas": {}}}}
spec: {replicas: 1}
`)
		desired := applytest.Object(t, "apiVersion: "+apiVersion+"\nkind: Thing\nmetadata: {name: a}\n")
		if got := Foreign(desired, live, nil, nil, false); len(got) != want {
			t.Errorf("%s: foreign fields %v, want %d", apiVersion, got, want)
		}
	}
}
