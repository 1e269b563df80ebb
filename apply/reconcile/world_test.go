package reconcile_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

func TestMain(m *testing.M) { os.Exit(applytest.Main(m)) }

// world is a namespace with an environment of ConfigMaps and a source that the
// test sets.
type world struct {
	*testing.T
	cfg       *rest.Config
	namespace string
	maps      dynamic.ResourceInterface

	mu      sync.Mutex
	env     *schema.Environment
	version string
	wrong   error // with the present version
	down    error // the source does not answer
	notices []reconcile.Notice
}

func newWorld(t *testing.T, objects int) *world {
	t.Helper()
	cfg := applytest.Cluster(t)
	w := &world{T: t, cfg: cfg, namespace: applytest.Namespace(t, cfg, "rec"), version: "v1"}
	w.maps = w.client(cfg).Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(w.namespace)
	w.env = w.environment(objects, "v1")
	return w
}

func (w *world) client(cfg *rest.Config) dynamic.Interface {
	w.Helper()
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		w.Fatal(err)
	}
	return client
}

// environment has n ConfigMaps with one value, in the two units a and b.
func (w *world) environment(n int, value string) *schema.Environment {
	env := &schema.Environment{Name: w.namespace, Namespace: w.namespace, Units: []schema.Unit{{Name: "a"}, {Name: "b"}}}
	for i := range n {
		u := &env.Units[i%2]
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{
				"name": fmt.Sprintf("m%d", i), "namespace": w.namespace,
				"labels": map[string]any{
					schema.LabelPartOf: schema.ApplySetID(env.Name, env.Namespace), schema.LabelUnit: u.Name, schema.LabelManagedBy: schema.Manager,
				},
			},
			"data": map[string]any{"value": value, "other": strings.Repeat("x", 100)},
		}}
		u.Objects = append(u.Objects, schema.Object{Unstructured: o, Key: o.GetName()})
	}
	return env
}

func (w *world) connect() *apply.Cluster {
	w.Helper()
	c, err := apply.Connect(w.cfg)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// apply applies an environment as a person does.
func (w *world) apply(env *schema.Environment) {
	w.Helper()
	c := w.connect()
	plan, err := c.Plan(w.Context(), env, apply.PlanOptions{})
	if err == nil {
		_, err = c.Apply(w.Context(), env, plan, apply.ApplyOptions{Yes: true, LockTimeout: 20 * time.Second, NoWait: true})
	}
	if err != nil {
		w.Fatal(err)
	}
}

// publish makes the source have another state.
func (w *world) publish(version string, env *schema.Environment, wrong error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version, w.wrong = version, wrong
	if env != nil {
		w.env = env
	}
}

// outage makes the source not answer, or with nil answer again.
func (w *world) outage(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = err
}

// commitOf is a commit of a version: a revision with anything but digits is not read.
func commitOf(version string) string { return hex.EncodeToString([]byte(version)) }

func (w *world) render(_ context.Context, last string) (*reconcile.Rendering, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.down != nil:
		return nil, w.down
	case w.version == last:
		return nil, nil
	case w.wrong != nil:
		return &reconcile.Rendering{Version: w.version, Git: record.GitInfo{Commit: commitOf(w.version)}, Wrong: map[string]error{w.namespace: w.wrong}}, nil
	}
	return &reconcile.Rendering{Version: w.version, Git: record.GitInfo{Commit: commitOf(w.version)}, Environments: []*schema.Environment{w.env}}, nil
}

// daemon is a running one.
type daemon struct {
	*world
	url   string
	log   *safeBuffer
	stop  func() // and waits
	ended chan struct{}
	err   error
}

// options are those of a daemon of the world, made to be quick.
func (w *world) options() reconcile.DaemonOptions {
	return reconcile.DaemonOptions{
		Mode: reconcile.ModeCorrect, Who: "reconcile", Interval: 300 * time.Millisecond, FullInterval: time.Hour, Timeout: time.Minute,
		Render: w.render,
		Connect: func(*schema.Environment) (*apply.Cluster, error) {
			return apply.Connect(w.cfg)
		},
		Notify: func(n reconcile.Notice) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.notices = append(w.notices, n)
		},
	}
}

