package budget

import (
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Where Go is refused memory, or a stack becomes too large, it writes a trace and ends
// the process: nothing of ours runs any more but what it writes with. So a line of Go's
// that says so is replaced, and what follows it left out.
//
// The function runs wherever the runtime may write, as in the middle of an allocation:
// it allocates nothing, stores no pointer and needs next to no stack.

//go:linkname overrideWrite runtime.overrideWrite
var overrideWrite func(fd uintptr, p unsafe.Pointer, n int32) int32 //nolint:gochecknoglobals // the runtime has it

var (
	overriding sync.Once //nolint:gochecknoglobals // guards a variable of the runtime

	insteadOfMemory, insteadOfStack atomic.Pointer[[]byte] //nolint:gochecknoglobals // what writeInstead has at hand

	spoken struct { //nolint:gochecknoglobals // as above
		line  [256]byte // of the runtime's, as far as it has come
		n     int
		quiet bool
	}
)

// sayInstead gives the words for the end by want of memory, and by recursion; empty ones
// leave the runtime its own.
func sayInstead(memory, stack string) {
	if memory == "" {
		insteadOfMemory.Store(nil)
		insteadOfStack.Store(nil)
		return
	}
	m, s := []byte(memory), []byte(stack)
	insteadOfMemory.Store(&m)
	insteadOfStack.Store(&s)
	overriding.Do(func() { overrideWrite = writeInstead })
}

//go:nosplit
//go:norace
func writeInstead(fd uintptr, p unsafe.Pointer, n int32) int32 {
	if fd != uintptr(syscall.Stderr) || insteadOfMemory.Load() == nil {
		return rawWrite(fd, p, n)
	}
	if spoken.quiet {
		return n
	}
	for i := range n {
		c := *(*byte)(unsafe.Add(p, i))
		spoken.line[spoken.n] = c
		spoken.n++
		if c != '\n' && spoken.n < len(spoken.line) {
			continue
		}
		words := insteadOfMemory.Load()
		switch {
		case lineHas("stack exceeds") || lineHas("stack overflow"):
			words = insteadOfStack.Load()
		case lineHas("out of memory"), lineHas("cannot allocate"), lineHas("OS thread"):
		default:
			words = nil
		}
		if words != nil {
			spoken.quiet = true
			rawWrite(fd, unsafe.Pointer(unsafe.SliceData(*words)), int32(len(*words)))
			return n
		}
		rawWrite(fd, unsafe.Pointer(&spoken.line), int32(spoken.n))
		spoken.n = 0
	}
	return n
}

//go:nosplit
//go:norace
func rawWrite(fd uintptr, p unsafe.Pointer, n int32) int32 {
	written, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(p), uintptr(n))
	if errno != 0 {
		return -int32(errno)
	}
	return int32(written)
}

// lineHas finds words in the line that is being written.
//
//go:nosplit
//go:norace
func lineHas(words string) bool {
	for at := 0; at+len(words) <= spoken.n; at++ {
		same := 0
		for same < len(words) && spoken.line[at+same] == words[same] {
			same++
		}
		if same == len(words) {
			return true
		}
	}
	return false
}
