package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// ordeal is a run that the torture breaks off.
type ordeal struct {
	name string
	// prepare is what was before, without trouble.
	prepare func(t *testing.T, s *scenario)
	// run is what is broken off. When it is run again, it must come to its end, and a
	// third time it must have nothing to write.
	run func(ctx context.Context, s *scenario) error
	// level replaces the third run, where that always writes.
	level func(ctx context.Context, s *scenario) error
	// desired is what there must be in the end.
	desired func(s *scenario) []*schema.Environment
	// deletes are the names that may be deleted, recreates those (Kind/name) that may
	// be made anew.
	deletes, recreates []string
}

func ordeals() []ordeal {
	of := func(env func(*scenario) *schema.Environment) func(*scenario) []*schema.Environment {
		return func(s *scenario) []*schema.Environment { return []*schema.Environment{env(s)} }
	}
	applies := func(env func(*scenario) *schema.Environment) func(context.Context, *scenario) error {
		return func(ctx context.Context, s *scenario) error { return s.once(ctx, env(s), s.options()) }
	}
	prepared := func(env func(*scenario) *schema.Environment) func(*testing.T, *scenario) {
		return func(t *testing.T, s *scenario) { t.Helper(); s.apply(t, env(s)) }
	}
	return []ordeal{
		{
			// It creates, changes, prunes, recreates and brings a definition with its
			// first object.
			name: "change", prepare: prepared((*scenario).before), run: applies((*scenario).after), desired: of((*scenario).after),
			deletes: []string{"frozen", "old-base", "old-app", "old-secret"}, recreates: []string{"ConfigMap/frozen"},
		},
		{
			name: "first apply", prepare: func(*testing.T, *scenario) {}, run: applies((*scenario).before), desired: of((*scenario).before),
		},
		{
			name: "delete", prepare: prepared((*scenario).before), run: deletes,
			desired: func(*scenario) []*schema.Environment { return nil }, deletes: []string{""},
		},
		{
			name: "rollback", prepare: func(t *testing.T, s *scenario) {
				t.Helper()
				s.apply(t, s.before())
				s.apply(t, s.swapped())
			},
			run: rollsBack, level: applies((*scenario).before), desired: of((*scenario).before),
			deletes: []string{"frozen", "new", "new-secret"}, recreates: []string{"ConfigMap/frozen"},
		},
		{name: "reconcile", prepare: drifts, run: corrects, desired: of((*scenario).before)},
		{name: "move", prepare: func(t *testing.T, s *scenario) {
			t.Helper()
			from, to := s.apart("1")
			s.apply(t, from)
			s.apply(t, to)
		}, run: moves, desired: func(s *scenario) []*schema.Environment {
			from, to := s.apart("2")
			return []*schema.Environment{from, to}
		}},
		{
			name: "delete first", prepare: func(t *testing.T, s *scenario) {
				t.Helper()
				s.apply(t, s.env(s.home()))
				s.allocate(t)
				s.apply(t, s.holding("edge-ext"))
			},
			run: func(ctx context.Context, s *scenario) error {
				opts := s.options()
				opts.DeleteFirst = []string{"Service/edge-ext"}
				return s.once(ctx, s.holding("edge-out"), opts)
			},
			desired: func(s *scenario) []*schema.Environment { return []*schema.Environment{s.holding("edge-out")} },
			deletes: []string{"edge-ext"},
		},
		{name: "union", prepare: otherSides, run: applies((*scenario).sides), desired: of((*scenario).sides)},
		{
			name: "refused", prepare: prepared(func(s *scenario) *schema.Environment { return s.sized(3) }),
			run: func(ctx context.Context, s *scenario) error {
				opts := s.options()
				opts.Recreate = []string{"Widget/w"}
				return s.once(ctx, s.sized(4), opts)
			},
			desired: of(func(s *scenario) *schema.Environment { return s.sized(4) }),
			deletes: []string{"w"}, recreates: []string{"Widget/w"},
		},
		{
			name: "canary", prepare: prepared(func(s *scenario) *schema.Environment { return s.tried("1") }), run: tries,
			desired: func(s *scenario) []*schema.Environment {
				env := s.tried("1")
				beside := s.deployment("web-canary", "x:2")
				env.Units = append(env.Units, schema.Unit{Name: "beside", Objects: []schema.Object{beside, s.configMap("web-files-canary", "k", "2")}})
				return []*schema.Environment{env}
			},
		},
		{
			// Two steps, and the app takes the new version.
			name: "canary whole", prepare: prepared(func(s *scenario) *schema.Environment { return s.steps("1") }), run: walks,
			desired: of(func(s *scenario) *schema.Environment { return s.steps("2") }), deletes: []string{"web-canary", "web-files-canary"},
		},
		{
			name: "canary abort", prepare: func(t *testing.T, s *scenario) {
				t.Helper()
				s.apply(t, s.tried("1"))
				if err := tries(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}, run: aborts, desired: of(func(s *scenario) *schema.Environment { return s.tried("1") }),
			deletes: []string{"web-canary", "web-files-canary"},
		},
	}
}

func (o *ordeal) mayDelete(path string) bool {
	name := path[strings.LastIndex(path, "/")+1:]
	return slices.Contains(o.deletes, "") || slices.Contains(o.deletes, name)
}

func (o *ordeal) want(s *scenario) map[string]string {
	want := map[string]string{}
	for _, env := range o.desired(s) {
		maps.Copy(want, s.want(env))
	}
	return want
}

// options are those of the runs of a scenario.
func (s *scenario) options() apply.ApplyOptions {
	opts := tortureOptions()
	if s.impatient > 0 {
		opts.LockTimeout, opts.LockDuration = 0, s.impatient // nobody else has it
	}
	return opts
}

// once plans and applies.
func (s *scenario) once(ctx context.Context, env *schema.Environment, opts apply.ApplyOptions) error {
	_, err := s.run(ctx, env, opts)
	return err
}

func (s *scenario) dial() (*apply.Cluster, error) {
	c, err := apply.Connect(s.cfg)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return c, nil
}

func deletes(ctx context.Context, s *scenario) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	_, err = c.Delete(ctx, s.before(), s.options())
	return err
}

