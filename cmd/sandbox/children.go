package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// children are the component processes of a sandbox, in the order of their start.
type children struct {
	dir    string // holds NAME.log and NAME.pid of each
	list   []*child
	exited chan error // one value per child that ends unasked
}

type child struct {
	name    string
	args    []string
	cmd     *exec.Cmd
	dropped atomic.Bool   // its end is meant
	done    chan struct{} // closed when it has ended
}

func newChildren(dir string) *children {
	return &children{dir: dir, exited: make(chan error, 16)}
}

// start runs a component of this binary with the arguments. The kernel kills it
// when this process ends in whatever way: for that the calling goroutine must be
// locked to its thread and outlive the child, since PR_SET_PDEATHSIG watches the
// thread that forked, not the process.
func (c *children) start(name string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(c.dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("/proc/self/exe", append([]string{componentCommand, name}, args...)...)
	cmd.Args[0] = "sandbox"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = childEnv()
	// A group of its own: Ctrl-C on the terminal reaches the parent alone, which
	// then stops the children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	started := &child{name: name, args: args, cmd: cmd, done: make(chan struct{})}
	c.list = append(c.list, started)
	go func() {
		err := cmd.Wait()
		close(started.done)
		if !started.dropped.Load() {
			c.exited <- fmt.Errorf("%s ended: %w\n%s", name, err, tail(log.Name(), 5))
		}
	}()
	return os.WriteFile(pidFile(c.dir, name), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
}

// restart kills a component without warning and starts it with the same arguments.
func (c *children) restart(name string) error {
	for i, old := range c.list {
		if old.name != name {
			continue
		}
		old.dropped.Store(true)
		c.list = append(c.list[:i:i], c.list[i+1:]...)
		if err := old.cmd.Process.Kill(); err != nil {
			return err
		}
		<-old.done // or its port is not free
		return c.start(name, old.args...)
	}
	return fmt.Errorf("no component %q", name)
}

// stop kills all children and waits for their end. Nothing that they could write
// in an orderly stop outlives the sandbox.
func (c *children) stop() {
	for _, child := range c.list {
		child.dropped.Store(true)
		_ = child.cmd.Process.Kill()
	}
	for _, child := range c.list {
		<-child.done
	}
}

func pidFile(dir, name string) string { return filepath.Join(dir, name+".pid") }

// childEnv is the environment of the components: no proxy between them, no
// kubeconfig of the user's, and a garbage collector that trades CPU for memory.
func childEnv() []string {
	env := []string{"NO_PROXY=*", "KUBECONFIG=" + os.DevNull}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch strings.ToUpper(name) {
		case "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "KUBECONFIG":
		default:
			env = append(env, kv)
		}
	}
	if os.Getenv("GOGC") == "" {
		env = append(env, "GOGC=50")
	}
	return env
}

// tail returns the last lines of a log, for an error message.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
