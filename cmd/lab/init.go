package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostInit is process 1 of a host. It gives the host files of its own, then does
// what process 1 does: it waits for orphans.
func hostInit(name, dir string) error {
	h, known := hostNamed(name)
	if !known {
		return fmt.Errorf("no host %q", name)
	}
	groups, err := readCgroups(dir)
	if err != nil {
		return err
	}
	if len(groups) > 0 && os.Getenv("LAB_CGROUP") == "" {
		return enterCgroup(groups)
	}
	if err := unix.Sethostname([]byte(h.fqdn())); err != nil {
		return err
	}
	if err := mounts(h, dir); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
		return err
	}
	children := make(chan os.Signal, 64)
	signal.Notify(children, syscall.SIGCHLD)
	for range children {
		for {
			var status syscall.WaitStatus
			if pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
	return nil
}

// enterCgroup moves the process into the host's cgroups, makes them the root of
// what it sees, and starts the program again: a namespace belongs to a thread.
func enterCgroup(groups []string) error {
	runtime.LockOSThread()
	if err := joinCgroups(groups, ""); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), "LAB_CGROUP=entered"))
}

func mounts(h host, dir string) error {
	type bind struct{ from, to string }
	binds := []bind{{"run", "/run"}, {"log", "/var/log"}}
	if h.edge {
		binds = append(binds, bind{"nginx", "/etc/nginx"}, bind{"keepalived", "/etc/keepalived"}, bind{"nginxlib", "/var/lib/nginx"}, bind{"backups", "/var/backups"})
	}
	if h.zookeeper > 0 {
		binds = append(binds, bind{"zookeeper", "/var/lib/zookeeper"})
	}
	if h.node {
		binds = append(binds, bind{"kubelet", "/var/lib/kubelet"}, bind{"containerd", "/var/lib/containerd"}, bind{"optcni", "/opt/cni"}, bind{"etccni", "/etc/cni"}, bind{"libcni", "/var/lib/cni"})
		for path, value := range fakedSysctls() {
			file := filepath.Join("fake", filepath.Base(path))
			if err := os.WriteFile(filepath.Join(dir, file), []byte(value+"\n"), 0o644); err != nil {
				return err
			}
			binds = append(binds, bind{file, path})
		}
	}
	resolv := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver "+nameServer+"\nsearch host.com\n"), 0o644); err != nil {
		return err
	}
	binds = append(binds, bind{"resolv.conf", "/etc/resolv.conf"})

	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	if h.node {
		if err := mountCgroups(); err != nil {
			return err
		}
	}
	sharedDir := filepath.Join(dir, "..", "..", "shared")
	inRun := filepath.Join(dir, "run", filepath.Base(shared))
	if err := os.MkdirAll(inRun, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(sharedDir, inRun, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("%s: %w", shared, err)
	}
	for _, b := range binds {
		if err := mountTarget(b.to); err != nil {
			return err
		}
		if err := unix.Mount(filepath.Join(dir, b.from), b.to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("%s: %w", b.to, err)
		}
	}
	// what the kubelet mounts for pods, their runtime shall see
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

// mountTarget makes the directory that a bind needs, on a machine that never had
// a kubelet.
func mountTarget(path string) error {
	if _, err := os.Stat(path); err == nil || strings.HasPrefix(path, "/proc/") {
		return nil
	}
	return os.MkdirAll(path, 0o755)
}

// fakedSysctls are those that the kubelet wants changed. It is shown the values
// that it wants: the kernel is everyone's.
func fakedSysctls() map[string]string {
	return map[string]string{
		"/proc/sys/vm/overcommit_memory": "1",
		"/proc/sys/kernel/panic":         "10",
		"/proc/sys/kernel/panic_on_oops": "1",
	}
}

// spawn starts a daemon on a host: it joins the host's cgroups, enters its
// namespaces and leaves the daemon to its process 1.
func spawn(dir, pid, log string, args []string) error {
	groups, err := readCgroups(dir)
	if err != nil {
		return err
	}
	if err := joinCgroups(groups, systemLeaf); err != nil {
		return err
	}
	argv := []string{"nsenter", "--target", pid, "--net", "--mount", "--uts", "--pid", "--ipc"}
	if len(groups) > 0 {
		argv = append(argv, "--cgroup")
	}
	argv = append(argv, "--", "sh", "-c", `log=$1; shift; exec setsid "$@" >>"$log" 2>&1 </dev/null &`, "sh", log)
	return syscall.Exec("/usr/bin/nsenter", append(argv, args...), os.Environ())
}
