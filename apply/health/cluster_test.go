package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

func TestMain(m *testing.M) { os.Exit(applytest.Main(m)) }

const (
	memberLabel    = "applyset.kubernetes.io/part-of"
	memberSelector = memberLabel + "=applyset-test-v1"
)

// bench is a namespace of the test cluster, with a client and a watcher whose
// requests go through faults.
type bench struct {
	testing.TB
	cfg       *rest.Config
	client    dynamic.Interface // the test's own, not counted
	mapper    *restmapper.DeferredDiscoveryRESTMapper
	namespace string
	watcher   *Watcher
	faults    *faults
}

func newBench(t testing.TB) *bench {
	t.Helper()
	cfg := applytest.Cluster(t)
	return newBenchFor(t, cfg, cfg)
}

// newBenchFor gives the watcher another identity than the test.
func newBenchFor(t testing.TB, cfg, watching *rest.Config) *bench {
	t.Helper()
	b := &bench{TB: t, cfg: cfg, faults: &faults{}, namespace: applytest.Namespace(t, cfg, "health")}
	b.client = must(dynamic.NewForConfig(cfg))(t)
	disco := must(discovery.NewDiscoveryClientForConfig(cfg))(t)
	b.mapper = restmapper.NewDeferredDiscoveryRESTMapperWithContext(memory.NewMemCacheClientWithContext(disco))

	counted := rest.CopyConfig(watching)
	counted.Wrap(func(next http.RoundTripper) http.RoundTripper {
		b.faults.next = next
		return b.faults
	})
	client := must(rest.HTTPClientFor(counted))(t)
	opts := Options{Logs: must(PodLogs(counted, client))(t)}
	b.watcher = NewWatcher(t.Context(), must(dynamic.NewForConfigAndClient(counted, client))(t), b.mapper, memberSelector, opts)
	return b
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// apply writes manifests into the namespace as members, and returns them as targets.
func (b *bench) apply(manifests ...string) []Target {
	b.Helper()
	var targets []Target
	for _, manifest := range manifests {
		for doc := range strings.SplitSeq(manifest, "\n---\n") {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
				b.Fatal(err)
			}
			targets = append(targets, b.applyObject(obj))
		}
	}
	return targets
}

func (b *bench) applyObject(obj *unstructured.Unstructured) Target {
	b.Helper()
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[memberLabel] = "applyset-test-v1"
	obj.SetLabels(labels)
	live, err := b.resource(obj).Apply(b.Context(), obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "evenkeel", Force: true})
	if err != nil {
		b.Fatal(err)
	}
	return Target{Unit: "test", GVK: obj.GroupVersionKind(), Namespace: live.GetNamespace(), Name: live.GetName(), MinGeneration: live.GetGeneration(), UID: live.GetUID()}
}

func (b *bench) resource(obj *unstructured.Unstructured) dynamic.ResourceInterface {
	b.Helper()
	gvk := obj.GroupVersionKind()
	mapping, err := b.mapper.RESTMappingWithContext(b.Context(), gvk.GroupKind(), gvk.Version)
	if err != nil {
		b.Fatal(err)
	}
	if mapping.Scope.Name() == "root" {
		return b.client.Resource(mapping.Resource)
	}
	return b.client.Resource(mapping.Resource).Namespace(b.namespace)
}

// until waits for what another part of the cluster does in its own time.
func (b *bench) until(what string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("a minute, and not yet: %s", what)
		}
	}
}

// wait waits for the targets and returns the last updates and all changes as
// lines.
func (b *bench) wait(targets []Target, timeout time.Duration) ([]Update, []string, error) {
	b.Helper()
	var lines []string
	updates, err := b.watcher.Wait(b.Context(), targets, timeout, func(u Update) {
		lines = append(lines, fmt.Sprintf("%s %s %s %d/%d %s", u.Target, u.State, u.Rule, u.Ready, u.Desired, u.Message))
	})
	return updates, lines, err
}

// deployment is a Deployment of one container whose image tag decides its fate.
func deployment(name, tag string, replicas int) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - name: main
        image: harbor.od.com/app/%[1]s:%[2]s
        resources: {limits: {memory: 64Mi}}
        readinessProbe: {httpGet: {path: /health, port: 8080}}
        livenessProbe: {httpGet: {path: /health, port: 8080}}`, name, tag, replicas)
}

// faults counts requests by verb and resource, and makes them fail as told.
type faults struct {
	next http.RoundTripper

	mu     sync.Mutex
	counts map[string]int
	// fail answers a request in place of the server; nil lets it pass.
	fail func(req *http.Request) (*http.Response, error)
	// cut ends the bodies of all watches that are open.
	open map[*cutBody]struct{}
	sent atomic.Int64
	// mute keeps what watches say to itself.
	mute atomic.Bool
}

func (f *faults) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	if f.counts == nil {
		f.counts, f.open = map[string]int{}, map[*cutBody]struct{}{}
	}
	f.counts[describe(req)]++
	fail := f.fail
	f.mu.Unlock()
	f.sent.Add(1)
	if fail != nil {
		if resp, err := fail(req); resp != nil || err != nil {
			return resp, err
		}
	}
	resp, err := f.next.RoundTrip(req)
	if err != nil || !isWatch(req) {
		return resp, err
	}
	body := &cutBody{ReadCloser: resp.Body, mute: &f.mute}
	resp.Body = body
	f.mu.Lock()
	f.open[body] = struct{}{}
	f.mu.Unlock()
	return resp, nil
}

func isWatch(req *http.Request) bool { return req.URL.Query().Get("watch") == "true" }

func describe(req *http.Request) string {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	verb := "list"
	switch {
	case isWatch(req):
		verb = "watch"
	case strings.HasSuffix(req.URL.Path, "/log"):
		return "log"
	}
	for i, p := range parts {
		if p == "namespaces" && i+2 < len(parts) {
			if i+3 < len(parts) {
				verb = "get"
			}
			return verb + " " + parts[i+2]
		}
	}
	return verb + " " + parts[len(parts)-1]
}

func (f *faults) set(fail func(req *http.Request) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// cut drops the connections of all open watches.
func (f *faults) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for body := range f.open {
		body.dropped.Store(true)
		_ = body.Close()
		delete(f.open, body)
	}
}

func (f *faults) count(of string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for what, times := range f.counts {
		if strings.HasPrefix(what, of) {
			n += times
		}
	}
	return n
}

type cutBody struct {
	io.ReadCloser
	dropped atomic.Bool
	mute    *atomic.Bool
}

func (c *cutBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	for err == nil && c.mute.Load() {
		n, err = c.ReadCloser.Read(p)
	}
	if err != nil && c.dropped.Load() {
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// answer is a response of the API server with a Status.
func answer(req *http.Request, code int, reason metav1.StatusReason) *http.Response {
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"as the test wants"}`, reason, code)
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Request: req, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

func asNotHealthy(t testing.TB, err error) *NotHealthy {
	t.Helper()
	var n *NotHealthy
	if !errors.As(err, &n) {
		t.Fatalf("error is %v, want a NotHealthy", err)
	}
	return n
}

// after calls do once, so much later.
func after(ctx context.Context, d time.Duration, do func()) {
	timer := time.AfterFunc(d, do)
	context.AfterFunc(ctx, func() { timer.Stop() })
}
