package checkout

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Change is a commit.
type Change struct {
	Commit  string
	At      time.Time
	Who     string // its author
	Subject string
}

// mostLooked bounds how many commits are looked at for changes.
const mostLooked = 10_000

// Changes are the newest commits, at most n, that changed what is below the directory name
// of dir: on the line that was committed or merged to, newest first. Where a clone is not
// whole, it ends there: what its oldest commit changed is not known.
func Changes(ctx context.Context, dir, name string, n int) ([]Change, error) {
	repo, err := Open(dir)
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, fmt.Errorf("%s belongs to no git repository", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	below, err := repo.Below(dir)
	if err != nil {
		return nil, err
	}
	head, err := repo.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: git HEAD: %w", dir, err)
	}
	commit, err := repo.CommitObject(head.Hash())
	if err != nil {
		return nil, fmt.Errorf("%s: git HEAD: %w", dir, err)
	}
	var all []Change
	for range mostLooked {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		parent, err := commit.Parent(0)
		whole := commit.NumParents() == 0
		switch {
		case whole:
		case errors.Is(err, plumbing.ErrObjectNotFound):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("%s: git commit %s: %w", dir, commit.Hash, err)
		}
		changed, err := differ(parent, commit, path.Join(below, name))
		if err != nil {
			return nil, fmt.Errorf("%s: git commit %s: %w", dir, commit.Hash, err)
		}
		if changed {
			subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
			all = append(all, Change{Commit: commit.Hash.String(), At: commit.Committer.When.UTC(), Who: commit.Author.Name, Subject: subject})
		}
		if whole || len(all) == n {
			return all, nil
		}
		commit = parent
	}
	return all, nil
}

// differ says whether what is below a directory differs between two commits, of which the
// first may be none.
func differ(a, b *object.Commit, name string) (bool, error) {
	was, err := hashAt(a, name)
	if err != nil {
		return false, err
	}
	is, err := hashAt(b, name)
	return was != is, err
}

// hashAt is the hash of a directory in a commit; zero where it is not there.
func hashAt(commit *object.Commit, name string) (plumbing.Hash, error) {
	if commit == nil {
		return plumbing.ZeroHash, nil
	}
	tree, err := commit.Tree()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	entry, err := tree.FindEntry(name)
	if errors.Is(err, object.ErrEntryNotFound) || errors.Is(err, object.ErrDirectoryNotFound) {
		return plumbing.ZeroHash, nil
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return entry.Hash, nil
}
