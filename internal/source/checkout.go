package source

import (
	"context"
	"os"
	"path/filepath"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/render"
)

// Checkout clones into a new directory below that of temporary files, in another process
// and within the budget. The caller calls done when it is no longer needed.
func Checkout(ctx context.Context, git *remote.Git, budget render.Budget) (root string, at remote.Cloned, done func(), err error) {
	dir, err := os.MkdirTemp("", "evenkeel-git-")
	if err != nil {
		return "", at, func() {}, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	response, _, err := (&Request{Git: *git, Clone: dir, Fetch: true, Budget: budget}).send(ctx)
	if err != nil {
		done()
		return "", at, func() {}, err
	}
	at = remote.Cloned{Commit: response.Git.Commit, Ancestors: response.Ancestors}
	return filepath.Join(dir, filepath.FromSlash(git.Path)), at, done, nil
}
