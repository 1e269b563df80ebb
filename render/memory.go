package render

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// lazyGC trades memory for time while rendering: at the default the collector
// takes a quarter of the processor. The function that it returns sets it back.
func lazyGC() func() {
	preparedHeap()
	old := debug.SetGCPercent(gcPercent)
	return func() { debug.SetGCPercent(old) }
}

// gcPercent is where most of the collector's time is gone and memory has not
// doubled.
const gcPercent = 200

// preparedHeap asks the system once for huge pages where the heap will grow. CUE
// fills it faster than any other program of its size, and to hand out pages of
// 4 KiB one by one takes a fifth of a rendering, under some hypervisors two fifths.
// Go leaves that to the system, where the default is often that programs ask
// (madvise(2), Documentation/admin-guide/mm/transhuge.rst).
//
// What is asked for is address space, not memory: the block is never written, and
// collected at once, so that the heap goes on in its place. Without the collection
// it would count as live, and the next one would come after three times its size.
var preparedHeap = sync.OnceFunc(func() { //nolint:gochecknoglobals // once for the process
	if !addressSpace(2 * heapAhead) {
		return
	}
	old := debug.SetGCPercent(-1)
	preferHugePages(make([]byte, heapAhead))
	debug.SetGCPercent(old)
	runtime.GC()
})

// heapAhead is what a thousand apps need, in bytes; more grows as it always does.
const heapAhead = 256 << 20
