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

// mostOfHead is what asking for the references of a repository may take: half a million
// of them.
const mostOfHead = 512 << 20

// Head asks for the newest commit, in another process and within the budget: a server may
// answer without an end.
func Head(ctx context.Context, git *remote.Git, budget render.Budget) (string, error) {
	budget = budget.Given()
	budget.Memory = min(budget.Memory, mostOfHead)
	response, _, err := (&Request{Git: *git, Head: true, Budget: budget}).send(ctx)
	if err != nil {
		return "", err
	}
	return response.Git.Commit, nil
}
