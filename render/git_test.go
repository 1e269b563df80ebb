package render_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
)

// commit puts all files of dir into a new commit.
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

func edit(t *testing.T, dir, name, old, new string) {
	t.Helper()
	name = filepath.Join(dir, filepath.FromSlash(name))
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	if err := os.WriteFile(name, bytes.Replace(data, []byte(old), []byte(new), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGit compares the tree on disk with commits: the repository is a folder below
// the top of the working tree, as in a monorepo.
func TestGit(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", "git.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	dir := filepath.Join(top, "deploy")
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	unpack(t, dir, base)
	unpack(t, dir, archive)
	repo, err := git.PlainInit(top, false)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, repo)
	first := rendering(t, dir, "")

	tests := []struct {
		name      string
		file      string
		old, new  string
		affected  []string
		different string // an environment whose manifests differ
	}{
		{name: "nothing"},
		{name: "comment", file: "envs/dev/dev.cue", old: "package dev", new: "// the first\npackage dev"},
		{name: "own file", file: "envs/dev/dev.cue", old: "user:1.0.0", new: "user:1.0.1", affected: []string{"dev"}, different: "dev"},
		{name: "import", file: "envs/site/site.cue", old: `pods: "172.7.0.0/16"`, new: `pods: "172.8.0.0/16"`, affected: []string{"dev", "other", "third"}},
		{name: "embedded file", file: "envs/other/motd.txt", old: "hello", new: "good day", affected: []string{"other"}, different: "other"},
		{name: "kustomize base", file: "bases/echo/service.yaml", old: "port: 80", new: "port: 81", affected: []string{"third"}, different: "third"},
		{name: "broken", file: "envs/dev/dev.cue", old: "image:", new: "imag:", affected: []string{"dev"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.file != "" {
				edit(t, dir, test.file, test.old, test.new)
				defer edit(t, dir, test.file, test.new, test.old)
			}
			r, err := render.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Affected(t.Context(), "HEAD")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.affected, got); diff != "" {
				t.Errorf("affected (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(first, rendering(t, dir, "HEAD")); diff != "" {
				t.Errorf("HEAD renders differently than the tree that was committed\n%s", diff)
			}
			if test.different == "" {
				return
			}
			if now := rendering(t, dir, ""); now[test.different] == first[test.different] {
				t.Errorf("the change does not show in the manifests of %s", test.different)
			}
		})
	}
	if _, err := render.OpenGit(dir, "no-such-branch"); err == nil {
		t.Error("a reference that does not exist opens")
	}
}

// rendering is the manifests of all environments, on disk or at a reference.
func rendering(t *testing.T, dir, ref string) map[string]string {
	t.Helper()
	var repo *render.Repo
	var err error
	if ref == "" {
		repo, err = render.Open(dir)
	} else {
		repo, err = render.OpenGit(dir, ref)
	}
	if err != nil {
		t.Fatal(err)
	}
	envs, err := repo.Envs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, env := range envs {
		out[env.Name] = string(manifests(t, repo, env.Name))
	}
	return out
}

// TestLargeInCommit refuses a file of a commit by its size, before it is unpacked.
func TestLargeInCommit(t *testing.T) {
	t.Parallel()
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"crds/large.yaml", "envs/dev/large.cue", "cue.mod/module.cue"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			unpack(t, dir, base)
			put(t, dir, name, "")
			if err := os.Truncate(filepath.Join(dir, name), 65<<20); err != nil {
				t.Fatal(err)
			}
			repo, err := git.PlainInit(dir, false)
			if err != nil {
				t.Fatal(err)
			}
			commit(t, repo)
			r, err := render.OpenGit(dir, "HEAD")
			if err == nil {
				_, err = r.Render(t.Context(), "dev")
			}
			if err == nil || !strings.Contains(err.Error(), "larger than 64 MiB: it has 65.0") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestLargeEmbedded says of a file that is too large to be embedded how large it is.
func TestLargeEmbedded(t *testing.T) {
	t.Parallel()
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, embed := range []string{"file=large/text.txt,type=text", "glob=large/*.txt,type=text"} {
		dir := t.TempDir()
		unpack(t, dir, base)
		put(t, dir, "envs/dev/embed.cue", "@extern(embed)\n\npackage dev\n\n_text: _ @embed("+embed+")\n")
		put(t, dir, "envs/dev/large/text.txt", "")
		if err := os.Truncate(filepath.Join(dir, "envs/dev/large/text.txt"), 65<<20); err != nil {
			t.Fatal(err)
		}
		repo, err := render.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = repo.Render(t.Context(), "dev")
		if want := "envs/dev/embed.cue:5:10: envs/dev/large/text.txt: larger than 64 MiB: it has 65.0"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", embed, err, want)
		}
	}
}
