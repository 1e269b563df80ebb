package canary_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/canary"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// object makes one from JSON.
func object(t *testing.T, text string) schema.Object {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return schema.Object{Unstructured: u, Key: strings.ToLower(u.GetKind())}
}

// app is a unit as the schema makes them: a Deployment that reads a ConfigMap and a
// Secret, with its Service, in a version.
func app(t *testing.T, name, version string, steps ...schema.CanaryStep) schema.Unit {
	t.Helper()
	u := schema.Unit{Name: name, Canary: &schema.Canary{Steps: steps}}
	for _, text := range []string{
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"NAME-files","namespace":"ns"},"data":{"v":"VERSION"}}`,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"NAME-same","namespace":"ns"},"data":{"v":"always"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"NAME-secret","namespace":"ns"},"stringData":{"v":"VERSION"}}`,
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"NAME","namespace":"ns","labels":{"evenkeel.dev/unit":"NAME"}},"spec":{"replicas":4,
		  "selector":{"matchLabels":{"app.kubernetes.io/name":"NAME"}},
		  "template":{"metadata":{"labels":{"app.kubernetes.io/name":"NAME"}},"spec":{
		    "containers":[{"name":"main","image":"example.org/NAME:VERSION",
		      "env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"NAME-secret","key":"v"}}},{"name":"B","valueFrom":{"configMapKeyRef":{"name":"NAME-same","key":"v"}}}],
		      "envFrom":[{"configMapRef":{"name":"NAME-files"}},{"secretRef":{"name":"others"}}]}],
		    "volumes":[{"name":"files","configMap":{"name":"NAME-files"}},{"name":"secret","secret":{"secretName":"NAME-secret"}},
		      {"name":"all","projected":{"sources":[{"configMap":{"name":"NAME-files"}},{"secret":{"name":"NAME-secret"}}]}}]}}}}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"NAME","namespace":"ns"},"spec":{"selector":{"app.kubernetes.io/name":"NAME"}}}`,
	} {
		u.Objects = append(u.Objects, object(t, strings.NewReplacer("NAME", name, "VERSION", version).Replace(text)))
	}
	return u
}

func environment(units ...schema.Unit) *schema.Environment {
	return &schema.Environment{Name: "e", Namespace: "ns", Units: units}
}

// summary is the unit as one line an object: its name, image, replicas and what it reads.
func summary(t *testing.T, u *schema.Unit) string {
	t.Helper()
	var lines []string
	for _, o := range u.Objects {
		line := schema.RefOf(o.Unstructured).String()
		if o.GetKind() == "Deployment" {
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
			line += fmt.Sprintf(" %v x%d", containers[0].(map[string]any)["image"], replicas)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func all(string) bool { return true }

var steps = []schema.CanaryStep{{Pods: 1}, {Percent: 50}}

func TestCompose(t *testing.T) {
	base, desired := environment(app(t, "a", "1", steps...)), environment(app(t, "a", "2", steps...))
	begin, err := canary.Compose(desired, base, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	if begin.Begun || begin.State.Step != 0 || begin.State.Replicas != 4 {
		t.Errorf("the beginning: %+v", begin.State)
	}
	want := `ConfigMap/ns/a-files
