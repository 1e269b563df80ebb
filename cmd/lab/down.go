package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// down ends every host and removes what it leaves. It works after any failure of
// up, and twice.
func (l *lab) down() error {
	var errs []error
	for _, h := range hosts() {
		errs = append(errs, l.stopHost(h.name))
	}
	time.Sleep(200 * time.Millisecond) // the kernel takes the processes of the namespaces down
	for _, h := range hosts() {
		dir := l.state("hosts", h.name)
		end := time.Now().Add(10 * time.Second)
		for {
			err := removeCgroups(dir)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				errs = append(errs, err)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	errs = append(errs, l.unmount())
	if err := errors.Join(errs...); err != nil {
		return err // and leave the records, for another down
	}
	if err := os.RemoveAll(l.state()); err != nil {
		return err
	}
	left, err := l.traces()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind:\n  %s", strings.Join(left, "\n  "))
	}
	l.say("down: no process, namespace, mount or cgroup is left")
	return nil
}

// unmount removes mounts below the state that this machine sees. There are none
// unless something leaked out of a namespace.
func (l *lab) unmount() error {
	paths, err := mountsBelow(l.state())
	for _, path := range paths {
		err = errors.Join(err, unix.Unmount(path, unix.MNT_DETACH))
	}
	return err
}

func mountsBelow(dir string) ([]string, error) {
	file, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var below []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if path := strings.Fields(lines.Text())[1]; strings.HasPrefix(path, dir+"/") {
			below = append(below, path)
		}
	}
	return below, nil
}

// traces are what a lab of this directory leaves behind: processes that run its
// programs, interfaces, mounts, cgroups.
func (l *lab) traces() ([]string, error) {
	var left []string
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, p := range processes {
		exe, err := os.Readlink("/proc/" + p.Name() + "/exe")
		if err != nil || p.Name() == fmt.Sprint(os.Getpid()) || p.Name() == "self" || p.Name() == "thread-self" {
			continue
		}
		if strings.HasPrefix(exe, l.path("bin")+"/") {
			left = append(left, "process "+p.Name()+" "+exe)
		}
	}
	below, err := mountsBelow(l.dir)
	if err != nil {
		return nil, err
	}
	for _, path := range below {
		left = append(left, "mount "+path)
	}
	out, err := exec.Command("find", cgroupRoot, "-type", "d", "-name", "evenkeel-lab-*").Output() //nolint:noctx // short
	if err != nil {
		return nil, err
	}
	for path := range strings.Lines(string(out)) {
		left = append(left, "cgroup "+strings.TrimSpace(path))
	}
	links, err := os.ReadDir("/sys/class/net")
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if strings.HasPrefix(link.Name(), "evl") {
			left = append(left, "interface "+link.Name())
		}
	}
	return left, nil
}
