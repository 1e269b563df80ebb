// Package content reads what a repository holds, on disk or in a commit: all that a
// rendering reads of it comes through here. Whoever wrote the repository may be a
// stranger: only regular files and directories are there, of a size with a limit;
// links are followed as long as they stay below the root; .git is not content.
package content

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/below"
)

// mostBytes are read of a file. None that means something to a rendering is near.
const mostBytes = 64 << 20

// FS is what a repository holds. It implements fs.FS, StatFS, ReadFileFS and ReadDirFS.
type FS struct {
	store store
	plain below.Plain
}

// store is where content lies. Names have no links on their way.
type store interface {
	below.Links
	open(name string) (fs.File, error)
}

// Refusal says that something in the repository is not read.
type Refusal = below.Refusal

// Refused says whether an error is a Refusal.
func Refused(err error) bool {
	_, ok := errors.AsType[Refusal](err)
	return ok
}

// resolve follows the links on the way to a file and returns the name without them.
func (c *FS) resolve(name string) (string, fs.FileInfo, error) {
	return below.Follow(c.store, &c.plain, "the repository", name)
}

// Open implements fs.FS.
func (c *FS) Open(name string) (fs.File, error) {
	at, info, err := c.resolve(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		f, err := c.store.open(at)
		if err != nil {
			return nil, err
		}
		return dirFile{File: f, content: c, name: name}, nil
	}
	data, err := c.readFile(name, at, info)
	if err != nil {
		return nil, err
	}
	return memFile{Reader: bytes.NewReader(data), info: info}, nil
}

// Stat implements fs.StatFS.
func (c *FS) Stat(name string) (fs.FileInfo, error) {
	_, info, err := c.resolve(name)
	return info, err
}

// ReadFile implements fs.ReadFileFS.
func (c *FS) ReadFile(name string) ([]byte, error) {
	at, info, err := c.resolve(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	return c.readFile(name, at, info)
}

func (c *FS) readFile(name, at string, info fs.FileInfo) (data []byte, err error) {
	if !info.Mode().IsRegular() { // do not even open a device or a pipe
		return nil, Refusal{Name: name, Reason: "not a regular file"}
	}
	f, err := c.store.open(at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // it was put there in between
		return nil, Refusal{Name: name, Reason: "not a regular file"}
	}
	var b bytes.Buffer
	b.Grow(int(min(info.Size(), mostBytes)) + bytes.MinRead)
	n, err := b.ReadFrom(io.LimitReader(f, mostBytes+1))
	if err == nil && n > mostBytes {
		err = tooLarge(name, max(info.Size(), n))
	}
	return b.Bytes(), err
}

func tooLarge(name string, size int64) Refusal {
	return Refusal{Name: name, Reason: fmt.Sprintf("larger than %d MiB: it has %.1f", mostBytes>>20, float64(size)/(1<<20))}
}

// ReadDir implements fs.ReadDirFS.
func (c *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := c.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// dirFile is an open directory that does not show .git.
type dirFile struct {
	fs.File

	content *FS
	name    string
}

// ReadDir implements fs.ReadDirFile.
func (d dirFile) ReadDir(n int) ([]fs.DirEntry, error) {
	dir, ok := d.File.(fs.ReadDirFile)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: d.name, Err: errors.New("not a directory")}
	}
	entries, err := dir.ReadDir(n)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return below.IsGit(e.Name()) }), err
}

type memFile struct {
	*bytes.Reader

	info fs.FileInfo
}

// Stat implements fs.File.
func (f memFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close implements fs.File.
func (f memFile) Close() error { return nil }
