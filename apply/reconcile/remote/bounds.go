package remote

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// TooMuch says which limit a git server met. It quotes nothing of the server's, so
// that it may be shown to anybody.
type TooMuch string

func (e TooMuch) Error() string { return "given up: " + string(e) }

// Bounds of what a server may send. What it takes in memory is for the caller to bound,
// with the process that asks: go-git reads references and deltas whole.
const (
	// defaultMost is far above what describes environments.
	defaultMost = 2 << 30
	// blockSize is what a file or a directory takes at least.
	blockSize = 4 << 10
	// mostObject is what a commit or a tree may take: 500,000 names.
	mostObject = 32 << 20
	// mostPath is the longest path that Linux takes; it bounds how deep trees go.
	mostPath = 4096
)

// quota bounds what is written of a repository, in bytes; a file, a directory and a
// link count as a block at least. After the context is done nothing is written: what
// was given up goes on until its process ends.
type quota struct {
	ctx  context.Context
	most int64
	used atomic.Int64
}

func (q *quota) take(n int64) error {
	if err := q.ctx.Err(); err != nil {
		return err
	}
	if q.used.Add(n) > q.most {
		return q.exceeded()
	}
	return nil
}

func (q *quota) exceeded() error {
	if q.used.Load() <= q.most {
		return nil
	}
	return TooMuch("the repository takes more than " + inUnits(q.most) + " on disk")
}

// inUnits writes bytes as the flag takes them.
func inUnits(bytes int64) string {
	if bytes%(1<<30) == 0 {
		return fmt.Sprintf("%dGi", bytes>>30)
	}
	return fmt.Sprintf("%dMi", bytes>>20)
}

// boundedFS is a directory with a quota.
type boundedFS struct {
	billy.Filesystem

	quota *quota
}

// Create implements billy.Basic.
func (b boundedFS) Create(name string) (billy.File, error) {
	return b.bounded(func() (billy.File, error) { return b.Filesystem.Create(name) })
}

// OpenFile implements billy.Basic.
func (b boundedFS) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	if flag&os.O_CREATE == 0 {
		f, err := b.Filesystem.OpenFile(name, flag, perm)
		return b.file(f, err)
	}
	return b.bounded(func() (billy.File, error) { return b.Filesystem.OpenFile(name, flag, perm) })
}

// TempFile implements billy.TempFile.
func (b boundedFS) TempFile(dir, prefix string) (billy.File, error) {
	return b.bounded(func() (billy.File, error) { return b.Filesystem.TempFile(dir, prefix) })
}

// MkdirAll implements billy.Dir.
func (b boundedFS) MkdirAll(name string, perm os.FileMode) error {
	if err := b.quota.take(blockSize); err != nil {
		return err
	}
	return b.Filesystem.MkdirAll(name, perm)
}

// Symlink implements billy.Symlink.
func (b boundedFS) Symlink(target, link string) error {
	if err := b.quota.take(blockSize); err != nil {
		return err
	}
	return b.Filesystem.Symlink(target, link)
}

// Chroot implements billy.Chroot.
func (b boundedFS) Chroot(path string) (billy.Filesystem, error) {
	below, err := b.Filesystem.Chroot(path)
	return boundedFS{below, b.quota}, err
}

func (b boundedFS) bounded(open func() (billy.File, error)) (billy.File, error) {
	if err := b.quota.take(blockSize); err != nil {
		return nil, err
	}
	f, err := open()
	return b.file(f, err)
}

func (b boundedFS) file(f billy.File, err error) (billy.File, error) {
	if err != nil {
		return nil, err
	}
	return boundedFile{f, b.quota}, nil
}

type boundedFile struct {
	billy.File

	quota *quota
}

// Write implements io.Writer.
func (f boundedFile) Write(p []byte) (int, error) {
	if err := f.quota.take(int64(len(p))); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// survey walks the trees of a commit before their files are written: a few objects can
// stand for any number of files. Names that git itself would not write are refused,
// and those that are there twice: a link and a directory of one name lead out.
func survey(store storer.EncodedObjectStorer, tree plumbing.Hash, q *quota) error {
	files := &quota{ctx: q.ctx, most: q.most}
	files.used.Store(q.used.Load())
	return surveyTree(store, tree, "", files)
}

func surveyTree(store storer.EncodedObjectStorer, hash plumbing.Hash, path string, q *quota) error {
	if err := small(store, hash); err != nil {
		return err
	}
	tree, err := object.GetTree(store, hash)
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(tree.Entries))
	for _, e := range tree.Entries {
		name := path + e.Name
		switch {
		case !fs.ValidPath(e.Name) || strings.ContainsAny(e.Name, "/\x00") || e.Name == "." || strings.EqualFold(e.Name, git.GitDirName):
			return fmt.Errorf("the tree %s has an entry %q, which is no file name", hash, e.Name)
		case seen[e.Name]:
			return fmt.Errorf("the tree %s has two entries %q", hash, name)
		case len(name) > mostPath:
			return TooMuch(fmt.Sprintf("the repository has a path of more than %d bytes", mostPath))
		}
		seen[e.Name] = true
		size := int64(0)
		if e.Mode.IsFile() { // links are
			if size, err = store.EncodedObjectSize(e.Hash); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
		if err := q.take(size + blockSize); err != nil {
			return err
		}
		if e.Mode == filemode.Dir {
			if err := surveyTree(store, e.Hash, name+"/", q); err != nil {
				return err
			}
		}
	}
	return nil
}

// small refuses a commit or a tree that is larger than any that means something: it is
// read whole.
func small(store storer.EncodedObjectStorer, hash plumbing.Hash) error {
	size, err := store.EncodedObjectSize(hash)
	if err == nil && size > mostObject {
		err = TooMuch(fmt.Sprintf("a commit or a directory of the repository takes more than %s", inUnits(mostObject)))
	}
	return err
}

// until does what may not hear of the end of ctx, as what go-git does before a server
// has answered, and leaves it to itself then.
func until(ctx context.Context, do func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- contain.Call(do) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
