package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
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
	s := &soak{world: w, open: map[string]disturbance{}, level: map[string]state{}, disturbed: map[string]int{}}
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
	w.until("everything is corrected", func() bool { return s.left() == 0 })
	late = measure()
	w.level(w.env)

	labels := fmt.Sprintf(`{environment="%s"}`, w.namespace)
	corrections, _ := strconv.Atoi(d.metric("evenkeel_corrections_total" + labels))
	watches, _ := strconv.Atoi(d.metric(`evenkeel_api_requests_total{purpose="watch"}`))
	lists, _ := strconv.Atoi(d.metric(`evenkeel_api_requests_total{purpose="list"}`))
	slices.Sort(s.took)
	t.Logf("%d disturbances in %s, %d of them found and undone; the daemon counted %d corrections, %d passes failed; corrected after p50 %s, p99 %s, at most %s",
		s.made, duration, len(s.took), corrections, len(d.entries("pass failed")),
		s.took[len(s.took)/2], s.took[len(s.took)*99/100], s.took[len(s.took)-1])
	t.Logf("goroutines %d -> %d, heap %d -> %d MB; %d watches, %d lists", early.goroutines, late.goroutines, early.heap>>20, late.heap>>20, watches, lists)
	s.accounted(d)
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

	mu        sync.Mutex
	open      map[string]disturbance // not corrected yet
	level     map[string]state       // when it was last seen as it should be
	disturbed map[string]int
	took      []time.Duration
}

// disturbance is what was done to an object: it is undone by a later version that
// is level, where it was deleted by another object of the name.
type disturbance struct {
	at      time.Time
	version uint64
	not     types.UID
	done    bool // the write has been answered
}

// state is an object as the watch of the test saw it.
type state struct {
	at      time.Time
	version uint64
	uid     types.UID
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
	if value != "v1" || u.GetLabels()[schema.LabelPartOf] == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.level[u.GetName()] = state{time.Now(), version(u), u.GetUID()}
	s.settle(u.GetName())
}

// settle closes the disturbance of an object that was seen level after it.
func (s *soak) settle(name string) {
	was, open := s.open[name]
	now := s.level[name]
	if open && was.done && now.version > was.version && now.uid != was.not {
		s.took = append(s.took, now.at.Sub(was.at))
		delete(s.open, name)
	}
}

func version(u *unstructured.Unstructured) uint64 {
	v, _ := strconv.ParseUint(u.GetResourceVersion(), 10, 64)
	return v
}

// disturb does something to an object that nothing was done to since it was level.
func (s *soak) disturb() {
	s.Helper()
	name := ""
	s.mu.Lock()
	for name == "" {
		candidate := fmt.Sprintf("m%d", rand.N(500))
		if _, open := s.open[candidate]; !open {
			name = candidate
		}
	}
	s.made++
	s.disturbed[name]++
	d := disturbance{at: time.Now(), done: true}
	s.open[name] = disturbance{}
	s.mu.Unlock()
	var written *unstructured.Unstructured
	var err error
	switch rand.N(10) {
	case 0:
		if written, err = s.maps.Get(s.Context(), name, metav1.GetOptions{}); err == nil {
			d.not = written.GetUID()
			err = s.maps.Delete(s.Context(), name, metav1.DeleteOptions{})
		}
	case 1:
		written, err = s.maps.Patch(s.Context(), name, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"applyset.kubernetes.io/part-of":null}}}`), metav1.PatchOptions{FieldManager: "kubectl-label"})
	default:
		written, err = s.maps.Patch(s.Context(), name, types.MergePatchType,
			fmt.Appendf(nil, `{"data":{"value":"edited %d"}}`, s.made), metav1.PatchOptions{FieldManager: fmt.Sprint("user-", rand.N(5))})
	}
	if err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	d.version = version(written)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[name] = d
	s.settle(name)
}

// left is how many objects are not corrected yet.
func (s *soak) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// accounted holds the daemon to what it says: each disturbance is a correction of
// that object in its log, except where the answer to the write was lost, which a
// failed pass says of the object. Such a write is seen to be done, and not counted.
func (s *soak) accounted(d *daemon) {
	s.Helper()
	said := map[string]int{}
	for _, entry := range d.entries("corrected") {
		said[entry.Object]++
	}
	failed := d.entries("pass failed")
	for name, n := range s.disturbed {
		object := "ConfigMap/" + s.namespace + "/" + name
		lost := 0
		for _, entry := range failed {
			if strings.Contains(entry.Error+" ", object+":") {
				lost++
			}
		}
		if said[object] > n || said[object] < n-lost {
			s.Errorf("%s was disturbed %d times, its correction was said %d times and failed %d times", object, n, said[object], lost)
		}
	}
	for _, entry := range failed {
		s.Logf("a pass failed: %s", entry.Error)
	}
}
