package reconcile

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// metrics are what /metrics says; docs/drift.md lists them.
type metrics struct {
	registry *prometheus.Registry

	leader, sourceSuccess     prometheus.Gauge
	sourceErrors              prometheus.Counter
	source                    *prometheus.GaugeVec
	drifted, healthy, success *prometheus.GaugeVec
	objects, skipped, broken  *prometheus.GaugeVec
	seen, corrections, fights *prometheus.CounterVec
	errors, events            *prometheus.CounterVec
	passes                    *prometheus.HistogramVec

	mu       sync.Mutex
	clusters map[*apply.Cluster]bool
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), clusters: map[*apply.Cluster]bool{}}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "evenkeel_" + name, Help: help}, append([]string{"environment"}, labels...))
		m.registry.MustRegister(v)
		return v
	}
	counter := func(name, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "evenkeel_" + name, Help: help}, []string{"environment"})
		m.registry.MustRegister(v)
		return v
	}
	m.drifted = gauge("drifted_objects", "Objects that differ from git right now.")
	m.skipped = gauge("skipped_objects", "Objects that differ and are left alone, by reason.", "reason")
	m.healthy = gauge("healthy", "1 where every object was healthy when last judged.")
	m.objects = gauge("objects", "Objects by state of health when last judged.", "state")
	m.success = gauge("last_success_timestamp_seconds", "Time of the last pass that ended without an error.")
	m.broken = gauge("source_broken", "1 while git has a state that does not evaluate; the last good one stands.")
	m.seen = counter("drift_total", "Drifted objects that were seen.")
	m.corrections = counter("corrections_total", "Objects that were written back.")
	m.fights = counter("fights_total", "Fights that were noticed.")
	m.errors = counter("pass_errors_total", "Passes that ended with an error and are tried again.")
	m.events = counter("watch_events_total", "Events of the watches.")
	m.passes = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "evenkeel_pass_duration_seconds", Help: "Duration of passes: over everything (full) or what was touched.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	}, []string{"environment", "kind"})
	m.leader = prometheus.NewGauge(prometheus.GaugeOpts{Name: "evenkeel_leader", Help: "1 where this replica is the one that works."})
	m.source = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "evenkeel_source_info", Help: "The commit that was rendered last."}, []string{"commit"})
	m.sourceSuccess = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "evenkeel_source_last_success_timestamp_seconds", Help: "Time when the source last answered.",
	})
	m.sourceErrors = prometheus.NewCounter(prometheus.CounterOpts{Name: "evenkeel_source_errors_total", Help: "Looks at the source that failed."})
	for purpose, count := range map[string]func(kube.Requests) int{
		"discovery": func(r kube.Requests) int { return r.Discovery }, "review": func(r kube.Requests) int { return r.Review },
		"list": func(r kube.Requests) int { return r.List }, "get": func(r kube.Requests) int { return r.Get },
		"dryRun": func(r kube.Requests) int { return r.DryRun }, "write": func(r kube.Requests) int { return r.Write },
		"watch": func(r kube.Requests) int { return r.Watch },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "evenkeel_api_requests_total", Help: "Requests to API servers, by purpose.", ConstLabels: prometheus.Labels{"purpose": purpose},
		}, func() float64 { return m.requests(count) }))
	}
	m.registry.MustRegister(m.passes, m.leader, m.source, m.sourceSuccess, m.sourceErrors,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// uses notes a connection whose requests are counted.
func (m *metrics) uses(c *apply.Cluster) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clusters[c] = true
}

func (m *metrics) requests(count func(kube.Requests) int) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for c := range m.clusters {
		n += count(c.Requests())
	}
	return float64(n)
}

func (m *metrics) setSkipped(env string, drifted map[schema.Ref]known) {
	m.skipped.DeletePartialMatch(prometheus.Labels{"environment": env})
	for _, k := range drifted {
		if k.reason != "" {
			m.skipped.WithLabelValues(env, string(k.reason)).Inc()
		}
	}
}

func (m *metrics) setHealth(env string, s *apply.Status) {
	counts := map[health.State]int{health.Healthy: 0, health.Progressing: 0, health.Failed: 0, health.Unknown: 0}
	for _, u := range s.Units {
		for _, o := range u.Objects {
			counts[o.State]++
		}
	}
	for state, n := range counts {
		m.objects.WithLabelValues(env, string(state)).Set(float64(n))
	}
	healthy := 0.0
	if s.Healthy {
		healthy = 1
	}
	m.healthy.WithLabelValues(env).Set(healthy)
}

// forget drops an environment that is no longer kept level.
func (m *metrics) forget(env string) {
	labels := prometheus.Labels{"environment": env}
	for _, v := range []*prometheus.GaugeVec{m.drifted, m.skipped, m.healthy, m.objects, m.success, m.broken} {
		v.DeletePartialMatch(labels)
	}
}
