package apply_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestCanaryFails has a canary of three steps fail at each of them, by each check and by
// the gate: the pods of the app are the same ones before and after, the canary is gone,
// the version is on hold, and no revision says that it ran.
func TestCanaryFails(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for _, trouble := range troubles() {
		for step := range 3 {
			t.Run(fmt.Sprintf("%s/step %d", trouble.name, step+1), func(t *testing.T) {
				t.Parallel()
				s := newScenario(t, cfg)
				prometheus := newPrometheus(t)
				version := func(v string) *schema.Environment {
					env := s.tried(v)
					app := env.Unit("app")
					_ = unstructured.SetNestedField(app.Objects[0].Object, int64(4), "spec", "replicas")
					app.Canary = &schema.Canary{
						Steps:  []schema.CanaryStep{{Pods: 1}, {Percent: 50}, {Percent: 100}},
						Checks: checksAt(prometheus.server.URL), Prometheus: prometheus.server.URL + "/prometheus/",
					}
					return env
				}
				opts := apply.ApplyOptions{Yes: true, Timeout: time.Minute, Who: "somebody"}
				if _, err := s.run(t.Context(), version("1"), opts); err != nil {
					t.Fatal(err)
				}
				before := s.mainPods(t)
				c := s.connect(t)
				k, err := c.Canaries(t.Context(), version("2"), opts)
				if err == nil {
					err = k.Begin(t.Context(), "somebody")
				}
				if err != nil {
					t.Fatal(err)
				}
				for {
					if trouble.before != nil && k.State.Step == step {
						trouble.before(t, s)
					}
					if _, err = applyWith(t.Context(), c, k.Environment, k.Options(opts)); err != nil {
						break
					}
					if trouble.during != nil && k.State.Step == step {
						trouble.during(t, s, prometheus)
					}
					if _, err = k.Hold(t.Context(), 0, func(string) {}); err != nil {
						break
					}
					if k.State.Step == step {
						t.Fatalf("step %d passed", step+1)
					}
					if more, err := k.Next(t.Context()); err != nil || !more {
						t.Fatal(more, err)
					}
				}
				if k.State.Step != step {
					t.Fatalf("step %d failed: %v", k.State.Step+1, err)
				}
				trouble.judge(t, k, step, err)

				env, abort := k.Aborted(opts)
				if _, err := applyWith(t.Context(), c, env, abort); err != nil {
					t.Fatal(err)
				}
				if after := s.mainPods(t); !slices.Equal(before, after) {
					t.Errorf("the pods of the app were\n%q\nand are\n%q", before, after)
				}
				for name := range s.members(t) {
					if strings.Contains(name, "canary") {
						t.Errorf("%s is left", name)
					}
				}
				if _, err := s.connect(t).Canaries(t.Context(), version("2"), opts); err == nil {
					t.Error("the version that failed is not on hold")
				}
				history, err := c.AppHistory(t.Context(), s.namespace, s.namespace, "app", time.Now())
				if err != nil || len(history) != 1 || !slices.Equal(history[0].Images, []string{"x:1"}) {
					t.Errorf("the history says %+v, %v", history, err)
				}
			})
		}
	}
}

