package checkout_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/seed-428f4edd/evenkeel/render/checkout"
)

// TestHead asks which commit a repository below the top of a working tree is at,
// step by step.
func TestHead(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	top := t.TempDir()
	dir := filepath.Join(top, "deploy")
	if err := os.MkdirAll(filepath.Join(dir, "envs", "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	var repo *git.Repository
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(top, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		name   string
		do     func()
		commit bool
		dirty  bool
	}{
		{name: "outside of git", do: func() {}},
		{name: "before the first commit", dirty: true, do: func() {
			made, err := git.PlainInit(top, false)
			if err != nil {
				t.Fatal(err)
			}
			repo = made
		}},
		{name: "committed", commit: true, do: func() { write(".gitignore", "*.swp\n"); commit(t, repo) }},
		{name: "changed elsewhere", commit: true, do: func() { write("notes", "a word") }},
		{name: "ignored", commit: true, do: func() { write("deploy/envs/dev/dev.cue.swp", "x") }},
		{name: "new", commit: true, dirty: true, do: func() { write("deploy/envs/dev/more.cue", "package dev\n") }},
		{name: "committed again", commit: true, do: func() { commit(t, repo) }},
		{name: "changed", commit: true, dirty: true, do: func() { write("deploy/envs/dev/more.cue", "package dev // x\n") }},
		{name: "and deleted", commit: true, dirty: true, do: func() {
			if err := os.Remove(filepath.Join(top, "deploy/envs/dev/more.cue")); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, step := range steps {
		step.do()
		hash, dirty, err := checkout.Head(dir)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if (len(hash) == 40) != step.commit || dirty != step.dirty {
			t.Errorf("%s: commit %q, dirty %v; want a commit: %v, dirty %v", step.name, hash, dirty, step.commit, step.dirty)
		}
	}
}

// commit puts all files into a new commit.
func commit(t *testing.T, repo *git.Repository) {
	t.Helper()
	tree, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		t.Fatal(err)
	}
	who := &object.Signature{Name: "test", Email: "test@shop.example", When: time.Unix(1, 0)}
	if _, err := tree.Commit("change", &git.CommitOptions{Author: who}); err != nil {
		t.Fatal(err)
	}
}