// swapped is after without its definition, which a rollback keeps.
func (s *scenario) swapped() *schema.Environment {
	env := s.after()
	env.Units = slices.DeleteFunc(env.Units, func(u schema.Unit) bool { return u.Name == "definitions" })
	app := env.Unit("app")
	app.Objects = slices.DeleteFunc(app.Objects, func(o schema.Object) bool { return o.GetKind() == "Widget" })
	return env
}

func rollsBack(ctx context.Context, s *scenario) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	env := s.swapped()
	back, err := c.Rollback(ctx, env, 1)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	opts := back.Options(s.options())
	opts.Recreate = []string{"ConfigMap/frozen"}
	_, err = applyWith(ctx, c, back.To.Restored(env), opts)
	return err
}

// drifts applies, and has somebody change, delete and unlabel objects.
func drifts(t *testing.T, s *scenario) {
	t.Helper()
	s.apply(t, s.before())
	s.edit(t, "change", `{"data":{"k":"by hand"}}`)
	s.edit(t, "keep", `{"metadata":{"labels":{"`+schema.LabelPartOf+`":null}}}`)
	s.patch(t, "", "services", "svc", "kubectl-edit", `{"spec":{"selector":{"app":"by-hand"}}}`)
	client := s.client(t).Resource(kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(s.namespace)
	if err := client.Delete(t.Context(), "other", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func corrects(ctx context.Context, s *scenario) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	plan, err := c.Plan(ctx, s.before(), apply.PlanOptions{})
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if plan.Differs(false) {
		_, err = c.Correct(ctx, s.before(), plan, s.options())
		return err
	}
	standing, err := c.Standing(ctx, s.before())
	if err != nil || !standing.Left {
		return err
	}
	return c.Unlock(ctx, s.before(), "somebody")
}

// apart are two environments of one namespace, before and after an object moved from
// one to the other.
func (s *scenario) apart(state string) (from, to *schema.Environment) {
	named := func(name string, units ...schema.Unit) *schema.Environment {
		env := s.env(units...)
		env.Name = s.namespace + name
		for _, u := range units {
			for _, o := range u.Objects {
				labels := o.GetLabels()
				labels[schema.LabelPartOf] = schema.ApplySetID(env.Name, s.namespace)
				o.SetLabels(labels)
			}
		}
		return env
	}
	moved, a, b := s.configMap("moved", "k", "1"), s.configMap("a", "k", "1"), s.configMap("b", "k", "1")
	if state == "1" {
		return named("-from", s.home(), unit("a", a, moved)), named("-to", unit("b", b))
	}
	return named("-from", s.home(), unit("a", a)), named("-to", unit("b", b, moved))
}

func moves(ctx context.Context, s *scenario) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	from, to := s.apart("2")
	for _, pair := range [][2]*schema.Environment{{to, from}, {from, to}} {
		plan, err := c.Plan(ctx, pair[0], apply.PlanOptions{Siblings: []*schema.Environment{pair[1]}, ToApply: true})
		if err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		if _, err := c.Apply(ctx, pair[0], plan, s.options()); err != nil {
			return err
		}
	}
	return nil
}

// holding is an environment with a node port, under a name.
func (s *scenario) holding(name string) *schema.Environment {
	return s.env(s.home(), unit("base", s.configMap("c", "k", name)), unit("app", s.nodePort(name, s.port)))
}

// otherSides makes by hand what has the other side of two unions.
func otherSides(t *testing.T, s *scenario) {
	t.Helper()
	s.apply(t, s.env(s.home()))
	live := s.deployment("web", "x:1")
	container := map[string]any{"name": "c", "image": "x:1", "env": []any{map[string]any{"name": "MODE", "value": "plain"}}}
	_ = unstructured.SetNestedSlice(live.Object, []any{container}, "spec", "template", "spec", "containers")
	_, err := s.client(t).Resource(kschema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace(s.namespace).
		Create(t.Context(), live.Unstructured, metav1.CreateOptions{FieldManager: "kubectl-create"})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *scenario) sides() *schema.Environment {
	web := s.deployment("web", "x:2")
	container := map[string]any{"name": "c", "image": "x:2", "env": []any{map[string]any{
		"name": "MODE", "valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": "c", "key": "k"}},
	}}}
	_ = unstructured.SetNestedSlice(web.Object, []any{container}, "spec", "template", "spec", "containers")
	_ = unstructured.SetNestedField(web.Object, "Recreate", "spec", "strategy", "type")
	return s.env(s.home(), unit("base", s.configMap("c", "k", "1")), unit("app", web))
}

