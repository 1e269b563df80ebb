package reconcile_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

const (
	annotationHold   = "evenkeel.dev/hold"
	annotationFights = "evenkeel.dev/fights"
)

// note writes to the parent, as whoever has the ClusterRole edit in the namespace can.
func (w *world) note(annotation, text string) {
	w.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{annotation: text}}})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.maps.Patch(w.Context(), schema.ParentName(w.env.Name), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl"}); err != nil {
		w.Fatal(err)
	}
}

// passes runs one pass, and returns what of the environment was left alone, and why.
func (w *world) passes(c *apply.Cluster, env *schema.Environment) []reconcile.Skip {
	w.Helper()
	out, err := reconcile.Pass(w.Context(), c, env, reconcile.Options{Mode: reconcile.ModeCorrect})
	if err != nil {
		w.Fatal(err)
	}
	return out.Skipped
}

// TestForgedHold levels what a tenant would keep from being levelled by a note of
// theirs, or one that was true once. The hold of a rollback is honoured.
func TestForgedHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	one, two := w.env, w.environment(2, "v2")
	run := func(env *schema.Environment, opts apply.ApplyOptions) string {
		t.Helper()
		c := w.connect()
		plan, err := c.Plan(t.Context(), env, apply.PlanOptions{ToApply: true})
		if err != nil {
			t.Fatal(err)
		}
		opts.Yes, opts.NoWait = true, true
		if _, err := c.Apply(t.Context(), env, plan, opts); err != nil {
			t.Fatal(err)
		}
		return plan.Rendered
	}
	levelled := func(what string, env *schema.Environment, value string) {
		t.Helper()
		w.edit("m0", "mallory's", "kubectl")
		c := w.connect()
		if skipped := w.passes(c, env); len(skipped) > 0 || w.value("m0") != value {
			t.Errorf("%s: m0 is %q, left alone: %+v", what, w.value("m0"), skipped)
		}
		if said := strings.Join(c.Warnings(), "\n"); strings.Contains(what, "hold") && !strings.Contains(said, "its hold does not count") {
			t.Errorf("%s: nothing is said of it: %s", what, said)
		}
	}

	digestOne := run(one, apply.ApplyOptions{})
	w.note(annotationHold, digestOne)
	levelled("a hold that no rollback set", one, "v1")
	w.note(annotationHold, "")

	fights, err := json.Marshal(map[string]record.Fight{
		"ConfigMap/" + w.namespace + "/m0": {Field: "data.value", By: "me", Since: time.Now(), Until: time.Now().Add(time.Minute)},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.note(annotationFights, string(fights))
	levelled("a fight that nobody fought", one, "v1")
	w.note(annotationFights, "")

	digestTwo := run(two, apply.ApplyOptions{})
	run(one, apply.ApplyOptions{Hold: digestTwo, Back: true})
	if skipped := w.passes(w.connect(), two); len(skipped) == 0 || skipped[0].Reason != reconcile.ReasonHeld || w.value("m0") != "v1" {
		t.Errorf("what was rolled back from: m0 is %q, left alone: %+v", w.value("m0"), skipped)
	}
	w.note(annotationHold, digestOne)
	if skipped := w.passes(w.connect(), two); len(skipped) != 0 || w.value("m0") != "v2" {
		t.Errorf("another digest on hold: m0 is %q, left alone: %+v", w.value("m0"), skipped)
	}

	run(one, apply.ApplyOptions{Hold: digestTwo, Back: true})
	run(two, apply.ApplyOptions{Release: true})
	w.note(annotationHold, digestTwo)
	levelled("a hold that was lifted, and put back", two, "v2")
}

// TestNotesCostNothing does not ask for the key in a pass that finds nothing to do, unless
// there is a note to be checked.
func TestNotesCostNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.apply(w.env)
	var keys atomic.Int64
	cfg := rest.CopyConfig(w.cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.Path, "/namespaces/kube-system/secrets") {
				keys.Add(1)
			}
			return next.RoundTrip(r)
		})
	})
	c, err := apply.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.passes(c, w.env)
	if n := keys.Load(); n != 0 {
		t.Errorf("a pass asks %d times for the key", n)
	}
	w.note(annotationHold, "sha256:mallory")
	w.passes(c, w.env)
	if n := keys.Load(); n != 1 {
		t.Errorf("a pass with a hold to be checked asks %d times for the key", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// forget deletes all that is recorded of what was applied.
func (w *world) forget() {
	w.Helper()
	secrets := w.client(w.cfg).Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(w.namespace)
	if err := secrets.DeleteCollection(w.Context(), metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "type=evenkeel.dev/revision"}); err != nil {
		w.Fatal(err)
	}
}
