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
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue/load"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	gitobject "github.com/go-git/go-git/v5/plumbing/object"

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
	tree, commit, err := treeAt(root, ref)
	if err != nil {
		return nil, err
	}
	r := &Repo{
		// The loader wants a directory; that of a commit is one that is nowhere.
		root:  filepath.Join(root, ".evenkeel", commit),
		fsys:  gitFS{tree},
		ref:   ref,
		kinds: typed.New(),
	}
	if _, err := os.Stat(r.root); err == nil {
		return nil, fmt.Errorf("%s is in the way: evenkeel puts the files of %s there, in memory", r.root, ref)
	}
	if err := r.readModule(); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	r.overlay, err = treeOverlay(r.root, tree)
	if err != nil || r.own {
		return r, err
	}
	if err := r.checkVendored(); err != nil {
		return nil, err
	}
	definitions, err := embedded(r.root)
	maps.Copy(r.overlay, definitions)
	return r, err
}

// treeAt finds the tree of the directory root at a reference.
func treeAt(root, ref string) (*gitobject.Tree, string, error) {
	repo, err := git.PlainOpenWithOptions(root, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", root, err)
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(ref))
	if err != nil {
		return nil, "", fmt.Errorf("git reference %q: %w", ref, err)
	}
	commit, err := repo.CommitObject(*hash)
	if err != nil {
		return nil, "", fmt.Errorf("git reference %q: %w", ref, err)
	}
	tree, err := commit.Tree()
	if err != nil {
		return nil, "", err
	}
	worktree, err := repo.Worktree()
	if err != nil {
		return nil, "", err
	}
	rel, err := belowTop(worktree, root)
	if err != nil {
		return nil, "", err
	}
	if rel != "." {
		if tree, err = tree.Tree(rel); err != nil {
			return nil, "", fmt.Errorf("%s at %s: %w", rel, ref, err)
		}
	}
	return tree, hash.String(), nil
}

// treeOverlay lays the CUE files of a tree under root, and with them what stands
// in or below the directories of those that embed files.
func treeOverlay(root string, tree *gitobject.Tree) (map[string]load.Source, error) {
	overlay := map[string]load.Source{}
	var embedding []string
	add := func(f *gitobject.File) (string, error) {
		content, err := f.Contents()
		if err != nil {
			return "", fmt.Errorf("%s: %w", f.Name, err)
		}
		overlay[filepath.Join(root, filepath.FromSlash(f.Name))] = load.FromString(content)
		return content, nil
	}
	err := tree.Files().ForEach(func(f *gitobject.File) error {
		if path.Ext(f.Name) != ".cue" {
			return nil
		}
		content, err := add(f)
		if strings.Contains(content, "@extern(embed)") {
			embedding = append(embedding, path.Dir(f.Name))
		}
		return err
	})
	if err != nil || len(embedding) == 0 {
		return overlay, err
	}
	return overlay, tree.Files().ForEach(func(f *gitobject.File) error {
		below := func(dir string) bool { return dir == "." || strings.HasPrefix(f.Name, dir+"/") }
		if path.Ext(f.Name) == ".cue" || !slices.ContainsFunc(embedding, below) {
			return nil
		}
		_, err := add(f)
		return err
	})
}

// gitFS reads files from git's objects.
type gitFS struct{ tree *gitobject.Tree }

// Open implements fs.FS.
func (g gitFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
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
		info := gitInfo{name: e.Name}
		if !e.Mode.IsFile() {
			info.mode = fs.ModeDir
		}
		out[i] = fs.FileInfoToDirEntry(info)
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// Affected names the environments that render differently than they did at a git
// reference, or that one of the two does not render; new ones count, removed ones
// are not there to name. Changes that have not been committed are seen. It renders
// both trees: no import, embedded file or base can be missed.
func (r *Repo) Affected(ctx context.Context, ref string) ([]string, error) {
	old, err := OpenGit(r.root, ref)
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
