package below_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render/internal/below"
)

// tree is a directory with links, and one outside that they lead to.
func tree(t *testing.T) (dir, outside string) {
	t.Helper()
	dir, outside = t.TempDir(), t.TempDir()
	for name, target := range map[string]string{
		"file": filepath.Join(outside, "file"), "dir": outside, "up": "../x", "inside": "real/file", "within": "real",
		"a/over": "../within/over", "dangling": "real/fresh", "loop": "loop", "hooks": ".git",
	} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.Symlink(target, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"real/file", ".git/config"} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("old"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "file"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, outside
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"plain": "plain", "new/dir/file": "new/dir/file", "inside": "real/file", "within/fresh": "real/fresh",
		"a/over": "real/over", "dangling": "real/fresh",
		"file":        `file: the link file leads out of the tree, to "OUTSIDE/file"`,
		"dir/file":    `dir/file: the link dir leads out of the tree, to "OUTSIDE"`,
		"dir/new/sub": `dir/new/sub: the link dir leads out of the tree, to "OUTSIDE"`,
		"up":          `up: the link up leads out of the tree, to "../x"`,
		"loop":        "loop: too many links lead from one to the next",
		"hooks/x":     "hooks/x: git's own files are not content of the repository",
		"none/.git":   "none/.git: git's own files are not content of the repository",
		"n/o/.GIT/x":  "n/o/.GIT/x: git's own files are not content of the repository",
		"within/.git": "within/.git: git's own files are not content of the repository",
		".GIT/config": ".GIT/config: git's own files are not content of the repository",
		"within":      "within: not a regular file",
		"../x":        "open ../x: invalid argument",
		"a\nb/x":      `.: the name "a\nb" has characters that do not show: rename it`,
		"real/a\x1b":  `real: the name "a\x1b" has characters that do not show: rename it`,
		"real/\u202e": `real: the name "\u202e" has characters that do not show: rename it`,
		"发布/\u3000é":  "发布/\u3000é",
	} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			t.Parallel()
			dir, outside := tree(t)
			d, err := below.Open(dir, "the tree", ".")
			if err != nil {
				t.Fatal(err)
			}
			if err := d.WriteFile(name, []byte("new"), 0o644); err != nil {
				if got := strings.ReplaceAll(err.Error(), outside, "OUTSIDE"); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			} else if data, err := os.ReadFile(filepath.Join(dir, want)); err != nil || string(data) != "new" {
				t.Errorf("%s: %q %v", want, data, err)
			} else if info, err := os.Lstat(filepath.Join(dir, want)); err != nil || !info.Mode().IsRegular() {
				t.Errorf("%s: %v %v", want, info.Mode(), err)
			} else if want == "real/file" && info.Mode().Perm() != 0o600 {
				t.Errorf("the mode was lost: %v", info.Mode())
			}
			untouched(t, outside)
			left, err := filepath.Glob(filepath.Join(dir, "*", ".*.*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v %v", left, err)
			}
		})
	}
}

func untouched(t *testing.T, outside string) {
	t.Helper()
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside: %v %v", entries, err)
	}
	if data, err := os.ReadFile(filepath.Join(outside, "file")); err != nil || string(data) != "old" {
		t.Errorf("outside: %q %v", data, err)
	}
}

// TestLinkItself creates, removes and replaces: a link is what stands there.
func TestLinkItself(t *testing.T) {
	t.Parallel()
	dir, outside := tree(t)
	d, err := below.Open(dir, "the tree", ".")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Create("file", nil, 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created over a link: %v", err)
	}
	if err := d.Create("dir/x", nil, 0o644); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("created behind a link: %v", err)
	}
	if err := d.Remove("dir/file"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("removed behind a link: %v", err)
	}
	if err := d.Remove("file"); err != nil {
		t.Error(err)
	}
	err = d.ReplaceDir("dir", func(d *below.Dir) error { return d.Create("sub/x", []byte("new"), 0o644) })
	if data, read := os.ReadFile(filepath.Join(dir, "dir", "sub", "x")); err != nil || read != nil || string(data) != "new" {
		t.Errorf("%q %v %v", data, err, read)
	}
	untouched(t, outside)
}

// TestSwapped writes while a directory and a link to the outside change places.
func TestSwapped(t *testing.T) {
	t.Parallel()
	dir, outside := tree(t)
	moving, link := filepath.Join(dir, "moving"), filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(moving, 0o755), os.Symlink(outside, link)); err != nil {
		t.Fatal(err)
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		aside := filepath.Join(dir, "aside")
		for {
			select {
			case <-done:
				return
			default:
			}
			_ = os.Rename(moving, aside)
			_ = os.Rename(link, moving)
			_ = os.Rename(moving, link)
			_ = os.Rename(aside, moving)
		}
	}()
	d, err := below.Open(dir, "the tree", ".")
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		_ = d.WriteFile("moving/file", []byte("new"), 0o644)
		_ = d.Remove("moving/file")
	}
	close(done)
	<-stopped
	untouched(t, outside)
}
