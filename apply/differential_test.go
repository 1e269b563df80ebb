package apply_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestDifferential holds the certificate to the truth: after random edits of
// random environments, the plan that certifies and the plan that has the server
// dry-run every object must be the same, object by object.
//
// With EVENKEEL_TORTURE there are 40 rounds of 100 objects instead of two of 60
// (EVENKEEL_TORTURE=N: N of them); EVENKEEL_SEED repeats one.
func TestDifferential(t *testing.T) {
	cfg := applytest.Cluster(t)
	rounds, objects := 2, 60
	if text := os.Getenv("EVENKEEL_TORTURE"); text != "" {
		rounds, objects = 40, 100
		if n, err := strconv.Atoi(text); err == nil && n > 1 {
			rounds = n
		}
	}
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("EVENKEEL_SEED"), 10, 64); err == nil {
		seed, rounds = s, 1
	}
	total := tally{edits: map[string]int{}, kinds: map[string]int{}}
	for round := range rounds {
		d := &differential{seed: seed + uint64(round), tally: &total}
		cluster, err := apply.Connect(cfg)
		if err != nil {
			t.Fatal(err)
		}
		d.editor = editor{Rand: rand.New(rand.NewPCG(d.seed, 1)), cluster: cluster}
		d.namespace = applytest.Namespace(t, cfg, "diff")
		if !d.run(t, objects) {
			t.Fatalf("seed %d", d.seed)
		}
	}
	t.Logf("counted: seed %d, %d rounds: %s", seed, rounds, total.String())
	if len(total.edits) < 20 {
		t.Errorf("%d kinds of edit came to pass, want 20", len(total.edits))
	}
}

type tally struct {
	objects, certified, dryRuns, refused, wrong int
	edits, kinds                                map[string]int
}

func (t *tally) String() string {
	edited := 0
	for _, n := range t.edits {
		edited += n
	}
	return fmt.Sprintf("%d objects of %d kinds, %d edits of %d sorts (%d more refused by the server), %d certified, %d dry-run, %d wrongly certified",
		t.objects, len(t.kinds), edited, len(t.edits), t.refused, t.certified, t.dryRuns, t.wrong)
}

type differential struct {
	editor
	seed      uint64
	namespace string
	tally     *tally
}

func (d *differential) run(t *testing.T, objects int) bool {
	t.Helper()
	gen := &randomEnv{Rand: d.Rand, namespace: d.namespace}
	d.install(t, gen)
	env := gen.env(t, objects)
	d.applyAll(t, env)
	d.expectLevel(t, env)
	d.edit(t, env)
	d.compare(t, env)
	d.release(t, env)
	return !t.Failed()
}