// TestCanaryFailsComingUp has checks fail while the canary is waited for: it is not waited
// for any longer, nor is another unit, and what has no answer yet keeps nobody.
func TestCanaryFailsComingUp(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for _, tt := range []struct{ name, value, image, says string }{
		{"promql", "0.25", "x:2", `check failed: promql sum(rate(errors_total{app="web"}[1m])): 0.25, at most 0.01`},
		{"url", "sick", "x:2", "/healthz: 503, expected 200"},
		{"log", "0", "x:never-ready", `check failed: log "not ready": 1 line, at most 0`},
		{"no value", "", "x:2", ""},
		{"silent", "hang", "x:2", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			prometheus := newPrometheus(t)
			version := func(image string, ready int64) *schema.Environment {
				web, other := s.deployment("web", image), s.deployment("other", strings.Replace(image, ":2", ":never-ready", 1))
				_ = unstructured.SetNestedField(web.Object, ready, "spec", "minReadySeconds")
				app := unit("app", web)
				app.Canary = &schema.Canary{Steps: []schema.CanaryStep{{Pods: 1}}, Checks: checksAt(prometheus.server.URL), Prometheus: prometheus.server.URL + "/prometheus/"}
				app.Canary.Checks[1].Log = "not ready"
				if tt.says == "" {
					return s.env(s.home(), app)
				}
				return s.env(s.home(), app, unit("other", other))
			}
			opts := apply.ApplyOptions{Yes: true, Timeout: 5 * time.Minute, Who: "somebody"}
			if _, err := s.run(t.Context(), version("x:1", 0), opts); err != nil {
				t.Fatal(err)
			}
			before := s.mainPods(t)
			prometheus.set(tt.value)
			c, ready := s.connect(t), int64(2)
			if tt.says != "" {
				ready = 590 // nobody waits that long
			}
			k, err := c.Canaries(t.Context(), version(tt.image, ready), opts)
			if err == nil {
				err = k.Begin(t.Context(), "somebody")
			}
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = applyWith(t.Context(), c, k.Environment, k.Options(opts))
			failed := (*apply.CanaryFailed)(nil)
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("what has no answer yet: %v", err)
			case tt.says != "" && (!errors.As(err, &failed) || failed.Step != 1 || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got %v, which does not say %q", err, tt.says)
			case tt.says != "" && (!strings.Contains(err.Error(), "Deployment/"+s.namespace+"/web-canary: ") || strings.Contains(err.Error(), "other")):
				t.Errorf("what the gate saw of the canary, and of nothing else, is not in %v", err)
			case time.Since(began) > 2*time.Minute:
				t.Errorf("it took %s", time.Since(began))
			}
			if after := s.mainPods(t); !slices.Equal(before, after) {
				t.Errorf("the pods of the app were\n%q\nand are\n%q", before, after)
			}
		})
	}
}

// trouble is how a canary fails at a step.
type trouble struct {
	name string
	// before comes before the step, during after it is healthy.
	before func(*testing.T, *scenario)
	during func(*testing.T, *scenario, *prometheus)
	says   string // what the error has, besides the step
}

func troubles() []trouble {
	return []trouble{
		{name: "promql", says: `promql sum(rate(errors_total{app="web"}[1m])): 0.25, at most 0.01`, during: func(_ *testing.T, _ *scenario, p *prometheus) { p.set("0.25") }},
		{name: "promql min", says: `promql sum(rate(errors_total{app="web"}[1m])): -1, at least 0`, during: func(_ *testing.T, _ *scenario, p *prometheus) { p.set("-1") }},
		{name: "promql infinite", says: `+Inf, at most 0.01`, during: func(_ *testing.T, _ *scenario, p *prometheus) { p.set("+Inf") }},
		{name: "promql silent", says: "promql", during: func(_ *testing.T, _ *scenario, p *prometheus) { p.set("hang") }},
		{name: "promql no value", says: "no value", during: func(_ *testing.T, _ *scenario, p *prometheus) { p.set("") }},
		{name: "promql not a number", says: "not a number", during: func(_ *testing.T, _ *scenario, p *prometheus) { p.set("NaN") }},
		{name: "promql error", says: "Prometheus answers 422 Unprocessable Entity: unknown function", during: func(_ *testing.T, _ *scenario, p *prometheus) { p.set("error") }},
		{name: "url", says: "/healthz: 503, expected 200", during: func(_ *testing.T, _ *scenario, p *prometheus) { p.set("sick") }},
		{name: "url gone", says: "/healthz:", during: func(_ *testing.T, _ *scenario, p *prometheus) { p.server.Close() }},
		{name: "log", says: `log "panic": 1 line, at most 0`, during: func(t *testing.T, s *scenario, _ *prometheus) {
			t.Helper()
			s.patchPod(t, func(status *corev1.ContainerStatus) {
				status.Image = "x:broken-crash" // whose log has it
				status.State.Running.StartedAt = metav1.NewTime(time.Now().Add(2 * time.Second))
			})
		}},
		{name: "restarts", says: "restarts: 1, at most 0", during: func(t *testing.T, s *scenario, _ *prometheus) {
			t.Helper()
			s.patchPod(t, func(status *corev1.ContainerStatus) { status.RestartCount = 1 })
		}},
		{name: "gate", says: "exceeded quota", before: func(t *testing.T, s *scenario) {
			t.Helper()
			s.noMorePods(t)
		}},
	}
}

