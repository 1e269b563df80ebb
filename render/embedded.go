package render

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"cuelang.org/go/cue/load"

	"github.com/seed-428f4edd/evenkeel/schema"
	"github.com/seed-428f4edd/evenkeel/stacks"
)

// errNotDir is what a stat below a plain file gives.
const errNotDir = syscall.ENOTDIR

// vendorDir is where CUE looks for packages without a registry.
const vendorDir = "cue.mod/pkg/" + Module

// ErrVendored says that the definitions under cue.mod/pkg are not those of this
// binary: evenkeel and plain cue would disagree.
var ErrVendored = errors.New("the vendored definitions are not those of this evenkeel")

// Definitions calls fn for each CUE file of the embedded definitions, by its path
// below the module, such as "schema/core/core.cue", in lexical order.
func Definitions(fn func(name string, data []byte) error) error {
	for _, tree := range []struct {
		dir string
		fs  fs.FS
	}{{"schema", schema.FS}, {"stacks", stacks.FS}} {
		err := fs.WalkDir(tree.fs, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(tree.fs, p)
			if err != nil {
				return err
			}
			return fn(path.Join(tree.dir, p), data)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// embedded lays the definitions where the loader expects packages of other
// modules, so that a user's repository renders offline and without a copy.
func embedded(root string) (map[string]load.Source, error) {
	overlay := map[string]load.Source{}
	err := Definitions(func(name string, data []byte) error {
		overlay[filepath.Join(root, filepath.FromSlash(vendorDir), filepath.FromSlash(name))] = load.FromBytes(data)
		return nil
	})
	return overlay, err
}

// checkVendored refuses a copy of the definitions that differs from the embedded
// ones. The overlay would win over it, silently.
func (r *Repo) checkVendored() error {
	if _, err := fs.Stat(r.fsys, vendorDir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	want := map[string][]byte{}
	if err := Definitions(func(name string, data []byte) error {
		want[name] = data
		return nil
	}); err != nil {
		return err
	}
	if err := r.missingVendored(); err != nil {
		return err
	}
	return fs.WalkDir(r.fsys, vendorDir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".cue") {
			return err
		}
		got, err := fs.ReadFile(r.fsys, p)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(p, vendorDir+"/")
		if data, ok := want[name]; !ok || !bytes.Equal(data, got) {
			return fmt.Errorf("%w: %s differs; run \"evenkeel vendor\" or remove %s", ErrVendored, p, vendorDir)
		}
		return nil
	})
}
