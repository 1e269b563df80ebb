package render_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-git/v5"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestHead asks which commit a repository below the top of a working tree is at,
// step by step.
func TestHead(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	top := t.TempDir()
	dir := filepath.Join(top, "deploy")
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	unpack(t, dir, base)
	r, err := render.Open(dir)
	if err != nil {
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
			if repo, err = git.PlainInit(top, false); err != nil {
				t.Fatal(err)
			}
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
		hash, dirty, err := r.Head()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if (len(hash) == 40) != step.commit || dirty != step.dirty {
			t.Errorf("%s: commit %q, dirty %v; want a commit: %v, dirty %v", step.name, hash, dirty, step.commit, step.dirty)
		}
	}
}
