package render

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/seed-428f4edd/evenkeel/render/internal/alias"
	"github.com/seed-428f4edd/evenkeel/render/internal/content"
)

// repoFiles is what kustomize sees: the repository below /repo, read only, and
// beside it the kustomization of a unit, in memory.
type repoFiles struct {
	filesys.FileSystem // all that is not below /repo

	repo    fs.FS
	refused *error            // the first refusal: kustomize words it as something else
	seen    map[string][]byte // what was read: kustomize gets what was looked at
	loose   bool              // keys are spelt as kustomize's decoder takes them
}

// below returns the path inside the repository.
func (f repoFiles) below(name string) (string, bool) {
	name = path.Clean("/" + filepath.ToSlash(name))
	if name == repoDir {
		return ".", true
	}
	rel, ok := strings.CutPrefix(name, repoDir+"/")
	return rel, ok
}

// Exists implements filesys.FileSystem.
func (f repoFiles) Exists(name string) bool {
	return f.stat(name) == nil
}

// stat says why a file cannot be read, if so.
func (f repoFiles) stat(name string) error {
	if rel, ok := f.below(name); ok {
		_, err := fs.Stat(f.repo, rel)
		return err
	}
	if !f.FileSystem.Exists(name) {
		return fs.ErrNotExist
	}
	return nil
}

// IsDir implements filesys.FileSystem.
func (f repoFiles) IsDir(name string) bool {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.IsDir(name)
	}
	info, err := fs.Stat(f.repo, rel)
	return err == nil && info.IsDir()
}

// ReadDir implements filesys.FileSystem.
func (f repoFiles) ReadDir(name string) ([]string, error) {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.ReadDir(name)
	}
	entries, err := fs.ReadDir(f.repo, rel)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// ReadFile implements filesys.FileSystem. What stands in a kustomization is checked
// here, before kustomize acts on it; kustomize gets what the check understood.
func (f repoFiles) ReadFile(name string) ([]byte, error) {
	data, shown, err := f.read(name)
	known := err == nil
	if known {
		if err = alias.JSON(data); err != nil {
			err = fmt.Errorf("%s: %w", cmp.Or(shown, "kustomize"), err)
		}
	}
	if err == nil && isKustomization(name) {
		data, err = f.local(path.Dir(path.Clean("/"+filepath.ToSlash(name))), shown, data)
	}
	if err != nil && *f.refused == nil && (known || content.Refused(err)) {
		*f.refused = err
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

func (f repoFiles) read(name string) (data []byte, shown string, err error) {
	rel, ok := f.below(name)
	if !ok {
		data, err = f.FileSystem.ReadFile(name)
		return data, "", err
	}
	if data, ok := f.seen[rel]; ok {
		return data, rel, nil
	}
	data, err = fs.ReadFile(f.repo, rel)
	if err == nil {
		f.seen[rel] = data
	}
	return data, rel, err
}

// Open implements filesys.FileSystem.
func (f repoFiles) Open(name string) (filesys.File, error) {
	if _, ok := f.below(name); ok {
		return nil, errors.ErrUnsupported // kustomize reads whole files
	}
	return f.FileSystem.Open(name)
}

// CleanedAbs implements filesys.FileSystem.
func (f repoFiles) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.CleanedAbs(name)
	}
	info, err := fs.Stat(f.repo, rel)
	if err != nil {
		return "", "", fmt.Errorf("%s is not in the repository", rel)
	}
	abs := path.Join(repoDir, rel)
	if info.IsDir() {
		return filesys.ConfirmedDir(abs), "", nil
	}
	return filesys.ConfirmedDir(path.Dir(abs)), path.Base(abs), nil
}

// Glob implements filesys.FileSystem.
func (f repoFiles) Glob(pattern string) ([]string, error) {
	rel, ok := f.below(pattern)
	if !ok {
		return f.FileSystem.Glob(pattern)
	}
	names, err := fs.Glob(f.repo, rel)
	for i, name := range names {
		names[i] = path.Join(repoDir, name)
	}
	return names, err
}

// Walk implements filesys.FileSystem.
func (f repoFiles) Walk(name string, fn filepath.WalkFunc) error {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.Walk(name, fn)
	}
	return fs.WalkDir(f.repo, rel, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fn(path.Join(repoDir, p), nil, err)
		}
		info, err := d.Info()
		return fn(path.Join(repoDir, p), info, err)
	})
}
