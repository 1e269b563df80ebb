package render

import (
	"context"
	"path/filepath"

	"cuelang.org/go/cue"

	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Written is a field of an environment as it was evaluated.
type Written struct {
	// Value is nil where the field is not there.
	Value any
	// Place is where the user's files give the field: a Finding with file, line and
	// column. It has no file where the definitions give it, be it by way of a default of
	// the environment.
	Place Finding
	// File is the file of Place from the root, with slashes.
	File string
}

// Written looks fields of an environment up, by their paths below the environment,
// such as apps, shop, image, and names the files of the environment's own package,
// from the root. The environment must evaluate; what is wrong with it comes back as
// Findings, a name that no environment has as UnknownEnv.
func (r *Repo) Written(ctx context.Context, name string, paths ...[]string) (fields []Written, files []string, err error) {
	type found struct {
		fields []Written
		files  []string
	}
	all, err := budget.Within(ctx, r.Budget, &r.Renderings, func(ctx context.Context) (found, error) {
		defer r.Renderings.Begin(name)()
		fields, files, err := r.lookUp(ctx, name, paths)
		return found{fields, files}, err
	})
	return all.fields, all.files, err
}

func (r *Repo) lookUp(ctx context.Context, name string, paths [][]string) (fields []Written, files []string, err error) {
	dirs, err := r.chosen([]string{name})
	if err != nil {
		return nil, nil, err
	}
	if wrong := dirs[0].wrong; wrong != nil {
		return nil, nil, wrong
	}
	insts, err := r.load(dirs, nil)
	if err != nil {
		return nil, nil, err
	}
	ev, err := r.evaluate(dirs[0], insts[0])
	if err != nil {
		return nil, nil, r.explain(ctx, dirs[0], ev, err)
	}
	fields = make([]Written, len(paths))
	for i, path := range paths {
		if fields[i], err = ev.written(path); err != nil {
			return nil, nil, ev.hushMade(ctx, r.cueFindings(err, ev), nil)
		}
	}
	for _, f := range ev.inst.Files {
		files = append(files, r.below(f.Filename))
	}
	return fields, files, nil
}

func (ev *evaluated) written(path []string) (Written, error) {
	sels := make([]cue.Selector, len(path))
	steps := make(typed.Path, len(path))
	for i, step := range path {
		sels[i], steps[i] = cue.Str(step), step
	}
	w := Written{Place: Finding{Environment: ev.dir.name, Path: steps.String()}}
	v := ev.env.LookupPath(cue.MakePath(sels...))
	if !v.Exists() {
		return w, nil
	}
	if pos := ev.repo.ownPos(v); pos.IsValid() {
		ev.repo.place(&w.Place, pos)
		w.File = ev.repo.below(pos.Filename())
	}
	return w, decodeJSON(v, &w.Value)
}

// below is a file of the repository from its root, with slashes.
func (r *Repo) below(name string) string {
	rel, err := filepath.Rel(r.root, name)
	if err != nil {
		return name
	}
	return filepath.ToSlash(rel)
}
