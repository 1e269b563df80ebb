package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestSoak edits, deletes and unlabels objects at random, five times a second, for
// as long as EVENKEEL_SOAK says (make soak: half an hour). Every one is found and
// corrected, and neither goroutines nor memory nor watches grow.
func TestSoak(t *testing.T) {
	duration, err := time.ParseDuration(os.Getenv("EVENKEEL_SOAK"))
	if err != nil {
		t.Skip("takes half an hour: make soak")
	}
	const objects = 500
	w := newWorld(t, objects)
	w.apply(w.env)
	d := w.start(func(o *reconcile.DaemonOptions) {
		o.FightLimit = 1 << 30 // no edit here is meant
		o.FullInterval = 2 * time.Minute
		o.Interval = 5 * time.Second
	})
	d.ready()
	s := &soak{world: w, edited: map[string]time.Time{}}
	stop := s.follow()
	defer stop()

	var early, late usage
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	started := time.Now()
	for time.Since(started) < duration {
		<-tick.C
		s.disturb()
		if early.goroutines == 0 && time.Since(started) > min(duration/5, 2*time.Minute) {
			early = measure()
		}
	}
	w.until("everything is corrected", func() bool { return s.open() == 0 })
	late = measure()
	w.level(w.env)

	labels := fmt.Sprintf(`{environment="%s"}`, w.namespace)
	corrections, _ := strconv.Atoi(d.metric("evenkeel_corrections_total" + labels))
	watches, _ := strconv.Atoi(d.metric(`evenkeel_api_requests_total{purpose="watch"}`))
	lists, _ := strconv.Atoi(d.metric(`evenkeel_api_requests_total{purpose="list"}`))
	slices.Sort(s.took)
	t.Logf("%d disturbances in %s: %d corrections; corrected after p50 %s, p99 %s, at most %s", s.made, duration, corrections,
		s.took[len(s.took)/2], s.took[len(s.took)*99/100], s.took[len(s.took)-1])
	t.Logf("goroutines %d -> %d, heap %d -> %d MB; %d watches, %d lists", early.goroutines, late.goroutines, early.heap>>20, late.heap>>20, watches, lists)
	// A write whose answer was lost is seen to be done, and not counted.
	if failed := d.metric("evenkeel_pass_errors_total" + labels); corrections != s.made && failed == "" {
		t.Errorf("%d corrections of %d disturbances", corrections, s.made)
	}
	if late.goroutines > early.goroutines+10 {
		t.Errorf("goroutines grew from %d to %d", early.goroutines, late.goroutines)
	}
	if late.heap > early.heap+(20<<20) {
		t.Errorf("the heap grew from %d to %d bytes", early.heap, late.heap)
	}
	// A watch lives five minutes at least; health has its own at full passes.
	if most := 4 + int(duration/(5*time.Minute)); watches > most {
		t.Errorf("%d watches, want %d at most", watches, most)
	}
}

type usage struct {
	goroutines int
	heap       uint64
}

func measure() usage {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), m.HeapAlloc}
}

// soak disturbs objects and sees them corrected.
type soak struct {
	*world
	made int

	mu     sync.Mutex
	edited map[string]time.Time // not corrected yet
	took   []time.Duration
}

// follow notes when objects are as they should be, by a watch of its own.
func (s *soak) follow() (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			events, err := s.maps.Watch(s.Context(), metav1.ListOptions{})
			if err != nil {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			for more := true; more; {
				select {
				case <-ended:
					events.Stop()
					return
				case event, ok := <-events.ResultChan():
					if more = ok; ok {
						s.saw(event)
					}
				}
			}
		}
	}()
	return func() { close(ended); <-done }
}

func (s *soak) saw(event watch.Event) {
	u, ok := event.Object.(*unstructured.Unstructured)
	if !ok || event.Type == watch.Deleted {
		return
	}
	value, _, _ := unstructured.NestedString(u.Object, "data", "value")
	s.mu.Lock()
	defer s.mu.Unlock()
	at, open := s.edited[u.GetName()]
	if open && value == "v1" && u.GetLabels()[schema.LabelPartOf] != "" {
		s.took = append(s.took, time.Since(at))
		delete(s.edited, u.GetName())
	}
}

// disturb does something to an object that nothing was done to since it was level.
func (s *soak) disturb() {
	s.Helper()
	name := ""
	for name == "" {
		candidate := fmt.Sprintf("m%d", rand.N(500))
		s.mu.Lock()
		if _, open := s.edited[candidate]; !open {
			name = candidate
		}
		s.mu.Unlock()
	}
	s.made++
	s.mu.Lock()
	s.edited[name] = time.Now()
	s.mu.Unlock()
	switch rand.N(10) {
	case 0:
		if err := s.maps.Delete(s.Context(), name, metav1.DeleteOptions{}); err != nil {
			s.Error(err)
		}
	case 1:
		if _, err := s.maps.Patch(s.Context(), name, "application/merge-patch+json",
			[]byte(`{"metadata":{"labels":{"applyset.kubernetes.io/part-of":null}}}`), metav1.PatchOptions{FieldManager: "kubectl-label"}); err != nil {
			s.Error(err)
		}
	default:
		s.edit(name, fmt.Sprint("edited ", s.made), fmt.Sprint("user-", rand.N(5)))
	}
}

// open is how many objects are not corrected yet.
func (s *soak) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.edited)
}
