package apply_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// BenchmarkFirstApply plans and applies a thousand objects that are not there
// yet: into a namespace of the same plan, of which the server can be asked
// nothing beforehand, and into one that exists. With EVENKEEL_BENCH_PEER set it
// runs `kubectl apply --server-side` over as many objects and reports the ratio.
func BenchmarkFirstApply(b *testing.B) {
	for _, test := range []struct {
		name   string
		exists bool
	}{{"new namespace", false}, {"existing namespace", true}} {
		b.Run(test.name, func(b *testing.B) {
			cfg := applytest.Cluster(b)
			var ours, theirs time.Duration
			var report *apply.Report
			for b.Loop() {
				s := newScenario(b, cfg)
				env := withNamespace(largeEnv(s.namespace, 1000))
				if test.exists {
					s.makeNamespace(b)
				}
				started := time.Now()
				var err error
				if report, err = s.run(b.Context(), env, tortureOptions()); err != nil {
					b.Fatal(err)
				}
				ours += time.Since(started)
				if os.Getenv("EVENKEEL_BENCH_PEER") != "" {
					peer := newScenario(b, cfg)
					env := withNamespace(largeEnv(peer.namespace, 1000))
					if test.exists {
						peer.makeNamespace(b)
					}
					theirs += kubectl(b, cfg, env, "apply", "--server-side", "--field-manager", "kubectl")
				}
			}
			b.ReportMetric(ours.Seconds()/float64(b.N), "evenkeel-s")
			b.ReportMetric(float64(report.Requests.Total()), "requests")
			b.ReportMetric(float64(report.Requests.DryRun), "dry-runs")
			if theirs > 0 {
				b.ReportMetric(theirs.Seconds()/float64(b.N), "kubectl-s")
				b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times-kubectl")
			}
		})
	}
}

// BenchmarkOneChange plans and applies one changed object among a thousand.
func BenchmarkOneChange(b *testing.B) {
	cfg := applytest.Cluster(b)
	s := newScenario(b, cfg)
	env := withNamespace(largeEnv(s.namespace, 1000))
	if _, err := s.run(b.Context(), env, tortureOptions()); err != nil {
		b.Fatal(err)
	}
	var report *apply.Report
	n := 0
	for b.Loop() {
		n++
		env.Units[7].Objects[0].Object["data"] = map[string]any{"k": strings.Repeat("x", n)}
		var err error
		if report, err = s.run(b.Context(), env, tortureOptions()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(report.Requests.Total()), "requests")
	b.ReportMetric(float64(report.Requests.Write), "writes")
}

// withNamespace is env with its Namespace in a unit before all others.
func withNamespace(env *schema.Environment) *schema.Environment {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(env.Namespace)
	u.SetLabels(map[string]string{
		schema.LabelPartOf:    schema.ApplySetID(env.Name, env.Namespace),
		schema.LabelManagedBy: schema.Manager,
		schema.LabelUnit:      schema.UnitEnvironment,
	})
	home := schema.Unit{Name: schema.UnitEnvironment, Objects: []schema.Object{{Unstructured: u}}}
	env.Units = slices.Insert(env.Units, 0, home)
	return env
}

func (s *scenario) makeNamespace(b *testing.B) {
	b.Helper()
	ns := s.object("v1", "Namespace", s.namespace, nil)
	namespaces := s.client(b).Resource(kschema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	if _, err := namespaces.Create(b.Context(), ns.Unstructured, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
}
