package budget

import (
	"runtime"
	"testing"
)

// TestPreparedHeap looks whether the block that is asked for is gone, for memory
// and for the collector's next goal.
func TestPreparedHeap(t *testing.T) {
	prepareHeap()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > heapAhead/2 || m.NextGC > heapAhead {
		t.Errorf("%d MiB allocated, the next collection at %d MiB", m.HeapAlloc>>20, m.NextGC>>20)
	}
}

// TestPace looks whether the collector waits for leastHeap, and whether each collection
// sets the next: with the first percentage, that for hundreds of megabytes would come
// after thousands.
func TestPace(t *testing.T) {
	pace()
	if goal() < leastHeap {
		t.Errorf("the first collection is due at %d MiB", goal()>>20)
	}
	live := make([]byte, 2*leastHeap)
	runtime.GC()
	for goal() > 4*uint64(len(live)) { // the next one is set a moment after the collection
		runtime.Gosched()
	}
	runtime.KeepAlive(live)
}

// goal is where the heap is when the next collection is due, in bytes.
func goal() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NextGC
}
