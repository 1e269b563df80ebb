package render

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	gitobject "github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// OpenGit opens the repository that dir belongs to as it was at a git reference: a
// branch, a tag, a commit, HEAD~1. It reads git's objects and touches neither the
// working tree nor the index.
func OpenGit(dir, ref string) (*Repo, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := findRoot(abs)
	if err != nil {
		return nil, err
	}
	store, err := storeAt(root, ref)
	if err != nil {
		return nil, err
	}
	r := &Repo{dir: root, root: virtualRoot(root), fsys: contentsOf(store), ref: ref, kinds: typed.New()}
	if err := r.readModule(); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if r.own {
		return r, nil
	}
	if err := r.checkVendored(); err != nil {
		return nil, err
	}
	r.overlay, err = embedded(r.root)
	return r, err
}

// storeAt is the tree of the directory root at a reference.
func storeAt(root, ref string) (*gitStore, error) {
	repo, err := git.PlainOpenWithOptions(root, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", root, err)
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
	worktree, err := repo.Worktree()
	if err != nil {
		return nil, err
	}
	rel, err := belowTop(worktree, root)
	if err != nil {
		return nil, err
	}
	if rel != "." {
		if tree, err = tree.Tree(rel); err != nil {
			return nil, fmt.Errorf("%s at %s: %w", rel, ref, err)
		}
	}
	return &gitStore{tree: tree, sizes: repo.Storer}, nil
}

// gitStore reads files from git's objects. Trees keep what they have looked up, so
// that only one may look at a time.
type gitStore struct {
	mu    sync.Mutex
	tree  *gitobject.Tree
	sizes storer.EncodedObjectStorer
}

// Lstat implements below.Links.
func (g *gitStore) Lstat(name string) (fs.FileInfo, error) {
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
func (g *gitStore) Readlink(name string) (string, error) {
	f, err := g.open(name)
	if err != nil {
		return "", err
	}
	const longest = 4096 // of a path, on Linux
	target, err := io.ReadAll(io.LimitReader(f, longest))
	return string(target), errors.Join(err, f.Close())
}

func (g *gitStore) open(name string) (fs.File, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if name == "." {
		return &gitDir{info: gitInfo{name: ".", mode: fs.ModeDir}, tree: g.tree}, nil
	}
	entry, err := g.tree.FindEntry(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: notExist(err)}
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
		return nil, tooLarge(name)
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

// Affected names the environments that render differently than they did at a git
// reference, or that one of the two does not render; new ones count, removed ones
// are not there to name. Changes that have not been committed are seen. It renders
// both trees: no import, embedded file or base can be missed.
func (r *Repo) Affected(ctx context.Context, ref string) ([]string, error) {
	old, err := OpenGit(r.dir, ref)
	if err != nil {
		return nil, err
	}
	old.Budget = r.Budget
	before, err := old.fingerprints(ctx)
	if err != nil {
		return nil, err
	}
	now, err := r.fingerprints(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, print := range now {
		if was, ok := before[name]; !ok || print == "" || was != print {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// fingerprints are digests of all that environments evaluate to, by name; empty
// for one that is wrong.
func (r *Repo) fingerprints(ctx context.Context) (map[string]string, error) {
	defer lazyGC()()
	return within(ctx, r, r.takeFingerprints)
}

func (r *Repo) takeFingerprints(ctx context.Context) (map[string]string, error) {
	dirs, err := r.scan()
	if err != nil {
		return nil, err
	}
	all, err := r.renderDirs(ctx, dirs)
	if err != nil {
		return nil, err
	}
	prints := map[string]string{}
	for _, one := range all {
		prints[one.name] = ""
		if one.result == nil {
			continue
		}
		sum := sha256.New()
		enc := json.NewEncoder(sum)
		if err := enc.Encode([]any{one.header, one.result.Notices}); err != nil {
			return nil, err
		}
		for _, u := range one.result.Env.Units {
			if err := enc.Encode(u); err != nil {
				return nil, err
			}
		}
		for _, u := range one.units {
			if err := enc.Encode(u.data.fields); err != nil {
				return nil, err
			}
		}
		prints[one.name] = hex.EncodeToString(sum.Sum(nil))
	}
	return prints, nil
}
