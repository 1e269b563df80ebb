package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// children are the component processes of a sandbox, in the order of their start.
type children struct {
	dir    string // logs go to dir/NAME.log
	list   []*exec.Cmd
	exited chan error // one value per child that ends, asked to or not
	wait   sync.WaitGroup
}

func newChildren(dir string) *children {
	return &children{dir: dir, exited: make(chan error, 16)}
}

// start runs a component of this binary with the arguments. The kernel kills it
// when this process ends in whatever way: for that the calling goroutine must be
// locked to its thread and outlive the child, since PR_SET_PDEATHSIG watches the
// thread that forked, not the process.
func (c *children) start(name string, args ...string) error {
	log, err := os.Create(c.logPath(name))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("/proc/self/exe", append([]string{componentCommand, name}, args...)...)
	cmd.Args[0] = "sandbox"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = childEnv()
	// A group of its own: Ctrl-C on the terminal reaches the parent alone, which
	// then stops the children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.list = append(c.list, cmd)
	c.wait.Add(1)
	go func() {
		defer c.wait.Done()
		err := cmd.Wait()
		c.exited <- fmt.Errorf("%s ended: %v\n%s", name, err, tail(c.logPath(name), 5))
	}()
	return nil
}

// stop kills all children and waits for their end. Nothing that they could write
// in an orderly stop outlives the sandbox.
func (c *children) stop() {
	for _, cmd := range c.list {
		_ = cmd.Process.Kill()
	}
	c.wait.Wait()
}

func (c *children) logPath(name string) string {
	return filepath.Join(c.dir, name+".log")
}

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
