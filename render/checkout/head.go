package render

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

// Head says which commit is checked out, and whether the files below the root
// differ from it: changed, deleted, staged, or new and not ignored. What else
// lies in the same git repository does not count. Outside of git the commit is
// empty and nothing is dirty; before the first commit everything is.
func (r *Repo) Head() (commit string, dirty bool, err error) {
	repo, err := git.PlainOpenWithOptions(r.dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", r.dir, err)
	}
	head, err := repo.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", true, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: git HEAD: %w", r.dir, err)
	}
	dirty, err = r.dirty(repo)
	return head.Hash().String(), dirty, err
}

// dirty reports whether files below the root differ from HEAD.
func (r *Repo) dirty(repo *git.Repository) (bool, error) {
	tree, err := repo.Worktree()
	if err != nil {
		return false, err
	}
	if tree.Excludes, err = excludes(); err != nil {
		return false, fmt.Errorf("git core.excludesFile: %w", err)
	}
	status, err := tree.Status()
	if err != nil {
		return false, fmt.Errorf("%s: git status: %w", r.dir, err)
	}
	below, err := belowTop(tree, r.dir)
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

// belowTop is where a directory stands below the top of a working tree, with
// slashes.
func belowTop(tree *git.Worktree, dir string) (string, error) {
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
