package apply_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// world is an environment of its own on the test cluster, written in YAML.
type world struct {
	*testing.T
	cluster *apply.Cluster
	editor  editor
	env     *schema.Environment
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	cfg := applytest.Cluster(t)
	c, err := apply.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ns := applytest.Namespace(t, cfg, "plan")
	return &world{T: t, cluster: c, editor: editor{cluster: c}, env: &schema.Environment{Name: ns, Namespace: ns}}
}

// desires adds objects to a unit, labelled as render does. Namespaced objects go
// to the environment's namespace unless they name one; NS stands for it.
func (w *world) desires(unit string, manifests ...string) {
	w.Helper()
	if w.env.Unit(unit) == nil {
		w.env.Units = append(w.env.Units, schema.Unit{Name: unit})
	}
	u := w.env.Unit(unit)
	for _, text := range manifests {
		obj := w.parse(text)
		labels := obj.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[schema.LabelPartOf] = schema.ApplySetID(w.env.Name, w.env.Namespace)
		labels[schema.LabelManagedBy] = schema.Manager
		labels[schema.LabelUnit] = unit
		obj.SetLabels(labels)
		u.Objects = append(u.Objects, schema.Object{Unstructured: obj, Key: obj.GetName()})
		if obj.GetKind() == "CustomResourceDefinition" {
			w.editor.deleteAtEnd(w.T, obj)
		}
	}
}

func (w *world) parse(text string) *unstructured.Unstructured {
	w.Helper()
	raw, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(text, "NS", w.env.Namespace)))
	if err != nil {
		w.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(raw); err != nil {
		w.Fatal(err)
	}
	switch u.GetKind() {
	case "Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding":
	default:
		if u.GetNamespace() == "" {
			u.SetNamespace(w.env.Namespace)
		}
	}
	return u
}

// applied puts everything that is desired onto the cluster as evenkeel would.
func (w *world) applied() {
	w.Helper()
	for _, unit := range w.env.Units {
		for _, o := range unit.Objects {
			w.must(w.editor.apply(w.Context(), o.DeepCopy(), schema.Manager))
		}
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) plan(opts apply.PlanOptions) *apply.Plan {
	w.Helper()
	p, err := w.cluster.Plan(w.Context(), w.env, opts)
	w.must(err)
	return p
}

// patch merges as somebody else.
func (w *world) patch(text, patch, manager string, subresource ...string) {
	w.Helper()
	u := w.parse(text)
	_, err := w.editor.resource(u).Patch(w.Context(), u.GetName(), types.MergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: manager}, subresource...)
	w.must(err)
}

// changes are those of a plan as "action Kind/name: path from -> to by manager".
func changes(p *apply.Plan) []string {
	var lines []string
	for _, c := range p.Changes {
		line := fmt.Sprintf("%s %s/%s", c.Action, c.Kind, c.Name)
		for _, f := range c.Fields {
			line += fmt.Sprintf("; %s: %v -> %v", f.Path, f.From, f.To)
			if f.By != "" {
				line += " by " + f.By
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func (w *world) expect(p *apply.Plan, want ...string) {
	w.Helper()
	if diff := cmp.Diff(want, changes(p)); diff != "" {
		w.Errorf("changes (-want +got):\n%s", diff)
	}
}

const (
	webConfig  = "{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: one}}"
	webService = `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{name: http, port: 80, protocol: TCP}]}}`
	webApp     = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: "harbor.od.com/app/web:1", args: [run]}]
`
)
