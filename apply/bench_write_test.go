package apply_test

import (
	"fmt"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// BenchmarkFirstApply writes a thousand objects into a namespace of the same
// plan.
func BenchmarkFirstApply(b *testing.B) {
	cfg := applytest.Cluster(b)
	for b.Loop() {
		s := newScenario(b, cfg)
		u := unit("app")
		for i := range 1000 {
			u.Objects = append(u.Objects, s.configMap(fmt.Sprintf("c%04d", i), "k", "1"))
		}
		opts := tortureOptions()
		report, err := s.run(b.Context(), s.env(s.home(), u), opts)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(report.Requests.Total()), "requests/op")
		b.ReportMetric(report.Durations.Plan, "plan-s/op")
	}
}
