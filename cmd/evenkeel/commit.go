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

func (f gitFiles) push(ctx context.Context) error {
	if _, err := f.git(ctx, "push", "--quiet"); err != nil {
		return fmt.Errorf("%w\nhint: the commit is there; where others were faster: git pull --rebase && git push", err)
	}
	return nil
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
