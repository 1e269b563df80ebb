// Package below follows the links of a directory tree, and writes to one, without
// leaving it: who may put a link into a repository has no more than the repository.
package below

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// mostLinks may lead from one to the next, as on Linux.
const mostLinks = 40

// Refusal says that something in a tree is neither read nor written.
type Refusal struct {
	Name   string // from the root, with slashes
	Reason string
}

func (e Refusal) Error() string { return e.Name + ": " + e.Reason }

// Is makes errors.Is(err, fs.ErrPermission) true: it is there.
func (e Refusal) Is(target error) bool { return target == fs.ErrPermission }

// Links is a tree with links. Names have none on their way.
type Links interface {
	Lstat(name string) (fs.FileInfo, error)
	Readlink(name string) (string, error)
}

// Plain remembers directories that no link leads to.
type Plain struct {
	mu   sync.Mutex
	dirs map[string]bool
}

func (p *Plain) has(dir string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dirs[dir]
}

func (p *Plain) add(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirs == nil {
		p.dirs = map[string]bool{}
	}
	p.dirs[dir] = true
}

// Follow follows the links on the way to a file and returns the name without them.
// That of a file that is not there comes with the error. Links that lead out of the
// tree are refused; so are .git, and names that do not show as what they are (Shows).
// Messages call the tree what.
func Follow(tree Links, plain *Plain, what, name string) (string, fs.FileInfo, error) {
	at, rest := ".", strings.Split(name, "/")
	gits := Refusal{Name: name, Reason: "git's own files are not content of the repository"}
	if slices.ContainsFunc(rest, IsGit) { // all of it: what is not there yet may be made
		return "", nil, gits
	}
	if err := Shows(name); err != nil {
		return "", nil, err
	}
	if !fs.ValidPath(name) {
		return "", nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	links := 0
	for len(rest) > 0 {
		elem := rest[0]
		rest = rest[1:]
		next := path.Join(at, elem)
		if len(rest) > 0 && plain.has(next) {
			at = next
			continue
		}
		info, err := tree.Lstat(next)
		if err != nil {
			return path.Join(next, path.Join(rest...)), nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			if info.IsDir() {
				plain.add(next)
			}
			at = next
			if len(rest) == 0 {
				return at, info, nil
			}
			continue
		}
		if links++; links > mostLinks {
			return "", nil, Refusal{Name: name, Reason: "too many links lead from one to the next"}
		}
		target, err := tree.Readlink(next)
		if err != nil {
			return "", nil, err
		}
		target = filepath.ToSlash(target)
		to := path.Join(at, target)
		if path.IsAbs(target) || filepath.IsAbs(target) || to == ".." || strings.HasPrefix(to, "../") {
			return "", nil, Refusal{Name: name, Reason: fmt.Sprintf("the link %s leads out of %s, to %q", next, what, target)}
		}
		if at, rest = ".", append(strings.Split(to, "/"), rest...); slices.ContainsFunc(rest, IsGit) {
			return "", nil, gits
		}
	}
	info, err := tree.Lstat(at)
	return at, info, err
}

// Shows refuses a name with characters that do not show, or have what stands beside them
// read otherwise: line breaks, control characters, marks of direction. Every message names
// files, and so do logs and pages that others make of messages.
func Shows(name string) error {
	odd := func(r rune) bool {
		return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}
	if !strings.ContainsFunc(name, odd) {
		return nil
	}
	at := "."
	for elem := range strings.SplitSeq(name, "/") {
		if strings.ContainsFunc(elem, odd) {
			return Refusal{Name: at, Reason: fmt.Sprintf("the name %+q has characters that do not show: rename it", elem)}
		}
		at = path.Join(at, elem)
	}
	return nil
}

// IsGit knows the spellings that some file system takes for .git: in other case,
// with characters that cannot be seen, and as Windows shortens names.
func IsGit(elem string) bool {
	if elem == "" || elem[0] != '.' && elem[0] != 'g' && elem[0] != 'G' && elem[0] < 0x80 {
		return false
	}
	elem = strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, elem))
	elem, _, _ = strings.Cut(elem, ":")
	elem = strings.TrimRight(elem, ". ")
	return elem == ".git" || elem == "git~1"
}
