package apply_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestCanaryShare watches what is behind the Service of an app, which is who may be given a
// request: while a canary of one pod in three is there, it is never more than that one
// beside both pods of the app; a check that fails takes it out again; and through a canary
// that is good there are never fewer pods than before.
func TestCanaryShare(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	prometheus := newPrometheus(t)
	version := func(v string) *schema.Environment {
		web := s.deployment("web", "x:"+v)
		service := s.object("v1", "Service", "web", map[string]any{"spec": map[string]any{
			"selector": map[string]any{"app": "web"},
			"ports":    []any{map[string]any{"name": "http", "port": int64(80), "protocol": "TCP"}},
		}})
		strategy := map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": int64(1), "maxUnavailable": int64(0)}}
		_ = unstructured.SetNestedMap(web.Object, strategy, "spec", "strategy")
		app := unit("app", web, service)
		app.Canary = &schema.Canary{Steps: []schema.CanaryStep{{Pods: 1}}, Checks: checksAt(prometheus.server.URL), Prometheus: prometheus.server.URL + "/prometheus/"}
		return s.env(s.home(), app)
	}
	opts := apply.ApplyOptions{Yes: true, Timeout: time.Minute, Who: "somebody"}
	if _, err := s.run(t.Context(), version("1"), opts); err != nil {
		t.Fatal(err)
	}
	b := s.behind(t, "web")
	b.until(t, "both pods of the app", func(e endpoints) bool { return e == endpoints{app: 2} })

	// A version of which every call fails.
	c := s.connect(t)
	k, err := c.Canaries(t.Context(), version("2"), opts)
	if err == nil {
		err = k.Begin(t.Context(), "somebody")
	}
	if err == nil {
		_, err = applyWith(t.Context(), c, k.Environment, k.Options(opts))
	}
	if err != nil {
		t.Fatal(err)
	}
	b.until(t, "the canary beside the app", func(e endpoints) bool { return e == endpoints{app: 2, canary: 1} })
	prometheus.set("1")
	_, err = k.Hold(t.Context(), 0, func(string) {})
	if failed := (*apply.CanaryFailed)(nil); !errors.As(err, &failed) {
		t.Fatal(err)
	}
	env, abort := k.Aborted(opts)
	if _, err := applyWith(t.Context(), c, env, abort); err != nil {
		t.Fatal(err)
	}
	b.until(t, "the canary taken out", func(e endpoints) bool { return e == endpoints{app: 2} })
	for _, e := range b.seen() {
		if e.app != 2 || e.canary > 1 {
			t.Errorf("there were %d pods of the app and %d of the canary", e.app, e.canary)
		}
	}

	// One that is good, to its end.
	prometheus.set("0")
	k, err = c.Canaries(t.Context(), version("3"), opts)
	if err == nil {
		err = k.Begin(t.Context(), "somebody")
	}
	for more := true; more && err == nil; {
		if _, err = applyWith(t.Context(), c, k.Environment, k.Options(opts)); err == nil {
			_, err = k.Hold(t.Context(), 0, func(string) {})
		}
		if err == nil {
			more, err = k.Next(t.Context())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	b.until(t, "both pods of the app", func(e endpoints) bool { return e == endpoints{app: 2} })
	for _, e := range b.seen() {
		if e.app+e.canary < 2 || e.canary > 1 {
			t.Errorf("there were %d pods of the app and %d of the canary", e.app, e.canary)
		}
	}
}

// endpoints count the pods that get requests.
type endpoints struct{ app, canary int }

// behindService is what has been behind a Service.
type behindService struct {
	mu  sync.Mutex
	all []endpoints
}

// behind watches the EndpointSlices of a Service until the test ends.
func (s *scenario) behind(t *testing.T, service string) *behindService {
	t.Helper()
	selector := metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service}
	watch, err := s.client(t).Resource(discoveryv1.SchemeGroupVersion.WithResource("endpointslices")).Namespace(s.namespace).Watch(t.Context(), selector)
	if err != nil {
		t.Fatal(err)
	}
	b := &behindService{}
	done := make(chan struct{})
	t.Cleanup(func() { watch.Stop(); <-done })
	go func() {
		defer close(done)
		for event := range watch.ResultChan() {
			u, ok := event.Object.(*unstructured.Unstructured)
			var slice discoveryv1.EndpointSlice
			if !ok || runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &slice) != nil {
				continue
			}
			b.add(&slice)
		}
	}()
	return b
}

func (b *behindService) add(slice *discoveryv1.EndpointSlice) {
	var now endpoints
	for _, e := range slice.Endpoints {
		switch {
		case e.Conditions.Ready == nil || !*e.Conditions.Ready || e.TargetRef == nil:
		case strings.HasPrefix(e.TargetRef.Name, "web-canary-"):
			now.canary++
		default:
			now.app++
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, now)
}

// until waits for a state; what was before it is forgotten by seen once it was asked for.
func (b *behindService) until(t *testing.T, what string, is func(endpoints) bool) {
	t.Helper()
	for {
		b.mu.Lock()
		n := len(b.all)
		if n > 0 && is(b.all[n-1]) {
			if b.all[0] == (endpoints{}) || b.all[0].app < 2 { // how the app came up
				b.all = b.all[n-1:]
			}
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		select {
		case <-t.Context().Done():
			t.Fatalf("not seen: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// seen are the states since it was last asked, the last one included.
func (b *behindService) seen() []endpoints {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all
	b.all = all[len(all)-1:]
	return all
}
