package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lab is the data centre: what is built, and what runs.
type lab struct {
	dir string // binaries, images and state
	out io.Writer
}

func (l *lab) path(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

// state is removed as a whole by down; binaries and images stay.
func (l *lab) state(elem ...string) string { return l.path(append([]string{"run"}, elem...)...) }

func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(l.out, "%s  %s\n", time.Now().UTC().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// startHost makes a host: a process in new namespaces, plugged into the switch.
// All that runs on it ends when that process does.
func (l *lab) startHost(ctx context.Context, h host) error {
	dir := l.state("hosts", h.name)
	for _, old := range []string{"ready", "run"} { // of the same host before a reboot
		if err := os.RemoveAll(filepath.Join(dir, old)); err != nil {
			return err
		}
	}
	for _, sub := range []string{"run", "log", "nginx", "keepalived", "fake", "backups", "nginxlib", "zookeeper", "kubelet", "containerd", "optcni/bin", "etccni", "libcni"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := l.hostCgroups(h, dir); err != nil {
		return err
	}
	output, err := os.OpenFile(filepath.Join(dir, "init.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()
	cmd := exec.Command(l.path("bin", "lab"), "--dir", l.dir, "init", h.name, dir) //nolint:noctx // outlives this process
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	go func() { _ = cmd.Wait() }()
	record := fmt.Sprintf("%d %s\n", pid, startTime(pid))
	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(record), 0o600); err != nil {
		return err
	}
	err = wait(ctx, 10*time.Second, "the namespaces of "+h.name, func() error {
		_, err := os.Stat(filepath.Join(dir, "ready"))
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(output.Name()))
	}
	return l.plug(ctx, h, pid)
}

// plug connects the host with the switch, or makes the switch.
func (l *lab) plug(ctx context.Context, h host, pid int) error {
	var script string
	if h.name == opsHost {
		script = fmt.Sprintf(`ip link set lo up
ip link add br0 type bridge
ip address add %s/24 dev br0
ip address add %s/24 dev br0
ip link set br0 up
sysctl -qw net.ipv4.ip_forward=0
sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true`, h.address, gateway)
		return l.inNet(ctx, pid, script)
	}
	ops, err := l.pid(opsHost)
	if err != nil {
		return err
	}
	script = fmt.Sprintf(`ip link delete %[1]s 2>/dev/null || true
ip link add %[1]s type veth peer name eth0 netns %[2]d
ip link set %[1]s master br0 up`, h.port(), pid)
	if err := l.inNet(ctx, ops, script); err != nil {
		return err
	}
	forward := "0"
	if h.node {
		forward = "1\nsysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true"
	}
	return l.inNet(ctx, pid, fmt.Sprintf(`ip link set lo up
ip address add %s/24 dev eth0
ip link set eth0 up
ip route add default via %s
sysctl -qw net.ipv4.ip_forward=%s`, h.address, gateway, forward))
}

// inNet runs a script in the network of a process, on this machine's files.
func (l *lab) inNet(ctx context.Context, pid int, script string) error {
	cmd := exec.CommandContext(ctx, "nsenter", "--net", "--target", strconv.Itoa(pid), "sh", "-euc", script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s\n%s", err, script, out)
	}
	return nil
}

// pid is the init process of a host that runs.
func (l *lab) pid(name string) (int, error) {
	text, err := os.ReadFile(l.state("hosts", name, "pid"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("host %s is not there: lab up", name)
	}
	if err != nil {
		return 0, err
	}
	var pid int
	var since string
	if _, err := fmt.Sscan(string(text), &pid, &since); err != nil {
		return 0, fmt.Errorf("host %s: %w", name, err)
	}
	if startTime(pid) != since {
		return 0, fmt.Errorf("host %s is down", name)
	}
	return pid, nil
}

// startTime tells a process from a later one with the same id.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "none"
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return fields[19]
}

// command is a program on a host, with the lab's programs in its path.
func (l *lab) command(ctx context.Context, on string, args ...string) *exec.Cmd {
	pid, err := l.pid(on)
	if err != nil {
		cmd := exec.CommandContext(ctx, args[0])
		cmd.Err = err
		return cmd
	}
	enter := []string{"--target", strconv.Itoa(pid), "--net", "--mount", "--uts", "--pid", "--ipc"}
	if on == opsHost { // evenkeel and kubectl work on the user's files
		enter = []string{"--target", strconv.Itoa(pid), "--net"}
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(append(enter, "--"), args...)...)
	cmd.Env = l.env(on)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func (l *lab) env(on string) []string {
	env := []string{"PATH=" + l.path("bin") + ":" + l.repo(".cache", "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	config := kubeconfig
	if on == opsHost {
		config = l.state("shared", "pki", "admin.kubeconfig")
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name != "PATH" && name != "KUBECONFIG" && !strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			env = append(env, kv)
		}
	}
	return append(env, "KUBECONFIG="+config)
}

// repo is the tree that the lab was built from.
func (l *lab) repo(elem ...string) string {
	wd, err := os.Getwd()
	if err != nil {
		wd = "."
	}
	return filepath.Join(append([]string{wd}, elem...)...)
}

// on runs a program on a host and returns what it prints.
func (l *lab) on(ctx context.Context, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := l.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %s: %w\n%s%s", name, strings.Join(args, " "), err, stderr.String(), stdout.String())
	}
	return stdout.String(), nil
}

// start starts a daemon of a host; NAME.log is below the host's /var/log.
func (l *lab) start(ctx context.Context, name, log string, args ...string) error {
	pid, err := l.pid(name)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, l.path("bin", "lab"), append([]string{"spawn", l.state("hosts", name), strconv.Itoa(pid), "/var/log/" + log + ".log"}, args...)...)
	cmd.Env = append(l.env(name), "GOGC=50")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %s: %w\n%s", name, log, err, out)
	}
	return nil
}

// stopHost ends all that runs on a host, and with it its namespaces.
func (l *lab) stopHost(name string) error {
	pid, err := l.pid(name)
	if err != nil {
		return nil //nolint:nilerr // it is down
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	end := time.Now().Add(20 * time.Second)
	for startTime(pid) != "none" && !zombie(pid) {
		if time.Now().After(end) {
			return fmt.Errorf("host %s: process %d does not end", name, pid)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(stat, []byte(") Z "))
}

// wait asks until the answer is nil, at most for limit.
func wait(ctx context.Context, limit time.Duration, what string, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %s: %w", limit, what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tail is the end of a log, for an error message.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}
