package below

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Dir is a directory that is written to. Links are followed as long as they stay
// below its top, which is the directory itself, or what holds it.
type Dir struct {
	top  *os.Root
	what string // the top, in messages
	sub  string // from the top, with slashes
}

// Open opens a directory below a top. It may be missing: writing makes it.
func Open(top, what, sub string) (*Dir, error) {
	root, err := os.OpenRoot(top)
	if err != nil {
		return nil, err
	}
	return &Dir{top: root, what: what, sub: sub}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return d.top.Close() }

// follow returns a file's place from the top. Each call looks anew: links may have
// changed.
func (d *Dir) follow(name string) (string, fs.FileInfo, error) {
	if name != "." && !fs.ValidPath(name) {
		return "", nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	at, info, err := Follow(d.top, &Plain{}, d.what, path.Join(d.sub, name))
	return filepath.FromSlash(at), info, err
}

// Check says whether a file could not be written because of links.
func (d *Dir) Check(name string) error {
	_, _, err := d.follow(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Lstat is about what stands at a name, which may be a link.
func (d *Dir) Lstat(name string) (fs.FileInfo, error) {
	at, err := d.parent(name)
	if err != nil {
		return nil, err
	}
	return d.top.Lstat(at)
}

// parent follows the links on the way to a name, and not the one that stands there.
func (d *Dir) parent(name string) (string, error) {
	at, _, err := d.follow(path.Dir(name))
	if err != nil && (at == "" || !errors.Is(err, fs.ErrNotExist)) {
		return "", err
	}
	return filepath.Join(at, path.Base(name)), nil
}

// ReadDir reads a directory. None is one without files.
func (d *Dir) ReadDir(name string) ([]fs.DirEntry, error) {
	at, _, err := d.follow(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return fs.ReadDir(d.top.FS(), filepath.ToSlash(at))
}

// ReadFile reads a regular file.
func (d *Dir) ReadFile(name string) ([]byte, error) {
	at, info, err := d.follow(name)
	if err != nil {
		return nil, err
	}
	if err := regular(name, info); err != nil {
		return nil, err
	}
	return d.top.ReadFile(at)
}

func regular(name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return Refusal{Name: name, Reason: "not a regular file"}
	}
	return nil
}

// WriteFile writes a file, and the directories that it lacks. It is there as a whole
// or not at all. One that is there already keeps its mode.
func (d *Dir) WriteFile(name string, data []byte, mode fs.FileMode) error {
	return d.write(name, data, mode, false)
}

// WriteFileMode is WriteFile with just this mode, whatever was there and whatever the
// process masks.
func (d *Dir) WriteFileMode(name string, data []byte, mode fs.FileMode) error {
	return d.write(name, data, mode, true)
}

func (d *Dir) write(name string, data []byte, mode fs.FileMode, exact bool) error {
	at, info, err := d.follow(name)
	switch {
	case at == "":
		return err
	case errors.Is(err, fs.ErrNotExist):
		if err := d.top.MkdirAll(filepath.Dir(at), 0o777); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		if err := regular(name, info); err != nil {
			return err
		}
		if !exact {
			mode, exact = info.Mode().Perm(), true
		}
	}
	// The name is not one that cue or kubectl reads, if this is stopped half-way.
	fresh := filepath.Join(filepath.Dir(at), "."+filepath.Base(at)+"."+strings.ToLower(rand.Text()[:8]))
	err = d.create(fresh, data, mode, exact)
	if err == nil {
		err = d.top.Rename(fresh, at)
	}
	if err != nil {
		_ = d.top.Remove(fresh) // what went wrong before is what to say
	}
	return err
}

// Create writes a new file. What stands at its name, a link as well, is
// fs.ErrExist.
func (d *Dir) Create(name string, data []byte, mode fs.FileMode) error {
	at, err := d.parent(name)
	if err != nil {
		return err
	}
	if err := d.top.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	return d.create(at, data, mode, false)
}

// create gives a file its mode before its content, which may be a password.
func (d *Dir) create(at string, data []byte, mode fs.FileMode, exact bool) (err error) {
	out, err := d.top.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if exact {
		if err := out.Chmod(mode); err != nil {
			return err
		}
	}
	_, err = out.Write(data)
	return err
}

// Remove removes a file, or a directory that is empty. A link goes, not what it
// leads to.
func (d *Dir) Remove(name string) error {
	at, err := d.parent(name)
	if err != nil {
		return err
	}
	return d.top.Remove(at)
}

// ReplaceDir puts a directory that fill has filled in the place of what stands at a
// name. A link there goes, not what it leads to.
func (d *Dir) ReplaceDir(name string, fill func(*Dir) error) error {
	at, err := d.parent(name)
	if err != nil {
		return err
	}
	if err := d.top.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	// A name with a dot is no package to cue, if this is stopped half-way.
	fresh := filepath.Join(filepath.Dir(at), ".evenkeel-"+strings.ToLower(rand.Text()[:8]))
	if err := d.top.Mkdir(fresh, 0o777); err != nil {
		return err
	}
	err = fill(&Dir{top: d.top, what: d.what, sub: filepath.ToSlash(fresh)})
	if err == nil {
		err = d.top.RemoveAll(at)
	}
	if err == nil {
		err = d.top.Rename(fresh, at)
	}
	if err != nil {
		return errors.Join(err, d.top.RemoveAll(fresh))
	}
	return nil
}
