package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// gitFiles are files of a repository that git is to commit. The user's git does
// it: with its hooks, its signature and its credentials.
type gitFiles struct {
	root  string
	names []string // below the root, with slashes
	err   io.Writer
}

// clean refuses files with changes that would go along.
func (f gitFiles) clean(ctx context.Context) error {
	out, err := f.git(ctx, append([]string{"status", "--porcelain", "--"}, f.names...)...)
	if err != nil {
		return err
	}
	if out != "" {
		return &usageError{
			err:  fmt.Errorf("%s: there are changes that are not committed, and would go along", strings.Fields(out)[1]),
			hint: "commit or stash them, or leave out --commit",
		}
	}
	return nil
}

// commit commits these files and nothing else, whatever is staged.
func (f gitFiles) commit(ctx context.Context, message string) error {
	if _, err := f.git(ctx, append([]string{"commit", "--quiet", "--message", message, "--only", "--"}, f.names...)...); err != nil {
		return err
	}
	commit, err := f.git(ctx, "rev-parse", "--short", "HEAD")
	if err != nil {
		return err
	}
	fmt.Fprintf(f.err, "commit %s: %s\n", commit, message)
	return nil
}

// onBranch refuses to push where no branch is checked out, as in many pipelines.
func (f gitFiles) onBranch(ctx context.Context) error {
	if _, err := f.git(ctx, "symbolic-ref", "--short", "HEAD"); err != nil {
		return &usageError{err: errors.New("no branch is checked out that could be pushed"), hint: "git switch BRANCH before"}
	}
	return nil
}

// push pushes the branch that is checked out; a new one to origin.
func (f gitFiles) push(ctx context.Context) error {
	args := []string{"push", "--quiet"}
	if _, err := f.git(ctx, "rev-parse", "--abbrev-ref", "@{upstream}"); err != nil {
		args = append(args, "--set-upstream", "origin", "HEAD")
	}
	_, err := f.git(ctx, args...)
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "[rejected]"):
		return &usageError{err: err, hint: "the commit is there; others were faster: git pull --rebase, and the same command again"}
	}
	return &usageError{err: err, hint: "the commit is there; the same command pushes it later"}
}

func (f gitFiles) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", f.root}, args...)...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
