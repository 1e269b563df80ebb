package source

import (
	"context"
	"os"
	"path/filepath"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/budget"
)

// Checkout clones into a new directory below that of temporary files, in another process
// and within the budget. The caller calls done when it is no longer needed.
func Checkout(ctx context.Context, git *remote.Git, budget budget.Budget) (root string, at remote.Cloned, done func(), err error) {
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

// Try renders environments of a directory in another process, all if none is named, and
// forgets them. The error says what takes more than half of the budget's memory, or all of
// its time: a process that has to live on, and still holds what it rendered before, is not
// to render that itself. What else is wrong with them, it does not say.
func Try(ctx context.Context, dir string, names []string, budget budget.Budget) error {
	budget = budget.Given()
	budget.Memory /= 2
	response, _, err := (&Request{Dir: dir, Try: true, All: len(names) == 0, Names: names, Budget: budget}).send(ctx)
	if err != nil {
		return err
	}
	if response.Over != nil {
		return response.Over
	}
	return nil
}

// try models what was asked for, as a page does.
func (r *Request) try(ctx context.Context, progress func(string, bool)) error {
	repo, err := render.Open(r.Dir)
	if err != nil {
		return err
	}
	repo.Budget, repo.Renderings.Told = r.Budget, progress
	names := r.Names
	if r.All {
		summaries, err := repo.Envs(ctx)
		if err != nil {
			return err
		}
		for _, s := range summaries {
			names = append(names, s.Name)
		}
	}
	ways, err := repo.Ways(ctx, names)
	if err != nil {
		return err
	}
	return r.Budget.WithinTime(ctx, func() {
		for name, model := range ways.Models {
			model.Table(name)
		}
		ways.Pictures(names)
	})
}

// mostOfHead is what asking for the references of a repository may take: half a million
// of them.
const mostOfHead = 512 << 20

// Head asks for the newest commit, in another process and within the budget: a server may
// answer without an end.
func Head(ctx context.Context, git *remote.Git, budget budget.Budget) (string, error) {
	budget = budget.Given()
	budget.Memory = min(budget.Memory, mostOfHead)
	response, _, err := (&Request{Git: *git, Head: true, Budget: budget}).send(ctx)
	if err != nil {
		return "", err
	}
	return response.Git.Commit, nil
}
