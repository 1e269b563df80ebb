package render

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// at fills in where a field of a unit was written: at the user's literal where
// references lead to one, else at the nearest thing above it that stands in the
// user's files. The path is below the unit.
func (ev *evaluated) at(u *unit, path typed.Path) Finding {
	f := Finding{Environment: ev.dir.name, Unit: u.data.Name, Path: u.path(path)}
	pos, literal := ev.position(u, path)
	ev.repo.place(&f, pos)
	f.literal = literal
	ev.list(&f, u.data.Name)
	return f
}

// list notes where a unit stands in a list of another package, which several
// environments may take.
func (ev *evaluated) list(f *Finding, name string) {
	if ev.inst == nil {
		return
	}
	var all []token.Pos
	for _, file := range ev.userFiles() {
		if slices.Contains(ev.inst.Files, file) {
			continue
		}
		eachWord(file, func(w word) {
			if n := len(w.path); n > 1 && n <= unitDepth && w.isLabel && w.text == name {
				all = append(all, w.pos)
			}
		})
	}
	if len(all) == 1 {
		f.listed, f.listedFile = all[0], ev.repo.fileName(all[0].Filename())
	}
}

// path is a path below the unit as it is printed: below the environment.
func (u *unit) path(below typed.Path) string {
	if u.group == "base" {
		return append(typed.Path{"base"}, below...).String()
	}
	return append(typed.Path{u.group, u.data.Name}, below...).String()
}

// position is that of a field, or of the nearest thing above it; literal says that it is
// of the field itself.
func (ev *evaluated) position(u *unit, path typed.Path) (pos token.Pos, literal bool) {
	for n := len(path); n > 0; n-- {
		v := u.value().LookupPath(cuePath(path[:n]))
		if !v.Exists() {
			continue
		}
		// A struct above the field says little more than the unit does, unless
		// the user wrote it.
		if pos := ev.repo.userPos(v); pos.IsValid() {
			return pos, n == len(path)
		}
	}
	if pos := ev.repo.userPos(u.value()); pos.IsValid() {
		return pos, false
	}
	return ev.repo.userPos(ev.value()), false
}

// userPos is the place in the user's files that a value comes from; none where CUE
// (v0.17.1, addReplacement) breaks down over a reference into a struct that stands in
// an expression: a message is worth more than its place.
func (r *Repo) userPos(v cue.Value) (pos token.Pos) {
	defer func() {
		if recover() != nil {
			pos = token.NoPos
		}
	}()
	for range maxReferences {
		if pos := r.ownPos(v); pos.IsValid() {
			return pos
		}
		root, path := v.ReferencePath()
		if len(path.Selectors()) == 0 {
			break
		}
		v = root.LookupPath(path)
		if !v.Exists() {
			break
		}
	}
	return token.NoPos
}

// maxReferences bounds a chain of references; definitions need two or three.
const maxReferences = 16

func (r *Repo) ownPos(v cue.Value) token.Pos {
	if pos := v.Pos(); r.isUserPos(pos) {
		return pos
	}
	op, args := v.Expr()
	if op != cue.AndOp {
		return token.NoPos
	}
	for _, arg := range args {
		if pos := r.ownPos(arg); pos.IsValid() {
			return pos
		}
	}
	return token.NoPos
}

func (r *Repo) place(f *Finding, pos token.Pos) {
	if !pos.IsValid() {
		return
	}
	p := pos.Position()
	f.pos = pos
	f.File, f.Line, f.Col = r.fileName(p.Filename), p.Line, p.Column
}

func cuePath(path typed.Path) cue.Path {
	sels := make([]cue.Selector, len(path))
	for i, step := range path {
		switch s := step.(type) {
		case int:
			sels[i] = cue.Index(s)
		case string:
			sels[i] = cue.Str(s)
		}
	}
	return cue.MakePath(sels...)
}

func splitFirst(path string) (first, rest string) {
	first, rest, _ = strings.Cut(path, "/")
	return first, rest
}
