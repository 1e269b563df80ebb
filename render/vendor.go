package render

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/seed-428f4edd/evenkeel/render/internal/below"
	"github.com/seed-428f4edd/evenkeel/render/internal/content"
)

// vendorStamp is the file of a vendored copy that says what it is a copy of.
const vendorStamp = "VERSION"

// Vendored is a copy of the definitions in a repository.
type Vendored struct {
	Dir    string // absolute
	Files  int
	Digest string // sha256 over names and contents
}

// Vendor writes the definitions below cue.mod/pkg of the repository that dir
// belongs to, so that plain cue and editors find them. It replaces a copy that is
// there as a whole: cue would merge a file that is left over. The version is that
// of the program; it stands in the file VERSION with the digest.
func Vendor(dir, version string) (Vendored, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Vendored{}, err
	}
	root, err := findRoot(abs)
	if err != nil {
		return Vendored{}, err
	}
	files, err := content.Disk(root)
	if err != nil {
		return Vendored{}, err
	}
	r := &Repo{dir: root, root: virtualRoot(root), fsys: files, cwd: abs}
	if err := r.readModule(); err != nil {
		return Vendored{}, err
	}
	if r.own {
		return Vendored{}, fmt.Errorf("%s is the module of the definitions itself", root)
	}
	v := Vendored{Dir: filepath.Join(root, filepath.FromSlash(vendorDir))}
	top, err := below.Open(root, "the repository", ".")
	if err != nil {
		return Vendored{}, err
	}
	defer func() { _ = top.Close() }() // nothing is written by that
	err = top.ReplaceDir(vendorDir, func(fresh *below.Dir) error { return v.write(fresh, version) })
	return v, err
}

// write puts the definitions and the stamp into a directory.
func (v *Vendored) write(dir *below.Dir, version string) error {
	sum := sha256.New()
	err := Definitions(func(name string, data []byte) error {
		v.Files++
		fmt.Fprintf(sum, "%s %d\n", name, len(data))
		sum.Write(data)
		return dir.Create(name, data, 0o666)
	})
	if err != nil {
		return err
	}
	v.Digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	stamp := fmt.Sprintf("evenkeel %s\n%s\n", version, v.Digest)
	return dir.Create(vendorStamp, []byte(stamp), 0o666)
}

// missingVendored finds a definition that the copy lacks.
func (r *Repo) missingVendored() error {
	return Definitions(func(name string, _ []byte) error {
		_, err := fs.Stat(r.fsys, vendorDir+"/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s/%s is missing; run \"evenkeel vendor\" or remove %s", ErrVendored, vendorDir, name, vendorDir)
		}
		return err
	})
}
