package budget

import "golang.org/x/sys/unix"

// wall bounds what the process may map for data, until the function that it returns
// sets it back: all that could be written, touched or not. A lower limit stands.
func wall(size uint64) func() {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &old); err != nil || old.Cur < size {
		return func() {}
	}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: size, Max: old.Max}); err != nil {
		return func() {}
	}
	return func() { _ = unix.Setrlimit(unix.RLIMIT_DATA, &old) }
}

// addressSpace says whether there is plenty: Go ends where it is refused some, by
// ulimit -v or strict overcommit.
func addressSpace(size int) bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil || limit.Cur != unix.RLIM_INFINITY {
		return false
	}
	block, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	return err == nil && unix.Munmap(block) == nil
}

// preferHugePages has no effect where the system has none or is set to never.
func preferHugePages(block []byte) { _ = unix.Madvise(block, unix.MADV_HUGEPAGE) }
