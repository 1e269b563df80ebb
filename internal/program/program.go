// Package program starts the programs of this machine that the user has in the search
// path, also while a rendering hides them from kustomize.
package program

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

const variable = "PATH"

// search is the search path while it is hidden, by how many.
//
//nolint:gochecknoglobals // the environment is the whole process's, and so is this
var search struct {
	sync.RWMutex
	hidden int
	path   string
	set    bool
}

// Hide leaves the process without a search path until show is called: what looks for a
// program by [exec.LookPath] finds none. Command, Find and Environ know it still.
func Hide() (show func()) {
	search.Lock()
	defer search.Unlock()
	if search.hidden == 0 {
		search.path, search.set = os.LookupEnv(variable)
		_ = os.Setenv(variable, "") // fails for names that are none
	}
	search.hidden++
	return sync.OnceFunc(func() {
		search.Lock()
		defer search.Unlock()
		search.hidden--
		switch {
		case search.hidden > 0:
		case search.set:
			_ = os.Setenv(variable, search.path)
		default:
			_ = os.Unsetenv(variable)
		}
	})
}

// Environ is [os.Environ] with the search path.
func Environ() []string {
	search.RLock()
	defer search.RUnlock()
	environ := os.Environ()
	if search.hidden > 0 && search.set {
		environ = append(environ, variable+"="+search.path) // the last one counts
	}
	return environ
}

// Path is the search path.
func Path() string {
	search.RLock()
	defer search.RUnlock()
	if search.hidden > 0 {
		return search.path
	}
	return os.Getenv(variable)
}

// Find is [exec.LookPath] in the search path; what is relative in that is passed over.
func Find(name string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(Path()) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// Command is [exec.CommandContext] for a program that Find finds, with Environ.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	found, err := Find(name)
	if err != nil {
		found = name
	}
	cmd := exec.CommandContext(ctx, found, args...)
	cmd.Args[0] = name
	if err != nil {
		cmd.Err = err
	}
	cmd.Env = Environ()
	return cmd
}
