package apply

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestHeldByWhatIsDeletedLast moves a node port and a host port to another name.
func TestHeldByWhatIsDeletedLast(t *testing.T) {
	object := func(text string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
			t.Fatal(err)
		}
		return u
	}
	wanted := func(text string, action Action, refused string) *item {
		u := object(text)
		it := &item{obj: &schema.Object{Unstructured: u}, ref: schema.RefOf(u)}
		it.change = &Change{Action: action, Ref: it.ref, Refused: refused, Hint: "another Service has the port"}
		return it
	}
	pruned := func(text string) Change {
		u := object(text)
		return Change{Action: Deleted, Ref: schema.RefOf(u), live: u}
	}
	const pods = `spec: {template: {spec: {containers: [{name: c, ports: [{containerPort: 80, hostPort: 8081, protocol: TCP}]}]}}}`
	port := wanted(`{apiVersion: v1, kind: Service, metadata: {name: edge-out, namespace: a}}`, Rejected, `spec.ports[0].nodePort: Invalid value: 30880: provided port is already allocated`)
	other := wanted(`{apiVersion: v1, kind: Service, metadata: {name: edge-2, namespace: a}}`, Rejected, `spec.ports[0].nodePort: Invalid value: 30881: provided port is already allocated`)
	moved := wanted(`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: ingress, namespace: b}, `+pods+`}`, Created, "")
	p := &planner{
		plan: &Plan{}, items: []*item{port, other, moved},
		pruned: []Change{
			pruned(`{apiVersion: v1, kind: Service, metadata: {name: edge-ext, namespace: a}, spec: {clusterIP: 10.0.0.7, ports: [{port: 80, nodePort: 30880}]}}`),
			pruned(`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: ingress, namespace: a}, ` + pods + `}`),
		},
	}
	p.sayHeld()
	if want := "Service/a/edge-ext has it, and is deleted last: delete it first: kubectl -n a delete service edge-ext"; port.change.Hint != want {
		t.Errorf("got %q, want %q", port.change.Hint, want)
	}
	if other.change.Hint != "another Service has the port" {
		t.Errorf("a port that nothing of the plan has is hinted at: %q", other.change.Hint)
	}
	if len(p.plan.Warnings) != 1 || !strings.Contains(p.plan.Warnings[0], "DaemonSet/b/ingress: DaemonSet/a/ingress has host port 8081") ||
		!strings.Contains(p.plan.Warnings[0], "kubectl -n a delete daemonset ingress") {
		t.Errorf("got %q", p.plan.Warnings)
	}
}
