package apply_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// The torture puts a proxy between a run and the API server and breaks something at
// request n, for every n of each run in ordeals. The run after it has no trouble, and
// must leave exactly what was desired.

// fault is what happens at one request. Those that come after let the server do
// what it was asked, and lose the answer.
type fault struct {
	name  string
	after bool
	do    func(p *proxy, w http.ResponseWriter)
	pass  bool // the request goes on to the server
	kills bool // nobody is left to see the answer
}

func faults() []fault {
	kill := func(p *proxy, w http.ResponseWriter) { p.signal(os.Kill); drop(w) }
	status := func(code int) func(*proxy, http.ResponseWriter) {
		return func(_ *proxy, w http.ResponseWriter) { answer(w, code) }
	}
	hang := func(p *proxy, w http.ResponseWriter) { p.hang(); drop(w) }
	reset := func(_ *proxy, w http.ResponseWriter) { drop(w) }
	return []fault{
		{name: "killed before the request", do: kill, kills: true},
		{name: "killed before the answer", after: true, do: kill, kills: true},
		{name: "interrupted", do: func(p *proxy, _ http.ResponseWriter) { p.signal(os.Interrupt) }, pass: true},
		{name: "500", do: status(http.StatusInternalServerError)},
		{name: "500 although it was done", after: true, do: status(http.StatusInternalServerError)},
		{name: "429", do: status(http.StatusTooManyRequests)},
		{name: "reset", do: reset},
		{name: "reset although it was done", after: true, do: reset},
		{name: "time-out", do: hang},
		{name: "time-out although it was done", after: true, do: hang},
	}
}

func TestTorture(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	long := os.Getenv("EVENKEEL_TORTURE") != ""
	for i := range ordeals() {
		o := &ordeals()[i]
		t.Run(o.name, func(t *testing.T) {
			requests := undisturbed(t, cfg, o)
			var runs, broken atomic.Int32
			t.Run("faults", func(t *testing.T) {
				for j, f := range faults() {
					for n := 1 + j%stride(o, f, long); n <= requests; n += stride(o, f, long) {
						t.Run(fmt.Sprintf("%s at request %d", f.name, n), func(t *testing.T) {
							t.Parallel()
							runs.Add(1)
							if !tortureOnce(t, cfg, o, f, n) {
								broken.Add(1)
							}
						})
					}
				}
			})
			t.Logf("counted: %s took %d requests; %d runs of it with %d kinds of trouble, %d ended by it; the run after it converged in all that passed",
				o.name, requests, runs.Load(), len(faults()), broken.Load())
		})
	}
}

// stride is how far apart the requests are at which a fault happens. Kills happen at
// each, of every run; the others at each of the change, and at a sample of the rest.
func stride(o *ordeal, f fault, long bool) int {
	switch {
	case long && (f.kills || o.name == "change"):
		return 1
	case long:
		return 7
	case o.name == "change":
		return 16
	case f.kills:
		return 24
	}
	return 1 << 16 // none, but the first
}

// undisturbed is how many requests a run takes where nothing happens.
func undisturbed(t *testing.T, cfg *rest.Config, o *ordeal) int {
	t.Helper()
	s := newScenario(t, cfg)
	o.prepare(t, s)
	p := newProxy(t, cfg)
	if output, err := s.child(t, o.name, p.url(), childLock).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return p.close()
}

// tortureOnce breaks request n of one run and runs again. It reports whether the
// broken run succeeded.
func tortureOnce(t *testing.T, cfg *rest.Config, o *ordeal, f fault, n int) bool {
	t.Helper()
	s := newScenario(t, cfg)
	o.prepare(t, s)
	uids := s.uids(t)

	p := newProxy(t, cfg)
	child := s.child(t, o.name, p.url(), childLock)
	p.arm(f, func(count int, _ *http.Request) bool { return count == n })
	var output bytes.Buffer
	child.Stdout, child.Stderr = &output, &output
	p.start(t, child)
	err := child.Wait()
	count := p.close()
	if count < n {
		t.Logf("there were %d requests only", count)
	}
	if err != nil && f.pass && count >= n {
		s.checkInterrupted(t, output.String())
	}

	at := fmt.Sprintf("%s at request %d (%s)", f.name, n, p.broken)
	wrote := s.wrote(t, o.run)
	if diff := cmp.Diff(o.want(s), s.members(t)); diff != "" {
		t.Errorf("%s: after the next run (-want +got):\n%s\nfirst run:\n%s", at, diff, &output)
	}
	level := o.run
	if o.level != nil {
		level = o.level
	}
	if again := slices.DeleteFunc(s.wrote(t, level), isLease); len(again) > 0 {
		t.Errorf("%s: a third run wrote %q", at, again)
	}
	if by := s.holder(t); by != "" {
		t.Errorf("%s: in the end the lock is held by %s", at, by)
	}
	for name, uid := range s.uids(t) {
		if old, was := uids[name]; was && old != uid && !slices.Contains(o.recreates, name) {
			t.Errorf("%s: %s was deleted and created again", at, name)
		}
	}
	for _, path := range append(p.deleted(), deletions(wrote)...) {
		if !o.mayDelete(path) {
			t.Errorf("%s: deleted %s", at, path)
		}
	}
	return err == nil
}