// sized has an object whose definition lets nobody change it.
func (s *scenario) sized(size int64) *schema.Environment {
	crd, w := s.crd(), s.widget("w")
	_ = unstructured.SetNestedField(w.Object, size, "spec", "size")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	version, _ := versions[0].(map[string]any)
	_ = unstructured.SetNestedSlice(version, []any{map[string]any{"rule": "self == oldSelf", "message": "keep it as it is"}},
		"schema", "openAPIV3Schema", "properties", "spec", "properties", "size", "x-kubernetes-validations")
	_ = unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions")
	return s.env(s.home(), unit("definitions", crd), unit("base", s.configMap("c", "k", fmt.Sprint(size))), unit("app", w))
}

// tried has an app whose new versions come in as a canary.
func (s *scenario) tried(version string) *schema.Environment {
	web := s.deployment("web", "x:"+version)
	_ = unstructured.SetNestedSlice(web.Object, []any{map[string]any{"name": "files", "configMap": map[string]any{"name": "web-files"}}}, "spec", "template", "spec", "volumes")
	app := unit("app", web, s.configMap("web-files", "k", version))
	app.Canary = &schema.Canary{Steps: []schema.CanaryStep{{Pods: 1, Manual: true}}}
	return s.env(s.home(), app)
}

// steps has an app whose new versions come in as a canary of two steps.
func (s *scenario) steps(version string) *schema.Environment {
	env := s.tried(version)
	env.Unit("app").Canary.Steps = []schema.CanaryStep{{Pods: 1}, {Percent: 100}}
	return env
}

// walks brings a new version in, step by step, as the command does.
func walks(ctx context.Context, s *scenario) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	k, err := c.Canaries(ctx, s.steps("2"), s.options())
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if k == nil {
		return s.once(ctx, s.steps("2"), s.options())
	}
	for more := true; more; {
		if err := k.Begin(ctx, "somebody"); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		if _, err := applyWith(ctx, c, k.Environment, k.Options(s.options())); err != nil {
			return err
		}
		if _, err = k.Hold(ctx, 0, func(string) {}); err == nil {
			more, err = k.Next(ctx)
		}
		if err != nil {
			return fmt.Errorf("plan: %w", err) // nothing is under way
		}
	}
	return nil
}

// tries begins the canary of the new version.
func tries(ctx context.Context, s *scenario) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	k, err := c.Canaries(ctx, s.tried("2"), s.options())
	if err == nil {
		err = k.Begin(ctx, "somebody")
	}
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	_, err = applyWith(ctx, c, k.Environment, k.Options(s.options()))
	return err
}

// aborts ends it.
func aborts(ctx context.Context, s *scenario) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	env, opts, err := c.AbortCanary(ctx, s.tried("2"), "app", s.options())
	if refused := (*hint.Refused)(nil); errors.As(err, &refused) && strings.Contains(err.Error(), "no canary runs") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	_, err = applyWith(ctx, c, env, opts)
	return err
}
