//go:build amd64 || arm64

package render_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-428f4edd/evenkeel/internal/program"
)

func TestMain(m *testing.M) {
	if os.Getenv(walledIn) != "" {
		if err := wallIn(); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// TestWalledIn renders the corpus, honest and hostile, behind a filter of the kernel
// (seccomp(2)) that ends the process at its first socket, connection, program or
// process: rendering needs none of them.
func TestWalledIn(t *testing.T) {
	t.Parallel()
	if os.Getenv(walledIn) != "" {
		t.Skip("it is what runs behind the filter")
	}
	behind := func(tests string) (string, error) {
		self := exec.CommandContext(t.Context(), os.Args[0], "-test.run", tests, "-test.v")
		self.Env = append(program.Environ(), walledIn+"=1")
		out, err := self.CombinedOutput()
		return string(out), err
	}
	for _, forbidden := range []string{"Socket", "Program"} {
		if out, err := behind("^TestForbidden$/^" + forbidden + "$"); err == nil || !strings.Contains(err.Error(), "bad system call") {
			t.Fatalf("the filter lets a %s pass: %v\n%s", forbidden, err, out)
		}
	}
	out, err := behind("^(TestGolden|TestLinks|TestHostileKustomization|TestHostileCharts|TestWays)$")
	if err != nil {
		t.Errorf("%v\n%s", err, out[max(0, len(out)-4000):])
	}
	const least = 100 // what the archives of these tests hold is more
	if n := strings.Count(out, "--- PASS"); n < least {
		t.Errorf("%d renderings behind the filter, want %d at least", n, least)
	}
}

// TestForbidden does what the filter forbids, for TestWalledIn.
func TestForbidden(t *testing.T) {
	t.Parallel()
	if os.Getenv(walledIn) == "" {
		t.Skip("only behind the filter")
	}
	t.Run("Socket", func(t *testing.T) {
		t.Parallel()
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		t.Logf("a socket: %v", err)
	})
	t.Run("Program", func(t *testing.T) {
		t.Parallel()
		t.Logf("a program: %v", exec.CommandContext(t.Context(), "/bin/true").Run())
	})
}

// wallIn has the kernel end this process, whichever of its threads asks, at what opens
// a socket or starts a program or a process. Threads are allowed.
func wallIn() error {
	ends := []uint32{
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_SENDTO, unix.SYS_SENDMSG,
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_IO_URING_SETUP, unix.SYS_PTRACE,
	}
	const nr, flags = 0, 16 // offsets in seccomp_data: the number, and the first argument's lower half
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	give := func(what uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what}
	}
	filter := []unix.SockFilter{load(nr)}
	for _, call := range ends {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1}, give(unix.SECCOMP_RET_KILL_PROCESS))
	}
	filter = append(filter,
		// Its flags lie where a filter cannot look: whoever asks for it takes clone instead.
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE3, Jf: 1},
		give(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jf: 3},
		load(flags),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.CLONE_THREAD, Jt: 1},
		give(unix.SECCOMP_RET_KILL_PROCESS),
		give(unix.SECCOMP_RET_ALLOW),
	)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}
