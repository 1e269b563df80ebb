package apply_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

func TestInterrupt(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opts := tortureOptions()
	opts.Concurrency = 1
	opts.On = func(e apply.Event) {
		if e.Phase == apply.PhaseWrite && e.Name == "change" {
			cancel()
		}
	}
	report, err := s.run(ctx, s.after(), opts)
	var interrupted *apply.Interrupted
	if !errors.As(err, &interrupted) {
		t.Fatalf("got %v, want an interruption", err)
	}
	if len(interrupted.Done) == 0 || len(interrupted.NotDone) == 0 || len(interrupted.Done)+len(interrupted.NotDone) != 11 {
		t.Errorf("%d done, %d not, of 11", len(interrupted.Done), len(interrupted.NotDone))
	}
	if diff := cmp.Diff(interrupted.Done, report.Done); diff != "" {
		t.Errorf("the error and the report differ:\n%s", diff)
	}
	for _, ref := range interrupted.NotDone {
		if strings.HasPrefix(ref.Name, "old-") && s.members(t)["ConfigMap/"+ref.Name] == "" && ref.Kind == "ConfigMap" {
			t.Errorf("%s was deleted", ref)
		}
	}
	lease := s.lease(t)
	if holder, _, _ := unstructured.NestedString(lease.Object, "spec", "holderIdentity"); holder != "" {
		t.Errorf("the lock is still held by %s", holder)
	}
	s.apply(t, s.after())
	if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
		t.Errorf("after the next run (-want +got):\n%s", diff)
	}
}

// TestInterruptLosesAnswer is interrupted while the server has written the Lease
// and the answer is under way: at the first write of it, which takes the lock, and
// at the second, which renews it while the run waits for pods. Neither answer
// arrives, and the lock must be given back all the same.
func TestInterruptLosesAnswer(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for name, nth := range map[string]int{"of the lock": 1, "of its renewal": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			s.apply(t, s.env(s.home()))
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			writes := 0
			p := newProxy(t, cfg)
			p.arm(fault{after: true, do: func(_ *proxy, w http.ResponseWriter) {
				interrupt()
				if nth > 1 {
					time.Sleep(100 * time.Millisecond) // the run goes on to release the lock
				}
				drop(w)
			}}, func(_ int, req *http.Request) bool {
				if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/leases/") {
					writes++
					return writes == nth
				}
				return false
			})
			opts := gated()
			opts.LockDuration = 3 * time.Second
			env := s.env(s.home(), unit("app", s.deployment("web", "x:never-ready")))
			proxied := &scenario{namespace: s.namespace, cfg: &rest.Config{Host: p.url()}}
			if _, err := proxied.run(ctx, env, opts); exitCode(err) != 130 {
				t.Errorf("got %v, want an interruption", err)
			}
			if holder, _, _ := unstructured.NestedString(s.lease(t).Object, "spec", "holderIdentity"); holder != "" {
				t.Errorf("the lock is still held by %s", holder)
			}
		})
	}
}
