// Package usergit has the user's git commit and push files of a tree that anybody may
// have written to. It is asked with what the user configured, and with nothing that
// lies in the tree.
package usergit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/program"
)

// Files are files of a repository that git is to commit. The user's git does
// it: with the user's configuration, signature, credentials and hooks, but with
// nothing that lies in the tree, where a branch of anybody may have put it.
type Files struct {
	Root  string
	Names []string // below the root, with slashes
	// Say is told what was done, and what git was kept from doing.
	Say func(string)

	noHooks bool
}

// Open refuses a directory that git takes for another repository than the nearest
// one above it that has .git, and leaves out hooks that lie in the tree.
func (f *Files) Open(ctx context.Context) error {
	repo, err := git.PlainOpenWithOptions(f.Root, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if err != nil {
		return &hint.Error{Err: fmt.Errorf("%s: %w", f.Root, err), Hint: "leave out --commit, or begin with git init"}
	}
	tree, err := repo.Worktree()
	if err != nil {
		return fmt.Errorf("%s: %w", f.Root, err)
	}
	top := tree.Filesystem.Root()
	found, err := f.git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if !sameFile(top, found) {
		return &hint.Error{
			Err:  fmt.Errorf("%s: git takes this for a part of %s, and it is one of %s", f.Root, found, top),
			Hint: "look at core.worktree in the configuration of the repository",
		}
	}
	hooks, err := f.git(ctx, "rev-parse", "--path-format=absolute", "--git-path", "hooks")
	if err != nil {
		return err
	}
	paths := []string{hooks}
	if entries, err := os.ReadDir(hooks); err == nil {
		for _, e := range entries {
			paths = append(paths, filepath.Join(hooks, e.Name()))
		}
	}
	// A branch of anybody may be checked out in each tree of the repository. Where it is
	// bare, or a submodule, git's own directory is among them.
	common, err := f.git(ctx, "rev-parse", "--path-format=absolute", "--git-common-dir")
	if err != nil {
		return err
	}
	trees, err := f.git(ctx, "worktree", "list", "--porcelain")
	if err != nil {
		return err
	}
	tops := []string{found}
	for line := range strings.Lines(trees) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "worktree "); ok {
			tops = append(tops, path)
		}
	}
	for _, path := range paths {
		if _, own := inTree(common, path); own {
			continue
		}
		if below, lies := inTrees(tops, path); lies {
			f.noHooks = true
			f.Say(fmt.Sprintf("warning: the hooks in %s are not run: they lie in the tree, where any branch can put them", below))
			break
		}
	}
	return nil
}

// inTrees reports whether a path leads into one of the trees, and where to.
func inTrees(tops []string, path string) (below string, lies bool) {
	for _, top := range tops {
		if below, lies = inTree(top, path); lies {
			return below, true
		}
	}
	return "", false
}

// inTree reports whether a path leads into the tree with this top, outside of .git, and
// where to.
func inTree(top, path string) (below string, lies bool) {
	below, err := filepath.Rel(resolved(top), resolved(path))
	below = filepath.ToSlash(below)
	return below, err == nil && filepath.IsLocal(below) && below != ".git" && !strings.HasPrefix(below, ".git/")
}

// resolved is a path without links, where it exists.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// Clean refuses files with changes that would go along.
func (f Files) Clean(ctx context.Context) error {
	out, err := f.git(ctx, append([]string{"status", "--porcelain", "--"}, f.Names...)...)
	if err != nil {
		return err
	}
	if out != "" {
		return &hint.Error{
			Err:  fmt.Errorf("%s: there are changes that are not committed, and would go along", strings.Fields(out)[1]),
			Hint: "commit or stash them, or leave out --commit",
		}
	}
	return nil
}

// Commit commits these files and nothing else, whatever is staged.
func (f Files) Commit(ctx context.Context, message string) error {
	if _, err := f.git(ctx, append([]string{"commit", "--quiet", "--message", message, "--only", "--"}, f.Names...)...); err != nil {
		return err
	}
	commit, err := f.git(ctx, "rev-parse", "--short", "HEAD")
	if err != nil {
		return err
	}
	f.Say(fmt.Sprintf("commit %s: %s", commit, message))
	return nil
}

// OnBranch refuses to push where no branch is checked out, as in many pipelines.
func (f Files) OnBranch(ctx context.Context) error {
	if _, err := f.git(ctx, "symbolic-ref", "--short", "HEAD"); err != nil {
		return &hint.Error{Err: errors.New("no branch is checked out that could be pushed"), Hint: "git switch BRANCH before"}
	}
	return nil
}

// Push pushes the branch that is checked out; a new one to origin.
func (f Files) Push(ctx context.Context) error {
	args := []string{"push", "--quiet"}
	if _, err := f.git(ctx, "rev-parse", "--abbrev-ref", "@{upstream}"); err != nil {
		args = append(args, "--set-upstream", "origin", "HEAD")
	}
	_, err := f.git(ctx, args...)
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "[rejected]"):
		return &hint.Error{Err: err, Hint: "the commit is there; others were faster: git pull --rebase, and the same command again"}
	}
	return &hint.Error{Err: err, Hint: "the commit is there; the same command pushes it later"}
}

func (f Files) git(ctx context.Context, args ...string) (string, error) {
	out, err := f.command(ctx, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (f Files) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := program.Command(ctx, "git", append(f.safely(), args...)...)
	cmd.Env = slices.DeleteFunc(cmd.Env, LeadsElsewhere)
	return cmd
}

// safely are options of git for a tree that anybody may have written to: a bare
// repository in it, with a configuration that starts programs, is none; names are
// no patterns; submodules are left alone.
func (f Files) safely() []string {
	options := []string{
		"-C", f.Root, "--literal-pathspecs",
		"-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never",
		"-c", "submodule.recurse=false", "-c", "push.recurseSubmodules=no",
	}
	if f.noHooks {
		options = append(options, "-c", "core.hooksPath="+os.DevNull)
	}
	return options
}

// LeadsElsewhere reports whether a variable, as NAME=VALUE, leads git to another
// repository than that of the directory, to other objects of it, or reads names
// otherwise; they are set where a hook of git runs evenkeel. What the user configures by
// variables stands.
func LeadsElsewhere(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	switch name {
	case "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE",
		"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE",
		"GIT_REPLACE_REF_BASE", "GIT_NO_REPLACE_OBJECTS", "GIT_QUARANTINE_PATH", "GIT_ATTR_SOURCE",
		"GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS":
		return true
	}
	return false
}
