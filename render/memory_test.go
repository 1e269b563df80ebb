package render

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
