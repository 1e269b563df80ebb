package apply_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// The torture puts a proxy between an apply and the API server and breaks
// something at request n, for every n of a run that creates, changes, prunes,
// recreates and brings a CustomResourceDefinition with its first object. The run
// after it has no trouble, and must leave exactly what was desired.

// fault is what happens at one request. Those that come after let the server do
// what it was asked, and lose the answer.
type fault struct {
	name  string
	after bool
	do    func(p *proxy, w http.ResponseWriter)
	pass  bool // the request goes on to the server
}

func faults() []fault {
	kill := func(p *proxy, w http.ResponseWriter) { p.signal(os.Kill); drop(w) }
	status := func(code int) func(*proxy, http.ResponseWriter) {
		return func(_ *proxy, w http.ResponseWriter) { answer(w, code) }
	}
	hang := func(p *proxy, w http.ResponseWriter) { p.hang(); drop(w) }
	reset := func(_ *proxy, w http.ResponseWriter) { drop(w) }
	return []fault{
		{name: "killed before the request", do: kill},
		{name: "killed before the answer", after: true, do: kill},
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
	cfg := applytest.Cluster(t)
	requests := undisturbed(t, cfg)
	stride := 16
	if os.Getenv("EVENKEEL_TORTURE") != "" {
		stride = 1
	}
	var runs, broken atomic.Int32
	t.Run("faults", func(t *testing.T) {
		for i, f := range faults() {
			for n := 1 + i%stride; n <= requests; n += stride {
				t.Run(fmt.Sprintf("%s at request %d", f.name, n), func(t *testing.T) {
					t.Parallel()
					runs.Add(1)
					if !tortureOnce(t, cfg, f, n) {
						broken.Add(1)
					}
				})
			}
		}
	})
	t.Logf("counted: a change of 11 objects took %d requests; %d runs of it with %d kinds of trouble, %d ended by it; the run after it converged in all that passed",
		requests, runs.Load(), len(faults()), broken.Load())
}

// undisturbed is how many requests the change takes where nothing happens.
func undisturbed(t *testing.T, cfg *rest.Config) int {
	t.Helper()
	s := newScenario(t, cfg)
	s.apply(t, s.before())
	p := newProxy(t, cfg)
	if output, err := s.child(t, p.url(), childLock).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return p.close()
}

// tortureOnce breaks request n of one apply and applies again. It reports
// whether the broken apply succeeded.
func tortureOnce(t *testing.T, cfg *rest.Config, f fault, n int) bool {
	t.Helper()
	s := newScenario(t, cfg)
	s.apply(t, s.before())
	uids := s.uids(t)

	p := newProxy(t, cfg)
	child := s.child(t, p.url(), childLock)
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

	again := s.apply(t, s.after())
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("%s at request %d (%s): after the next run (-want +got):\n%s\nfirst run:\n%s", f.name, n, p.broken, diff, &output)
	}
	if wrote := s.wrote(t, s.after()); len(wrote) > 0 {
		t.Errorf("%s at request %d (%s): a third run wrote %q", f.name, n, p.broken, wrote)
	}
	for name, uid := range s.uids(t) {
		if old, was := uids[name]; was && old != uid && !s.recreates(name) {
			t.Errorf("%s at request %d: %s was deleted and created again", f.name, n, name)
		}
	}
	for _, path := range append(p.deleted(), s.deleted(again)...) {
		if !s.mayDelete(path) {
			t.Errorf("%s at request %d: deleted %s", f.name, n, path)
		}
	}
	return err == nil
}

// wrote are the writes of an apply without trouble, those of its lock left out: it
// is taken, renewed if the run is slow, and released.
func (s *scenario) wrote(t *testing.T, env *schema.Environment) []string {
	t.Helper()
	p := newProxy(t, s.cfg)
	proxied := &scenario{namespace: s.namespace, cfg: &rest.Config{Host: p.url()}}
	proxied.apply(t, env)
	return slices.DeleteFunc(p.wrote(), isLease)
}

func isLease(request string) bool { return strings.Contains(request, "/leases") }

// checkInterrupted looks at what an apply leaves that was told to stop. A server
// that does not answer cannot be told that the lock is free; then the run says so.
func (s *scenario) checkInterrupted(t *testing.T, output string) {
	t.Helper()
	if !strings.Contains(output, "interrupted: ") && !strings.Contains(output, "plan: ") {
		t.Errorf("an interrupted apply said:\n%s", output)
	}
	holder, _, _ := unstructured.NestedString(s.lease(t).Object, "spec", "holderIdentity")
	if holder != "" && !strings.Contains(output, "release of the lock of ") {
		t.Errorf("an interrupted apply left the lock to %s, and said:\n%s", holder, output)
	}
}

// child is an apply of the scenario in a process of its own.
func (s *scenario) child(t *testing.T, server string, lock time.Duration) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestApplier$", "-test.v")
	cmd.Env = append(os.Environ(), "EVENKEEL_TEST_APPLIER="+server, "EVENKEEL_TEST_NAMESPACE="+s.namespace, "EVENKEEL_TEST_LOCK="+lock.String())
	return cmd
}

// TestApplier is not a test: it is what child starts.
func TestApplier(t *testing.T) {
	server := os.Getenv("EVENKEEL_TEST_APPLIER")
	if server == "" {
		t.Skip("runs as a child of the torture only")
	}
	s := &scenario{namespace: os.Getenv("EVENKEEL_TEST_NAMESPACE"), cfg: &rest.Config{Host: server, Timeout: 2 * time.Second}}
	opts := tortureOptions()
	opts.LockTimeout = 0 // nobody else has it
	var err error
	if opts.LockDuration, err = time.ParseDuration(os.Getenv("EVENKEEL_TEST_LOCK")); err != nil {
		t.Fatal(err)
	}
	env := s.after()
	if os.Getenv("EVENKEEL_TEST_GATE") != "" {
		env, opts.NoWait, opts.Timeout = s.gatedAfter(), false, time.Minute
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	report, err := s.run(ctx, env, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("done: %v", report.Done)
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
	var died atomic.Int32
	t.Run("kills", func(t *testing.T) {
		for i := range kills {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				s := newScenario(t, cfg)
				if _, err := s.run(t.Context(), s.gatedBefore(), gated()); err != nil {
					t.Fatal(err)
				}
				uids := s.uids(t)
				child := s.child(t, "", childLock)
				p := newProxy(t, cfg)
				child.Env = append(child.Env, "EVENKEEL_TEST_GATE=1", "EVENKEEL_TEST_APPLIER="+p.url())
				p.start(t, child)
				kill := time.AfterFunc(300*time.Millisecond+time.Duration(i)*4*time.Second/time.Duration(kills), func() { p.signal(os.Kill) })
				defer kill.Stop()
				if child.Wait() != nil {
					died.Add(1)
				}
				report, err := s.run(t.Context(), s.gatedAfter(), gated())
				if err != nil {
					t.Fatal(err)
				}
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
	t.Logf("counted: %d applies, %d of them killed; the run after each was healthy and had exactly what is desired", kills, died.Load())
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
	child := s.child(t, p.url(), 8*time.Second)
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
	child := s.child(t, p.url(), time.Minute)
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
