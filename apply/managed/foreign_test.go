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

// TestForeignProbe: the server fills in the service that a gRPC probe asks for; another
// one somebody wrote.
func TestForeignProbe(t *testing.T) {
	for service, want := range map[string]int{`""`: 0, "health": 1} {
		live := applytest.Object(t, `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: a
  managedFields:
  - {manager: evenkeel, operation: Apply, apiVersion: apps/v1, fieldsV1: {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:livenessProbe": {"f:grpc": {"f:port": {}}}}}}}}}}
  - {manager: kubectl-edit, operation: Update, apiVersion: apps/v1, fieldsV1: {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:livenessProbe": {"f:grpc": {"f:service": {}}}}}}}}}}
spec: {template: {spec: {containers: [{name: a, livenessProbe: {grpc: {port: 1, service: `+service+`}}}]}}}
`)
		desired := applytest.Object(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, livenessProbe: {grpc: {port: 1}}}]}}}\n")
		if got := Foreign(desired, live, nil, nil, false); len(got) != want {
			t.Errorf("service %s: foreign fields %v, want %d", service, got, want)
		}
	}
}

// TestForeignName: under its plain name evenkeel only applies. An update under it is
// somebody's.
func TestForeignName(t *testing.T) {
	for manager, want := range map[string]int{"evenkeel": 1, "evenkeel-scale": 0, "kubectl-patch": 1} {
		live := applytest.Object(t, `
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  managedFields:
  - {manager: evenkeel, operation: Apply, apiVersion: v1, fieldsV1: {"f:data": {"f:a": {}}}}
  - {manager: `+manager+`, operation: Update, apiVersion: v1, fieldsV1: {"f:data": {"f:b": {}}}}
data: {a: "1", b: "1"}
`)
		desired := applytest.Object(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: \"1\"}\n")
		if got := Foreign(desired, live, nil, nil, false); len(got) != want {
			t.Errorf("manager %s: foreign fields %v, want %d", manager, got, want)
		}
	}
}
