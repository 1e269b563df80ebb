package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// controllersV1 are the hierarchies of a machine with cgroup v1 that a node has a
// subtree of.
func controllersV1() []string {
	return []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"}
}

func cgroupV2() bool {
	_, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers"))
	return err == nil
}

// hostCgroups makes the cgroups of a node, below that of this process, and records
// their paths for down.
func (l *lab) hostCgroups(h host, dir string) error {
	if !h.node {
		return os.WriteFile(filepath.Join(dir, "cgroups"), nil, 0o600)
	}
	name := "evenkeel-lab-" + h.name
	own, err := ownCgroups()
	if err != nil {
		return err
	}
	var made []string
	if cgroupV2() {
		// at the root: below a cgroup with processes no controller can be handed on
		made = []string{filepath.Join(cgroupRoot, name)}
	} else {
		for _, c := range controllersV1() {
			made = append(made, filepath.Join(cgroupRoot, c, own[c], name))
		}
	}
	for _, path := range made {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if filepath.Base(filepath.Dir(path)) != "cpuset" && !strings.Contains(path, "/cpuset/") {
			continue
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // a new one has none
			value, err := os.ReadFile(filepath.Join(filepath.Dir(path), file))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(path, file), value, 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "cgroups"), []byte(strings.Join(made, "\n")), 0o600)
}

// ownCgroups is where this process is, by controller.
func ownCgroups() (map[string]string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("/proc/self/cgroup: %q", line)
		}
		for c := range strings.SplitSeq(parts[1], ",") {
			own[strings.TrimPrefix(c, "name=")] = parts[2]
		}
	}
	return own, nil
}

func readCgroups(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroups"))
	return strings.Fields(string(text)), err
}

// joinCgroups moves this process.
func joinCgroups(groups []string, leaf string) error {
	for _, path := range groups {
		if cgroupV2() {
			path = filepath.Join(path, leaf)
		}
		if err := os.WriteFile(filepath.Join(path, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// systemLeaf holds the processes of a node that are in no pod, with cgroup v2: a
// cgroup that hands controllers on to others has no processes.
const systemLeaf = "system"

// mountCgroups shows a node its own cgroups as if they were all there are.
func mountCgroups() error {
	if cgroupV2() {
		if err := unix.Mount("cgroup2", cgroupRoot, "cgroup2", 0, ""); err != nil {
			return fmt.Errorf("cgroup2: %w", err)
		}
		leaf := filepath.Join(cgroupRoot, systemLeaf)
		if err := os.MkdirAll(leaf, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return err
		}
		controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
		if err != nil {
			return err
		}
		on := "+" + strings.Join(strings.Fields(string(controllers)), " +")
		return os.WriteFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"), []byte(on), 0o644)
	}
	if err := unix.Mount("cgroup", cgroupRoot, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("%s: %w", cgroupRoot, err)
	}
	for _, c := range controllersV1() {
		path, data := filepath.Join(cgroupRoot, c), c
		if c == "systemd" {
			data = "none,name=systemd"
		}
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", path, "cgroup", 0, data); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// removeCgroups removes the cgroups of a host that has ended, the inner ones first.
func removeCgroups(dir string) error {
	groups, err := readCgroups(dir)
	if err != nil {
		return nil //nolint:nilerr // it had none
	}
	var errs []error
	for _, group := range groups {
		var all []string
		err := filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil //nolint:nilerr // what is gone need not be removed
		})
		errs = append(errs, err)
		for _, path := range slices.Backward(all) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
