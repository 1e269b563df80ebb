package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// detachedVar tells a sandbox that it was started by --detach.
const detachedVar = "EVENKEEL_SANDBOX_DETACHED"

// runDetached starts this command again in a session of its own, passes on what
// it prints, and returns when it is ready or has failed.
func runDetached(out io.Writer) error {
	isDetach := func(arg string) bool { return arg == "--detach" || arg == "--detach=true" }
	cmd := exec.Command("/proc/self/exe", slices.DeleteFunc(slices.Clone(os.Args[1:]), isDetach)...)
	cmd.Args[0] = "sandbox"
	cmd.Env = append(os.Environ(), detachedVar+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = theirs, theirs
	if err := errors.Join(cmd.Start(), theirs.Close()); err != nil {
		return err
	}
	// It ends when the sandbox lets go of it: in leaveCaller, or at its end.
	text, err := io.ReadAll(said)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(text, []byte("ready")) {
		_, err := out.Write(text)
		return err
	}
	if err := cmd.Wait(); len(text) == 0 {
		return err
	}
	return errors.New(string(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("error: ")))))
}

// leaveCaller gives up the output that a detached sandbox shares with the command
// that started it, which goes on from there.
func leaveCaller() error {
	if os.Getenv(detachedVar) == "" {
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	return errors.Join(unix.Dup2(int(null.Fd()), 1), unix.Dup2(int(null.Fd()), 2))
}

// untilCallerEnds calls stop when the process that started this one ends, or when
// standard input, being a pipe, is closed. A sandbox that was detached stays.
func untilCallerEnds(stop context.CancelFunc) {
	if os.Getenv(detachedVar) != "" {
		return
	}
	go func() {
		if stdinIsOpenPipe() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}
	}()
	caller := os.Getppid()
	for os.Getppid() == caller {
		time.Sleep(200 * time.Millisecond)
	}
	stop()
}

// untilProcessEnds calls stop when a process ends, unless keepSignal comes first.
// The pidfd stays that process's own, whoever gets its number later.
func untilProcessEnds(ctx context.Context, pid int, stop context.CancelFunc) {
	keep := make(chan os.Signal, 1)
	signal.Notify(keep, keepSignal)
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil { // it has ended already
		stop()
		return
	}
	defer func() { _ = unix.Close(fd) }()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for n := 0; n == 0 && ctx.Err() == nil; {
			n, _ = unix.Poll(fds, 200)
		}
		time.Sleep(200 * time.Millisecond) // a signal sent just before it ended
	}()
	select {
	case <-keep:
	case <-ended:
		stop()
	}
}

// stdinIsOpenPipe tells a pipe that somebody holds from one that was closed
// before the start, as CI systems pass: that one says nothing.
func stdinIsOpenPipe() bool {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return false
	}
	fds := []unix.PollFd{{Fd: 0, Events: unix.POLLIN}}
	_, err = unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&unix.POLLHUP == 0
}
