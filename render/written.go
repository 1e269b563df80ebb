package render

import (
	"context"

	"cuelang.org/go/cue"

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
}

// Written looks fields of an environment up, by their paths below the environment,
// such as apps, shop, image. The environment must evaluate; what is wrong with it
// comes back as Findings, a name that no environment has as UnknownEnv.
func (r *Repo) Written(ctx context.Context, name string, paths ...[]string) ([]Written, error) {
	dirs, err := r.chosen([]string{name})
	if err != nil {
		return nil, err
	}
	insts, err := r.load(dirs, nil)
	if err != nil {
		return nil, err
	}
	ev, err := r.evaluate(dirs[0], insts[0])
	if err != nil {
		return nil, r.explain(ctx, dirs[0], ev, err)
	}
	found := make([]Written, len(paths))
	for i, path := range paths {
		if found[i], err = ev.written(path); err != nil {
			return nil, r.cueFindings(err, ev)
		}
	}
	return found, nil
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
	ev.repo.place(&w.Place, ev.repo.ownPos(v))
	return w, decodeJSON(v, &w.Value)
}