ConfigMap/ns/a-same
Secret/ns/a-secret
Deployment/ns/a example.org/a:1 x4
Service/ns/a
ConfigMap/ns/a-files-canary
Secret/ns/a-secret-canary
Deployment/ns/a-canary example.org/a:2 x1`
	if got := summary(t, begin.Environment.Unit("a")); got != want {
		t.Errorf("step 1:\n%s\nwant\n%s", got, want)
	}

	// What the app has is byte for byte what was applied last.
	was, is := base.Unit("a").Objects, begin.Environment.Unit("a").Objects
	for i := range was {
		if a, b := text(t, was[i].Object), text(t, is[i].Object); a != b {
			t.Errorf("%s was touched:\n%s\n%s", schema.RefOf(was[i].Unstructured), a, b)
		}
	}

	// The second Deployment is told from the first by one label, and reads copies.
	second := text(t, is[len(is)-1].Object)
	for _, part := range []string{
		`"selector":{"matchLabels":{"app.kubernetes.io/name":"a","evenkeel.dev/canary":"a"}}`,
		`"secretKeyRef":{"key":"v","name":"a-secret-canary"}`, `"configMapKeyRef":{"key":"v","name":"a-same"}`,
		`"configMapRef":{"name":"a-files-canary"}`, `"secretRef":{"name":"others"}`, `"secretName":"a-secret-canary"`,
		`"sources":[{"configMap":{"name":"a-files-canary"}},{"secret":{"name":"a-secret-canary"}}]`,
	} {
		if !strings.Contains(second, part) {
			t.Errorf("not in the canary: %s\n%s", part, second)
		}
	}

	// It goes on where it stands, and at last the app is as git says.
	next := begin.State.Next(2)
	half, err := canary.Compose(desired, base, &next, all)
	if err != nil {
		t.Fatal(err)
	}
	if !half.Begun || half.Pods() != 2 {
		t.Errorf("step 2: %+v, %d pods", half.State, half.Pods())
	}
	last := next.Next(2)
	end, err := canary.Compose(desired, base, &last, all)
	if err != nil {
		t.Fatal(err)
	}
	if !end.State.Last || text(t, end.Environment.Units) != text(t, desired.Units) {
		t.Errorf("the last step: %+v\n%s", end.State, summary(t, end.Environment.Unit("a")))
	}

	// Level: no canary, whatever the record says.
	level, err := canary.Compose(desired, desired, &last, all)
	if err != nil || level.State != nil {
		t.Errorf("level: %+v, %v", level.State, err)
	}
}

// TestComposeEnv has variables that the canary alone has.
func TestComposeEnv(t *testing.T) {
	base, desired := environment(app(t, "a", "1", steps...)), environment(app(t, "a", "2", steps...))
	desired.Unit("a").Canary.Env = []schema.CanaryEnv{
		{Deployment: "a", Container: "main", Name: "NEW", Value: "0.1"},
		{Deployment: "a", Container: "main", Name: "OPTS", Value: " -Dweight=10", Append: true},
		{Deployment: "a", Container: "main", Name: "A", Value: "plain"},
		{Deployment: "a", Container: "none", Name: "X", Value: "x"},
		{Deployment: "b", Container: "main", Name: "X", Value: "x"},
	}
	for _, env := range []*schema.Environment{base, desired} {
		containers, _, _ := unstructured.NestedSlice(env.Unit("a").Objects[3].Object, "spec", "template", "spec", "containers")
		container := containers[0].(map[string]any)
		container["env"] = append(container["env"].([]any), map[string]any{"name": "OPTS", "value": "-Xmx1g"})
		if err := unstructured.SetNestedSlice(env.Unit("a").Objects[3].Object, containers, "spec", "template", "spec", "containers"); err != nil {
			t.Fatal(err)
		}
	}
	before := text(t, desired.Units)
	c, err := canary.Compose(desired, base, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	objects := c.Environment.Unit("a").Objects
	want := `"env":[{"name":"A","value":"plain"},{"name":"B","valueFrom":{"configMapKeyRef":{"key":"v","name":"a-same"}}},{"name":"OPTS","value":"-Xmx1g -Dweight=10"},{"name":"NEW","value":"0.1"}]`
	if got := text(t, objects[len(objects)-1].Object); !strings.Contains(got, want) {
		t.Errorf("the canary has\n%s\nwant\n%s", got, want)
	}
	if got := text(t, objects[3].Object); strings.Contains(got, "weight") || strings.Contains(got, "NEW") {
		t.Errorf("the app has them too:\n%s", got)
	}
	if after := text(t, desired.Units); after != before {
		t.Error("what git says was changed")
	}
}

func TestComposeThirdVersion(t *testing.T) {
	base, second, third := environment(app(t, "a", "1", steps...)), environment(app(t, "a", "2", steps...)), environment(app(t, "a", "3", steps...))
	begun, err := canary.Compose(second, base, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	state := begun.State.Next(2)
	c, err := canary.Compose(third, base, &state, all)
	if err != nil {
		t.Fatal(err)
	}
	if c.Begun || c.State.Step != 0 {
		t.Errorf("a third version goes on with the second one's canary: %+v", c.State)
	}
	if got := summary(t, c.Environment.Unit("a")); !strings.Contains(got, "Deployment/ns/a example.org/a:1 x4") || !strings.Contains(got, "a-canary example.org/a:3 x1") {
		t.Errorf("not replaced:\n%s", got)
	}
	// Back to the first: nothing to try.
	c, err = canary.Compose(base, base, &state, all)
	if err != nil || c.State != nil {
		t.Errorf("back: %+v, %v", c.State, err)
	}
}

func TestComposeTurns(t *testing.T) {
	base := environment(app(t, "a", "1", steps...), app(t, "b", "1", steps...), app(t, "c", "1"))
	desired := environment(app(t, "a", "2", steps...), app(t, "b", "2", steps...), app(t, "c", "2"))
	c, err := canary.Compose(desired, base, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	if c.State.App != "a" || !slices.Equal(c.Waiting, []string{"b"}) {
		t.Errorf("turn of %s, waiting %v", c.State.App, c.Waiting)
	}
	if got := summary(t, c.Environment.Unit("b")); !strings.Contains(got, "b:1") || strings.Contains(got, "canary") {
		t.Errorf("b does not wait:\n%s", got)
	}
	if got := summary(t, c.Environment.Unit("c")); !strings.Contains(got, "c:2") {
		t.Errorf("c has no canary, and waits:\n%s", got)
	}
	aborted := c.Without(desired, base)
	for name, image := range map[string]string{"a": "a:1", "b": "b:1", "c": "c:2"} {
		if got := summary(t, aborted.Unit(name)); !strings.Contains(got, image) || strings.Contains(got, "canary") {
			t.Errorf("aborted, %s:\n%s", name, got)
		}
	}
	// The one that runs keeps its turn, and units that are not selected have none.
	state := *c.State
	state.App = "b"
	state.Version, err = canary.Version(desired.Unit("b"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err = canary.Compose(desired, base, &state, all); err != nil || c.State.App != "b" || !c.Begun {
		t.Errorf("b lost its turn: %+v, %v", c.State, err)
	}
	if c, err = canary.Compose(desired, base, nil, func(unit string) bool { return unit == "b" }); err != nil || c.State.App != "b" || len(c.Waiting) != 0 {
		t.Errorf("b alone: %+v, %v", c.State, err)
	}
}

func TestComposeNone(t *testing.T) {
	one := app(t, "a", "1", steps...)
	more := app(t, "a", "1", steps...)
	if err := unstructured.SetNestedField(more.Objects[3].Object, int64(9), "spec", "replicas"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ desired, base *schema.Environment }{
		"new app":         {environment(one), environment()},
		"only replicas":   {environment(more), environment(one)},
		"no steps":        {environment(app(t, "a", "2")), environment(one)},
		"same":            {environment(one), environment(one)},
		"gone from git":   {environment(), environment(one)},
		"nothing applied": {environment(one), &schema.Environment{}},
	} {
		c, err := canary.Compose(tt.desired, tt.base, nil, all)
		if err != nil || c.State != nil || text(t, c.Environment.Units) != text(t, tt.desired.Units) {
			t.Errorf("%s: %+v, %v", name, c.State, err)
		}
	}
}

func TestComposeNameTaken(t *testing.T) {
	other := app(t, "a-canary", "1")
	if _, err := canary.Compose(environment(app(t, "a", "2", steps...), other), environment(app(t, "a", "1"), other), nil, all); err == nil {
		t.Error("two Deployments have one name, and nobody says so")
	}
}

func TestPods(t *testing.T) {
	for _, tt := range []struct {
		step           schema.CanaryStep
		replicas, want int
	}{
		{schema.CanaryStep{Pods: 3}, 1, 3},
		{schema.CanaryStep{Percent: 50}, 4, 2},
		{schema.CanaryStep{Percent: 50}, 5, 3},
		{schema.CanaryStep{Percent: 1}, 4, 1},
		{schema.CanaryStep{Percent: 100}, 4, 4},
		{schema.CanaryStep{Percent: 10}, 0, 1},
	} {
		base, desired := environment(app(t, "a", "1", tt.step)), environment(app(t, "a", "2", tt.step))
		version, err := canary.Version(desired.Unit("a"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := canary.Compose(desired, base, &canary.State{App: "a", Version: version, Replicas: tt.replicas}, all)
		if err != nil || c.Pods() != tt.want {
			t.Errorf("%+v of %d: %d pods, want %d (%v)", tt.step, tt.replicas, c.Pods(), tt.want, err)
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