// wrote are the writes of a run without trouble.
func (s *scenario) wrote(t *testing.T, run func(context.Context, *scenario) error) []string {
	t.Helper()
	p := newProxy(t, s.cfg)
	proxied := *s
	proxied.cfg = &rest.Config{Host: p.url()}
	if err := run(t.Context(), &proxied); err != nil {
		t.Fatalf("without trouble: %v", err)
	}
	return p.wrote()
}

func isLease(request string) bool { return strings.Contains(request, "/leases") }

// checkInterrupted looks at what a run leaves that was told to stop. A server that
// does not answer cannot be told that the lock is free; then the run says so.
func (s *scenario) checkInterrupted(t *testing.T, output string) {
	t.Helper()
	if !strings.Contains(output, "interrupted: ") && !strings.Contains(output, "plan: ") && !strings.Contains(output, "interrupt signal received") {
		t.Errorf("a run that was interrupted said:\n%s", output)
	}
	if by := s.holder(t); by != "" && !strings.Contains(output, "release of the lock of ") {
		t.Errorf("a run that was interrupted left the lock to %s, and said:\n%s", by, output)
	}
}

// holder is who holds a lock of the scenario, or nobody.
func (s *scenario) holder(t *testing.T) string {
	t.Helper()
	leases := kschema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
	list, err := s.client(t).Resource(leases).Namespace(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, lease := range list.Items {
		if by, _, _ := unstructured.NestedString(lease.Object, "spec", "holderIdentity"); by != "" {
			return by
		}
	}
	return ""
}

// child is a run of an ordeal in a process of its own.
func (s *scenario) child(t *testing.T, ordeal, server string, lock time.Duration) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestApplier$", "-test.v")
	cmd.Env = append(os.Environ(), "EVENKEEL_TEST_APPLIER="+server, "EVENKEEL_TEST_NAMESPACE="+s.namespace, "EVENKEEL_TEST_LOCK="+lock.String(),
		"EVENKEEL_TEST_ORDEAL="+ordeal, "EVENKEEL_TEST_PORT="+strconv.FormatInt(s.port, 10))
	return cmd
}

// TestApplier is not a test: it is what child starts.
func TestApplier(t *testing.T) {
	server := os.Getenv("EVENKEEL_TEST_APPLIER")
	if server == "" {
		t.Skip("runs as a child of the torture only")
	}
	s := &scenario{namespace: os.Getenv("EVENKEEL_TEST_NAMESPACE"), cfg: &rest.Config{Host: server, Timeout: 2 * time.Second}}
	var err error
	if s.impatient, err = time.ParseDuration(os.Getenv("EVENKEEL_TEST_LOCK")); err != nil {
		t.Fatal(err)
	}
	if s.port, err = strconv.ParseInt(os.Getenv("EVENKEEL_TEST_PORT"), 10, 64); err != nil {
		t.Fatal(err)
	}
	all := append(ordeals(), ordeal{name: "gated change", run: func(ctx context.Context, s *scenario) error {
		opts := s.options()
		opts.NoWait = false
		return s.once(ctx, s.gatedAfter(), opts)
	}})
	i := slices.IndexFunc(all, func(o ordeal) bool { return o.name == os.Getenv("EVENKEEL_TEST_ORDEAL") })
	if i < 0 {
		t.Fatalf("no ordeal %q", os.Getenv("EVENKEEL_TEST_ORDEAL"))
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	if err := all[i].run(ctx, s); err != nil {
		t.Fatal(err)
	}
}

// childLock is short, so that a run whose requests time out ends soon, and the lock
// of one that was killed is soon free.
const childLock = 9 * time.Second

// tortureOptions are those of runs without trouble: on a machine that is busy with
// many others at once, these may take their time.
func tortureOptions() apply.ApplyOptions {
	return apply.ApplyOptions{Yes: true, NoWait: true, LockTimeout: time.Minute, Timeout: time.Minute}
}

// TestKilledAtTheGate kills applies that wait for pods, at times that are spread
// over the whole of the run.
func TestKilledAtTheGate(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	kills := 3
	if os.Getenv("EVENKEEL_TORTURE") != "" {
		kills = 40
	}
	var died, healthy atomic.Int32
	t.Run("kills", func(t *testing.T) {
		for i := range kills {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				s := newScenario(t, cfg)
				patient := gated() // many wait at once for the same server
				patient.Timeout, patient.LockDuration = 20*time.Minute, 5*time.Minute
				if _, err := s.run(t.Context(), s.gatedBefore(), patient); err != nil {
					t.Fatal(err)
				}
				uids := s.uids(t)
				p := newProxy(t, cfg)
				child := s.child(t, "gated change", p.url(), childLock)
				p.start(t, child)
				kill := time.AfterFunc(300*time.Millisecond+time.Duration(i)*4*time.Second/time.Duration(kills), func() { p.signal(os.Kill) })
				defer kill.Stop()
				if child.Wait() != nil {
					died.Add(1)
				}
				report, err := s.run(t.Context(), s.gatedAfter(), patient)
				if err != nil {
					t.Fatal(err)
				}
				healthy.Add(1)
				if diff := cmp.Diff(s.want(s.gatedAfter()), s.members(t)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if len(report.Health) != 5 {
					t.Errorf("the run after it judged %d objects", len(report.Health))
				}
				for name, uid := range s.uids(t) {
					if old := uids[name]; old != "" && old != uid {
						t.Errorf("%s was deleted and created again", name)
					}
				}
			})
		}
	})
	t.Logf("counted: %d applies, %d of them killed; the run after it was healthy %d times, and had exactly what is desired in all that passed", kills, died.Load(), healthy.Load())
}

