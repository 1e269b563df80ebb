package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// entry is what is recorded of a sandbox while it runs, so that "sandbox down"
// finds it and the next start can clean up after one that was killed.
type entry struct {
	PID        int    `json:"pid"`
	DataDir    string `json:"dataDir"`
	Kubeconfig string `json:"kubeconfig"`

	file *os.File // held locked as long as the sandbox lives
}

// registryDir is where the entries stand, one file each.
func registryDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("evenkeel-sandbox-%d", os.Getuid()))
}

// register records a sandbox. The lock on the file goes with the process however
// it ends, so it tells the living from the dead where a pid may be used again.
func register(e entry) (*entry, error) {
	if err := os.MkdirAll(registryDir(), 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(registryDir(), strconv.Itoa(e.PID)+".json")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	e.file = file
	return &e, json.NewEncoder(file).Encode(e)
}

// unregister removes the entry and all that the sandbox wrote.
func (e *entry) unregister() error {
	return errors.Join(e.removeFiles(), os.Remove(e.file.Name()), e.file.Close())
}

func (e *entry) removeFiles() error {
	err := os.Remove(e.Kubeconfig)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(e.DataDir))
}

// runningSandboxes lists the sandboxes of this user that are alive.
func runningSandboxes() ([]entry, error) {
	var running []entry
	err := eachEntry(func(e *entry, alive bool) error {
		if alive {
			running = append(running, *e)
		}
		return nil
	})
	return running, err
}

// sweep removes what sandboxes have left behind that did not come to stop in
// order (SIGKILL, a crash of the machine).
func sweep() error {
	return eachEntry(func(e *entry, alive bool) error {
		if alive {
			return nil
		}
		return errors.Join(e.removeFiles(), os.Remove(e.file.Name()))
	})
}

func eachEntry(visit func(e *entry, alive bool) error) error {
	paths, err := filepath.Glob(filepath.Join(registryDir(), "*.json"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := visitEntry(path, visit); err != nil {
			return err
		}
	}
	return nil
}

func visitEntry(path string, visit func(e *entry, alive bool) error) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	alive := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
	e := &entry{file: file}
	if err := json.NewDecoder(file).Decode(e); err != nil {
		// One that is just being written. Its lock says the rest.
		return nil
	}
	return visit(e, alive)
}
