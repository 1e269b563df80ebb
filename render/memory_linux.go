package render

import "golang.org/x/sys/unix"

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