func (s *scenario) gatedBefore() *schema.Environment {
	return s.env(
		s.home(),
		schema.Unit{Name: "db", Objects: []schema.Object{s.deployment("db", "x:1"), s.configMap("old-db", "k", "1")}},
		schema.Unit{Name: "web", After: []string{"db"}, Objects: []schema.Object{s.deployment("web", "x:1"), s.configMap("old-web", "k", "1")}},
	)
}

func (s *scenario) gatedAfter() *schema.Environment {
	return s.env(
		s.home(),
		schema.Unit{Name: "db", Objects: []schema.Object{s.deployment("db", "x:2")}},
		schema.Unit{Name: "web", After: []string{"db"}, Objects: []schema.Object{s.deployment("web", "x:2"), s.configMap("new", "k", "1"), s.deployment("more", "x:1")}},
	)
}

// TestStoppedHolder stops an apply that holds the lock, lets another one take
// over and end, and continues the first: it must write nothing more.
func TestStoppedHolder(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	p := newProxy(t, s.cfg)
	reads, stopped, resume := 0, make(chan struct{}), make(chan struct{})
	child := s.child(t, "change", p.url(), 8*time.Second)
	stop := fault{do: func(p *proxy, w http.ResponseWriter) {
		p.signal(syscall.SIGSTOP)
		close(stopped)
		<-resume
		drop(w)
	}}
	p.arm(stop, func(_ int, req *http.Request) bool {
		// The second read of the parent is the first request under the lock.
		if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/configmaps/"+schema.ParentName(s.namespace)) {
			reads++
			return reads == 2
		}
		return false
	})
	var output bytes.Buffer
	child.Stdout, child.Stderr = &output, &output
	p.start(t, child)
	<-stopped
	before := p.wrote()

	opts := tortureOptions()
	opts.LockTimeout = 0
	if _, err := s.run(t.Context(), s.after(), opts); exitCode(err) != 4 {
		t.Errorf("the lock was not respected while it was held: %v", err)
	}
	opts.LockTimeout = 40 * time.Second
	started := time.Now()
	if _, err := s.run(t.Context(), s.after(), opts); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(started); waited < 2*time.Second {
		t.Errorf("the lock was taken over after %s, before it expired", waited)
	}
	versions := s.versions(t)

	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	close(resume)
	if err := child.Wait(); err == nil {
		t.Errorf("the stopped apply succeeded:\n%s", &output)
	}
	// It may try to renew and to release what is no longer its own.
	after := slices.DeleteFunc(p.wrote()[len(before):], isLease)
	if len(after) > 0 {
		t.Errorf("the stopped apply went on to write %q", after)
	}
	if diff := cmp.Diff(versions, s.versions(t)); diff != "" {
		t.Errorf("something changed (-before +after):\n%s", diff)
	}
}

// TestDeadHolder takes the lock of a process of this machine that was killed,
// at once.
func TestDeadHolder(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	p := newProxy(t, s.cfg)
	child := s.child(t, "change", p.url(), time.Minute)
	p.arm(faults()[0], func(_ int, req *http.Request) bool {
		return req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/configmaps/") // widen
	})
	p.start(t, child)
	_ = child.Wait()
	opts := tortureOptions()
	opts.LockTimeout = 0
	if _, err := s.run(t.Context(), s.after(), opts); err != nil {
		t.Fatal(err)
	}
}
