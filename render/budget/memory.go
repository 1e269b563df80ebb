package budget

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// PrepareProcess makes a process ready to render: it trades memory for time, as at the
// default the collector takes a quarter of the processor, and asks for huge pages.
// Nothing depends on it but speed. It is for main to call, once and before a rendering,
// because it changes settings of the whole process; further calls do nothing.
func PrepareProcess() { prepareProcess() }

var prepareProcess = sync.OnceFunc(func() { //nolint:gochecknoglobals // once for the process
	prepareHeap()
	pace()
})

// gcPercent is where most of the collector's time is gone and memory has not
// doubled.
const gcPercent = 200

// leastHeap, in bytes, is what the heap grows to before it is looked through, however
// little of it is live: a hundred apps need less, and a thousand need more anyway.
const leastHeap = 96 << 20

// pace says when the next collection is due, and again after each: a percentage alone
// has the collector look through a heap that grows at 15, 30, 60 and 120 MB.
func pace() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := uint64(gcPercent)
	if n := live[0].Value.Uint64(); n < leastHeap {
		percent = max(percent, 100*leastHeap/max(n, 1<<20)-100)
	}
	debug.SetGCPercent(int(percent))
	runtime.AddCleanup(new(mark), func(struct{}) { pace() }, struct{}{})
}

// mark is not kept: it is gone after the next collection. It has a pointer, as small
// objects without one share their memory.
type mark struct{ _ *mark }

// prepareHeap asks the system for huge pages where the heap will grow. CUE
// fills it faster than any other program of its size, and to hand out pages of
// 4 KiB one by one takes a fifth of a rendering, under some hypervisors two fifths.
// Go leaves that to the system, where the default is often that programs ask
// (madvise(2), Documentation/admin-guide/mm/transhuge.rst).
//
// What is asked for is address space, not memory: the block is never written, and
// collected at once, so that the heap goes on in its place. Without the collection
// it would count as live, and the next one would come after three times its size.
func prepareHeap() {
	if !addressSpace(2 * heapAhead) {
		return
	}
	old := debug.SetGCPercent(-1)
	preferHugePages(make([]byte, heapAhead))
	debug.SetGCPercent(old)
	runtime.GC()
}

// heapAhead is what a thousand apps need, in bytes; more grows as it always does.
const heapAhead = 256 << 20