// install brings the CRDs and waits until they serve.
func (d *differential) install(t *testing.T, gen *randomEnv) {
	t.Helper()
	for _, crd := range gen.crds(t) {
		if err := d.apply(t.Context(), crd.Unstructured, schema.Manager); err != nil {
			t.Fatal(err)
		}
		d.deleteAtEnd(t, crd.Unstructured)
	}
	for range 200 {
		d.cluster.Mapper.Reset()
		_, err := d.cluster.Mapper.KindFor(customResource(gen.group(), "frees"))
		if err == nil {
			_, err = d.cluster.Dynamic.Resource(customResource(gen.group(), "frees")).Namespace(d.namespace).List(t.Context(), metav1.ListOptions{})
		}
		if err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the CRDs do not serve")
}

func (d *differential) applyAll(t *testing.T, env *schema.Environment) {
	t.Helper()
	for i := range env.Units[0].Objects {
		o := &env.Units[0].Objects[i]
		var err error
		for range 40 { // a new CRD answers 404 for a moment
			if err = d.apply(t.Context(), o.DeepCopy(), schema.Manager); !apierrors.IsNotFound(err) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
		d.tally.kinds[o.GetKind()]++
		d.tally.objects++
	}
}

// expectLevel plans what was just applied: nothing differs, and nothing had to be
// asked but the shapes that render does not let through.
func (d *differential) expectLevel(t *testing.T, env *schema.Environment) {
	t.Helper()
	plan, err := d.cluster.Plan(t.Context(), env, apply.PlanOptions{})
	if err != nil {
		t.Fatalf("seed %d: %v", d.seed, err)
	}
	odd := 0
	for _, o := range env.Units[0].Objects {
		if o.GetAnnotations()["odd"] != "" {
			odd++
		}
	}
	if len(plan.Changes) != 0 || plan.Requests.DryRun > odd {
		t.Errorf("seed %d: %d dry-runs for %d odd objects right after the apply: %v", d.seed, plan.Requests.DryRun, odd, plan.Changes)
	}
}

// edit edits about two thirds of the objects once or several times.
func (d *differential) edit(t *testing.T, env *schema.Environment) {
	t.Helper()
	all := edits()
	for i := range env.Units[0].Objects {
		o := &env.Units[0].Objects[i]
		for d.IntN(3) > 0 {
			live, err := d.resource(o.Unstructured).Get(t.Context(), o.GetName(), metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			e := all[d.IntN(len(all))]
			before := o.DeepCopy()
			switch err := e.do(t.Context(), &d.editor, live, o); {
			case err == nil:
				d.tally.edits[e.name]++
			case errors.Is(err, errNothingTo{}):
			default:
				d.tally.refused++
				o.Unstructured = before
			}
		}
	}
}

// compare makes both plans. Controllers still write status meanwhile; what they
// write is in neither.
func (d *differential) compare(t *testing.T, env *schema.Environment) {
	t.Helper()
	opts := apply.PlanOptions{TakeOwnership: true, ForceConflicts: true}
	env = d.withoutInvalid(t, env)
	quick, err := d.cluster.Plan(t.Context(), env, opts)
	if err != nil {
		t.Fatalf("seed %d: %v", d.seed, err)
	}
	opts.Full = true
	full, err := d.cluster.Plan(t.Context(), env, opts)
	if err != nil {
		t.Fatalf("seed %d: %v", d.seed, err)
	}
	d.tally.dryRuns += quick.Requests.DryRun
	d.tally.certified += len(env.Units[0].Objects) - quick.Requests.DryRun
	want, got := byObject(full), byObject(quick)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if diff := cmp.Diff(want[name], got[name], cmpopts.IgnoreUnexported(apply.Change{})); diff != "" {
			d.tally.wrong++
			t.Errorf("seed %d: %s (-full +certified):\n%s", d.seed, name, diff)
		}
	}
	if diff := cmp.Diff(full.Summary, quick.Summary); diff != "" {
		t.Errorf("seed %d: summary (-full +certified):\n%s", d.seed, diff)
	}
}

func byObject(p *apply.Plan) map[string]apply.Change {
	changes := map[string]apply.Change{}
	for _, c := range p.Changes {
		changes[c.String()+" "+kindOfChange(c)] = c
	}
	return changes
}

// withoutInvalid leaves out what the server would not take at all: an edit of the
// desired side may have made nonsense.
func (d *differential) withoutInvalid(t *testing.T, env *schema.Environment) *schema.Environment {
	t.Helper()
	_, err := d.cluster.Plan(t.Context(), env, apply.PlanOptions{Full: true, TakeOwnership: true})
	if err == nil {
		return env
	}
	text := err.Error()
	valid := *env
	valid.Units = slices.Clone(env.Units)
	valid.Units[0].Objects = slices.DeleteFunc(slices.Clone(env.Units[0].Objects), func(o schema.Object) bool {
		return strings.Contains(text, o.GetKind()+"/"+o.GetNamespace()+"/"+o.GetName()+":")
	})
	return &valid
}

// release takes the finalizers off, so that the namespace can go.
func (d *differential) release(t *testing.T, env *schema.Environment) {
	t.Helper()
	for _, o := range env.Units[0].Objects {
		_, err := d.resource(o.Unstructured).Patch(t.Context(), o.GetName(), types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Logf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// kindOfChange tells the additions of others from the change of the same object.
func kindOfChange(c apply.Change) string {
	if c.Action == apply.Foreign {
		return string(c.Action)
	}
	return "change"
}

func customResource(group, resource string) kschema.GroupVersionResource {
	return kschema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
}
