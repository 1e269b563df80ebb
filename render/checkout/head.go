// Package checkout says what git knows of a directory: the commit that is checked out,
// whether the files differ from it, and where it comes from. It reads and changes
// nothing, and starts no git.
package checkout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// Repository is the git repository that a directory belongs to.
type Repository struct{ *git.Repository }

// Open opens the repository of dir, the nearest at it or above; linked working trees
// too. The error is git.ErrRepositoryNotExists where there is none.
func Open(dir string) (Repository, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	return Repository{repo}, err
}

// Below is where a directory stands below the top of the working tree, with slashes;
// "." at the top.
func (r Repository) Below(dir string) (string, error) {
	tree, err := r.Worktree()
	if err != nil {
		return "", err
	}
	top, err := filepath.EvalSymlinks(tree.Filesystem.Root())
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(top, dir)
	return filepath.ToSlash(rel), err
}

// Head says which commit is checked out, and whether the files below dir differ from
// it: changed, deleted, staged, or new and not ignored. What else lies in the same git
// repository does not count. Outside of git the commit is empty and nothing is dirty;
// before the first commit everything is.
func Head(dir string) (commit string, dirty bool, err error) {
	repo, err := Open(dir)
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", dir, err)
	}
	head, err := repo.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", true, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: git HEAD: %w", dir, err)
	}
	dirty, err = repo.dirty(dir)
	return head.Hash().String(), dirty, err
}

// dirty reports whether files below a directory differ from HEAD.
func (r Repository) dirty(dir string) (bool, error) {
	tree, err := r.Worktree()
	if err != nil {
		return false, err
	}
	if tree.Excludes, err = excludes(); err != nil {
		return false, fmt.Errorf("git core.excludesFile: %w", err)
	}
	status, err := tree.Status()
	if err != nil {
		return false, fmt.Errorf("%s: git status: %w", dir, err)
	}
	below, err := r.Below(dir)
	if err != nil {
		return false, err
	}
	for name, file := range status {
		inside := below == "." || strings.HasPrefix(name, below+"/")
		if inside && (file.Worktree != git.Unmodified || file.Staging != git.Unmodified) {
			return true, nil
		}
	}
	return false, nil
}

// excludes are the ignored names of the machine and of the user; Status knows those
// of the repository by itself.
func excludes() ([]gitignore.Pattern, error) {
	root := osfs.New("/")
	patterns, err := gitignore.LoadSystemPatterns(root)
	if err != nil {
		return nil, err
	}
	if _, err := os.UserHomeDir(); err != nil {
		return patterns, nil // as in a CI job: without a home there are none
	}
	own, err := gitignore.LoadGlobalPatterns(root)
	return append(patterns, own...), err
}
