package apply_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// newest is the last revision of a scenario.
func (s *scenario) newest(t *testing.T) record.Revision {
	t.Helper()
	history, err := s.connect(t).History(t.Context(), s.namespace, s.namespace)
	if err != nil || len(history) == 0 {
		t.Fatalf("%d revisions: %v", len(history), err)
	}
	return history[0]
}

// TestRevisionOfACompletedRun breaks off a change half way: the revision of the run
// that completes it says what both did, and that of the next one does not.
func TestRevisionOfACompletedRun(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	whole := newScenario(t, cfg)
	whole.apply(t, whole.before())
	whole.apply(t, whole.after())
	want := whole.newest(t).Changes

	for _, at := range []string{"change", "other"} {
		t.Run("at "+at, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			s.apply(t, s.before())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			opts := tortureOptions()
			opts.Concurrency = 1
			opts.On = func(e apply.Event) {
				if e.Phase == apply.PhaseWrite && e.Name == at {
					cancel()
				}
			}
			report, err := s.run(ctx, s.after(), opts)
			if interrupted := (*apply.Interrupted)(nil); !errors.As(err, &interrupted) || len(report.Done) == 0 {
				t.Fatalf("%d done, and %v", len(report.Done), err)
			}
			if n := s.newest(t).Number; n != 1 {
				t.Fatalf("a run that was broken off recorded revision %d", n)
			}
			s.apply(t, s.after())
			if got := s.newest(t); got.Number != 2 || cmp.Diff(want, got.Changes) != "" {
				t.Errorf("revision %d (-want +got):\n%s", got.Number, cmp.Diff(want, got.Changes))
			}
			third := s.after()
			third.Units[1].Objects = append(third.Units[1].Objects, s.env(unit("base", s.configMap("third", "k", "1"))).Units[0].Objects...)
			s.apply(t, third)
			if got := s.newest(t); got.Number != 3 || cmp.Diff(map[string]int{string(apply.Created): 1}, got.Changes) != "" {
				t.Errorf("revision %d: %v", got.Number, got.Changes)
			}
		})
	}
}

// TestNotesDuringARun has somebody write notes onto the parent each time that a run
// is about to: notes wait for no lock, and end no run. Another run's mark does, in
// words of ours.
func TestNotesDuringARun(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	for name, test := range map[string]struct {
		annotation string
		most       int
		code       int
	}{
		"notes":       {"evenkeel.dev/paused", 3, 0},
		"another run": {"evenkeel.dev/run", 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			s.apply(t, s.before())
			parents := s.client(t).Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(s.namespace)
			written := 0
			note := fault{pass: true, do: func(*proxy, http.ResponseWriter) {
				patch := `{"metadata":{"annotations":{"` + test.annotation + `":"{\"other\":{\"by\":\"` + strings.Repeat("x", written) + `\"}}"}}}`
				if _, err := parents.Patch(t.Context(), schema.ParentName(s.namespace), types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
					t.Error(err)
				}
			}}
			p := newProxy(t, cfg)
			p.arm(note, func(_ int, req *http.Request) bool {
				if req.Method != http.MethodPut || !strings.HasSuffix(req.URL.Path, "/configmaps/"+schema.ParentName(s.namespace)) || written == test.most {
					return false
				}
				written++
				return true
			})
			proxied := &scenario{namespace: s.namespace, cfg: &rest.Config{Host: p.url()}}
			_, err := proxied.run(t.Context(), s.after(), tortureOptions())
			if exitCode(err) != test.code || written != test.most {
				t.Fatalf("after %d notes: %v", written, err)
			}
			if err != nil && strings.Contains(err.Error(), "the object has been modified") {
				t.Errorf("in the server's words: %v", err)
			}
			s.apply(t, s.after())
			if diff := cmp.Diff(s.want(s.after()), s.members(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