func (tr *trouble) judge(t *testing.T, k *apply.Canaries, step int, err error) {
	t.Helper()
	failed, unhealthy := (*apply.CanaryFailed)(nil), (*health.NotHealthy)(nil)
	switch {
	case tr.before != nil && (!errors.As(err, &unhealthy) || !k.Blames(err)):
		t.Errorf("the gate does not blame the canary: %v", err)
	case tr.before == nil && (!errors.As(err, &failed) || failed.Step != step+1):
		t.Errorf("got %v", err)
	}
	if !strings.Contains(err.Error(), tr.says) {
		t.Errorf("got %v, which does not say %q", err, tr.says)
	}
}

// checksAt are a check of each kind, of two bounds for promql.
func checksAt(url string) []schema.CanaryCheck {
	most, least, none := 0.01, 0.0, 0
	return []schema.CanaryCheck{
		{Restarts: &none},
		{Log: "panic"},
		{URL: url + "/healthz", Expect: http.StatusOK},
		{PromQL: `sum(rate(errors_total{app="web"}[1m]))`, Max: &most, Min: &least},
	}
}

// mainPods are the UIDs of the pods of the app, in order.
func (s *scenario) mainPods(t *testing.T) []string {
	t.Helper()
	return s.podUIDs(t, "app=web,!evenkeel.dev/canary")
}

func (s *scenario) podUIDs(t *testing.T, selector string) []string {
	t.Helper()
	list, err := s.client(t).Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	var uids []string
	for _, pod := range list.Items {
		if pod.GetDeletionTimestamp() == nil {
			uids = append(uids, string(pod.GetUID()))
		}
	}
	slices.Sort(uids)
	return uids
}

// patchPod changes the status of a container of the canary, as a kubelet does.
func (s *scenario) patchPod(t *testing.T, change func(*corev1.ContainerStatus)) {
	t.Helper()
	list, err := s.client(t).Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(s.namespace).
		List(t.Context(), metav1.ListOptions{LabelSelector: "evenkeel.dev/canary=web"})
	if err != nil || len(list.Items) == 0 {
		t.Fatal("no pod of the canary", err)
	}
	pod := list.Items[len(list.Items)-1]
	raw, err := json.Marshal(pod.Object["status"].(map[string]any)["containerStatuses"])
	if err != nil {
		t.Fatal(err)
	}
	var statuses []corev1.ContainerStatus
	if err := json.Unmarshal(raw, &statuses); err != nil {
		t.Fatal(err)
	}
	change(&statuses[0])
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"containerStatuses": statuses}})
	if err != nil {
		t.Fatal(err)
	}
	s.patch(t, "", "pods", pod.GetName(), "kubelet", string(patch), "status")
}

// noMorePods has a quota keep pods from being made.
func (s *scenario) noMorePods(t *testing.T) {
	t.Helper()
	quota := s.object("v1", "ResourceQuota", "pods", map[string]any{"spec": map[string]any{"hard": map[string]any{"pods": "1"}}})
	quotas := s.client(t).Resource(corev1.SchemeGroupVersion.WithResource("resourcequotas")).Namespace(s.namespace)
	if _, err := quotas.Create(t.Context(), quota.Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// It counts once its controller has seen it.
	for {
		live, err := quotas.Get(t.Context(), "pods", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if hard, _, _ := unstructured.NestedString(live.Object, "status", "hard", "pods"); hard == "1" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// prometheus answers instant queries as the HTTP API of Prometheus does, below a prefix
// as behind --web.route-prefix, and /healthz as an app.
type prometheus struct {
	server *httptest.Server
	mu     sync.Mutex
	value  string
}

func newPrometheus(t *testing.T) *prometheus {
	p := &prometheus{value: "0"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /prometheus/api/v1/query", p.query)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if p.get() == "sick" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func (p *prometheus) set(value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value = value
}

func (p *prometheus) get() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value
}

func (p *prometheus) query(w http.ResponseWriter, r *http.Request) {
	value := p.get()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Query().Get("query") != `sum(rate(errors_total{app="web"}[1m]))`:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\""}`)
	case value == "hang":
		<-r.Context().Done()
	case value == "error":
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"unknown function"}`)
	case value == "":
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	default:
		if value == "sick" {
			value = "0"
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d.123,%q]}]}}`, time.Now().Unix(), value)
	}
}