func (w *world) start(change func(*reconcile.DaemonOptions)) *daemon {
	w.Helper()
	opts := w.options()
	listener, err := new(net.ListenConfig).Listen(w.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	opts.Listen = listener
	d := &daemon{world: w, url: "http://" + listener.Addr().String(), log: &safeBuffer{}, ended: make(chan struct{})}
	opts.Log = slog.New(slog.NewJSONHandler(d.log, nil))
	if change != nil {
		change(&opts)
	}
	ctx, stop := context.WithCancel(w.Context())
	go func() {
		defer close(d.ended)
		d.err = reconcile.Run(ctx, opts)
	}()
	d.stop = func() { stop(); <-d.ended }
	w.Cleanup(func() {
		d.stop()
		if d.err != nil {
			w.Errorf("the daemon ended with %v", d.err)
		}
		if w.Failed() {
			w.Logf("log of the daemon:\n%s", d.log)
		}
	})
	return d
}

// safeBuffer is a buffer for a log.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// logEntry is a line of the daemon's log.
type logEntry struct{ Msg, Object, Error string }

// entries are the lines of the log with a message.
func (d *daemon) entries(msg string) []logEntry {
	var entries []logEntry
	for line := range strings.Lines(d.log.String()) {
		var e logEntry
		if json.Unmarshal([]byte(line), &e) == nil && e.Msg == msg {
			entries = append(entries, e)
		}
	}
	return entries
}

// get reads a page of the daemon.
func (d *daemon) get(path string) (int, string) {
	d.Helper()
	req, err := http.NewRequestWithContext(d.Context(), http.MethodGet, d.url+path, nil)
	if err != nil {
		d.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// metric reads one number of /metrics; name includes the labels.
func (d *daemon) metric(name string) string {
	d.Helper()
	_, body := d.get("/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return value
		}
	}
	return ""
}

func (d *daemon) ready() {
	d.Helper()
	d.until("ready", func() bool { code, _ := d.get("/readyz"); return code == http.StatusOK })
}

// until waits for something to become true.
func (w *world) until(what string, done func() bool) {
	w.Helper()
	// A watch that hears nothing is noticed after 45 seconds (outage_test.go).
	const limit = 2 * time.Minute
	deadline := time.Now().Add(limit)
	for !done() {
		if time.Now().After(deadline) {
			w.Fatalf("after %s not: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// edit sets the value of a ConfigMap as somebody else would.
func (w *world) edit(name, value, manager string) {
	w.Helper()
	patch, err := json.Marshal(map[string]any{"data": map[string]any{"value": value}})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.maps.Patch(w.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager}); err != nil {
		w.Fatal(err)
	}
}

// value is that of a ConfigMap, or "" where it does not exist.
func (w *world) value(name string) string {
	w.Helper()
	u, err := w.maps.Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	v, _, _ := unstructured.NestedString(u.Object, "data", "value")
	return v
}

func (w *world) is(name, value string) {
	w.Helper()
	w.until(name+" is "+value, func() bool { return w.value(name) == value })
}

// told are the notices of a kind.
func (w *world) told(kind reconcile.NoticeKind) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for _, n := range w.notices {
		if n.Kind == kind {
			texts = append(texts, n.Text)
		}
	}
	return texts
}

// level fails unless the cluster is what an environment says.
func (w *world) level(env *schema.Environment) {
	w.Helper()
	plan, err := w.connect().Plan(w.Context(), env, apply.PlanOptions{})
	if err != nil {
		w.Fatal(err)
	}
	if plan.Differs(false) {
		w.Errorf("not level: %v", plan.Summary)
	}
}

func leasesResource() kschema.GroupVersionResource {
	return coordinationv1.SchemeGroupVersion.WithResource("leases")
}
