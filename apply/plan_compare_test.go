package apply

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/schema"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

func TestCompare(t *testing.T) {
	before := environmentOf(t, map[string][]string{
		"web": {`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: app}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - {name: app, image: "img:1", args: [a], ports: [{containerPort: 80, protocol: TCP}], env: [{name: A, value: "1"}]}
      - {name: side}
`, `{apiVersion: v1, kind: Service, metadata: {name: same, namespace: app}}`},
		"gone": {`{apiVersion: v1, kind: Service, metadata: {name: gone, namespace: app}}`},
	})
	after := environmentOf(t, map[string][]string{
		"web": {`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: app}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - {name: app, image: "img:2", args: [a, b], ports: [{containerPort: 80, protocol: TCP, name: http}], env: [{name: B, value: "1"}, {name: A, value: "1"}]}
`, `{apiVersion: v1, kind: Service, metadata: {name: same, namespace: app}}`},
		"new": {`{apiVersion: v1, kind: Service, metadata: {name: new, namespace: app}}`},
	})
	plan := Compare(before, after)
	var got []string
	for _, c := range plan.Changes {
		line := string(c.Action) + " " + c.Unit + " " + c.String()
		if c.Restarts {
			line += " restarts"
		}
		got = append(got, line)
		for _, f := range c.Fields {
			got = append(got, f.Path)
		}
		if hasBefore, hasAfter := c.Before != nil, c.After != nil; hasBefore != (c.Action != Created) || hasAfter != (c.Action != Deleted) {
			t.Errorf("%s %s: before %v, after %v", c.Action, c.Ref, hasBefore, hasAfter)
		}
	}
	want := []string{
		"created new Service/app/new",
		"configured web Deployment/app/web restarts",
		"spec.template.spec.containers[name=app].args",
		"spec.template.spec.containers[name=app].env[name=B]",
		"spec.template.spec.containers[name=app].image",
		"spec.template.spec.containers[name=app].ports[containerPort=80,protocol=TCP].name",
		"spec.template.spec.containers[name=side]",
		"deleted gone Service/app/gone",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[Action]int{Created: 1, Configured: 1, Deleted: 1, Unchanged: 1}, plan.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if !plan.Differs(false) || Compare(after, after).Differs(true) {
		t.Error("Differs is wrong about a comparison")
	}
}

func TestCompareWithNothing(t *testing.T) {
	env := environmentOf(t, map[string][]string{"a": {`{apiVersion: v1, kind: Service, metadata: {name: a}}`}})
	if got := Compare(nil, env); got.Summary[Created] != 1 || got.Environment != "dev" {
		t.Errorf("a new environment: %v", got.Summary)
	}
	if got := Compare(env, nil); got.Summary[Deleted] != 1 || got.Environment != "dev" {
		t.Errorf("a removed environment: %v", got.Summary)
	}
}

func TestCompareNumbersSecretValues(t *testing.T) {
	const secret = "{apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2}}, stringData: {a: hunter2, b: %s, c: hunter2}}"
	plan := Compare(
		environmentOf(t, map[string][]string{"a": {strings.ReplaceAll(secret, "%s", "hunter3")}}),
		environmentOf(t, map[string][]string{"a": {strings.ReplaceAll(secret, "%s", "hunter4")}}),
	)
	change := plan.Changes[0]
	raw, err := json.Marshal([]any{plan, change.Before, change.After})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "hunter") {
		t.Errorf("%s holds a secret", raw)
	}
	want := []managed.Field{{Path: "stringData.b", From: "secret:2", To: "secret:3"}}
	if diff := cmp.Diff(want, change.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// environmentOf is an environment of units, in the order of their names.
func environmentOf(t *testing.T, units map[string][]string) *schema.Environment {
	t.Helper()
	env := &schema.Environment{Name: "dev"}
	for name, objects := range units {
		unit := schema.Unit{Name: name}
		for _, text := range objects {
			unit.Objects = append(unit.Objects, schema.Object{Unstructured: applytest.Object(t, text)})
		}
		env.Units = append(env.Units, unit)
	}
	slices.SortFunc(env.Units, func(a, b schema.Unit) int { return strings.Compare(a.Name, b.Name) })
	return env
}
