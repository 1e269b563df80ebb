package content

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	gitobject "github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/seed-428f4edd/evenkeel/render/checkout"
)

// Commit is what a directory of a git repository held at a reference: a branch, a tag,
// a commit, HEAD~1. It reads git's objects and touches neither the working tree nor
// the index.
func Commit(dir, ref string) (*FS, error) {
	repo, err := checkout.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(ref))
	if err != nil {
		return nil, fmt.Errorf("git reference %q: %w", ref, err)
	}
	commit, err := repo.CommitObject(*hash)
	if err != nil {
		return nil, fmt.Errorf("git reference %q: %w", ref, err)
	}
	tree, err := commit.Tree()
	if err != nil {
		return nil, err
	}
	rel, err := repo.Below(dir)
	if err != nil {
		return nil, err
	}
	if rel != "." {
		if tree, err = tree.Tree(rel); err != nil {
			return nil, fmt.Errorf("%s at %s: %w", rel, ref, err)
		}
	}
	return &FS{store: &commitStore{tree: tree, sizes: repo.Storer}}, nil
}

// commitStore reads files from git's objects. Trees keep what they have looked up, so
// that only one may look at a time.
type commitStore struct {
	mu    sync.Mutex
	tree  *gitobject.Tree
	sizes storer.EncodedObjectStorer
}

// Lstat implements below.Links.
func (g *commitStore) Lstat(name string) (fs.FileInfo, error) {
	if name == "." {
		return gitInfo{name: ".", mode: fs.ModeDir}, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	entry, err := g.tree.FindEntry(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: notExist(err)}
	}
	return gitInfo{name: path.Base(name), mode: gitMode(entry.Mode)}, nil
}

func gitMode(mode filemode.FileMode) fs.FileMode {
	switch {
	case mode == filemode.Symlink:
		return fs.ModeSymlink
	case mode.IsFile():
		return 0
	}
	return fs.ModeDir
}

// Readlink implements below.Links.
func (g *commitStore) Readlink(name string) (string, error) {
	f, err := g.open(name)
	if err != nil {
		return "", err
	}
	const longest = 4096 // of a path, on Linux
	target, err := io.ReadAll(io.LimitReader(f, longest))
	return string(target), errors.Join(err, f.Close())
}

func (g *commitStore) open(name string) (fs.File, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if name == "." {
		return &gitDir{info: gitInfo{name: ".", mode: fs.ModeDir}, tree: g.tree}, nil
	}
	entry, err := g.tree.FindEntry(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: notExist(err)}
	}
	if entry.Mode == filemode.Submodule { // its commit is in another repository
		return &gitDir{info: gitInfo{name: path.Base(name), mode: fs.ModeDir}, tree: &gitobject.Tree{}}, nil
	}
	if !entry.Mode.IsFile() {
		sub, err := g.tree.Tree(name)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: notExist(err)}
		}
		return &gitDir{info: gitInfo{name: path.Base(name), mode: fs.ModeDir}, tree: sub}, nil
	}
	// go-git keeps all of a file in memory, and a few kilobytes can unpack to gigabytes.
	size, err := g.sizes.EncodedObjectSize(entry.Hash)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if size > mostBytes {
		return nil, tooLarge(name, size)
	}
	file, err := g.tree.File(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: notExist(err)}
	}
	reader, err := file.Reader()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return gitFile{ReadCloser: reader, info: gitInfo{name: path.Base(name), size: file.Size}}, nil
}

func notExist(err error) error {
	if errors.Is(err, gitobject.ErrEntryNotFound) || errors.Is(err, gitobject.ErrDirectoryNotFound) || errors.Is(err, gitobject.ErrFileNotFound) {
		return fs.ErrNotExist
	}
	return err
}

type gitFile struct {
	io.ReadCloser
	info gitInfo
}

// Stat implements fs.File.
func (f gitFile) Stat() (fs.FileInfo, error) { return f.info, nil }

type gitDir struct {
	info gitInfo
	tree *gitobject.Tree
	read int
}

// Stat implements fs.File.
func (d *gitDir) Stat() (fs.FileInfo, error) { return d.info, nil }

// Read implements fs.File.
func (d *gitDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errors.New("is a directory")}
}

// Close implements fs.File.
func (d *gitDir) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (d *gitDir) ReadDir(n int) ([]fs.DirEntry, error) {
	entries := d.tree.Entries[d.read:]
	if n > 0 {
		if len(entries) == 0 {
			return nil, io.EOF
		}
		entries = entries[:min(n, len(entries))]
	}
	d.read += len(entries)
	out := make([]fs.DirEntry, len(entries))
	for i, e := range entries {
		out[i] = fs.FileInfoToDirEntry(gitInfo{name: e.Name, mode: gitMode(e.Mode)})
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}
