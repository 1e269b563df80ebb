package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/importer"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
)

// importWriter writes an import, each time in place of the last.
type importWriter struct {
	g    *global
	env  string
	imp  *importer.Import
	to   target
	undo func() error
}

// writeImport writes the files, renders them and compares. It takes two passes:
// what the types render, to see what a patch has to bend; and that with the
// patches. An app that is not alike even then becomes whole objects.
func writeImport(ctx context.Context, g *global, env string, imp *importer.Import, to target) error {
	w := &importWriter{g: g, env: env, imp: imp, to: to}
	if imp.Typed() {
		repo, err := w.settle(ctx)
		if err != nil {
			return err
		}
		res, err := repo.Render(ctx, env)
		if err != nil {
			return err
		}
		imp.Fit(res.Env)
	}
	for {
		repo, err := w.settle(ctx)
		if err != nil {
			return err
		}
		res, err := repo.Render(ctx, env)
		if err != nil {
			return err
		}
		diffs := imp.Compare(res.Env)
		if imp.Refuse(nil, diffs) {
			continue
		}
		return w.report(diffs)
	}
}

// settle writes and renders until it renders: rules that the objects do not meet
// are switched off, and apps that do not evaluate become whole objects. One
// mistake may hide another, so it goes round.
func (w *importWriter) settle(ctx context.Context) (*render.Repo, error) {
	const rounds = 8
	for round := 1; ; round++ {
		repo, err := w.write()
		if err != nil {
			return nil, err
		}
		found, err := wrong(ctx, repo)
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(f render.Finding) bool { return f.Environment != w.env || f.Warning })
		if len(found) == 0 {
			return repo, nil
		}
		if round == rounds || !w.imp.Silence(found) && !w.imp.Refuse(found, nil) {
			return nil, errors.Join(found, fmt.Errorf("written to %s, which does not render yet", filepath.FromSlash(w.to.name)))
		}
	}
}

// write puts the files in place of those of the last round.
func (w *importWriter) write() (*render.Repo, error) {
	data, err := w.imp.Source(w.to.pkg)
	if err != nil {
		return nil, err
	}
	if w.undo != nil {
		if err := w.undo(); err != nil {
			return nil, err
		}
	}
	files := append(slices.Clone(w.to.files), scaffold.File{Name: w.to.name, Data: data})
	if w.undo, err = scaffold.Change(w.to.root, files); err != nil {
		return nil, err
	}
	return w.g.repo()
}

func (w *importWriter) report(diffs []importer.Difference) error {
	say := func(format string, args ...any) { fmt.Fprintf(w.g.err, format+"\n", args...) }
	for _, l := range w.imp.Left {
		say("left out: %s", l)
	}
	for _, s := range w.imp.Secrets {
		say("left out: Secret %s: its values do not belong in files; declared under external.secrets", s.Name)
	}
	for _, u := range w.imp.Upgraded {
		say("replaced: %s", u)
	}
	for _, u := range w.imp.Units {
		for _, rule := range slices.Sorted(maps.Keys(u.Silence)) {
			say("switched off: %s: %s (%s)", u.Name, rule, u.Silence[rule])
		}
	}
	for _, d := range diffs {
		say("differs: %s", d)
	}
	say("%d objects in %d units in %s", w.imp.Len(), len(w.imp.Units), filepath.FromSlash(w.to.name))
	if apps := w.imp.Apps(); len(apps) > 0 {
		say("of a type: %s", apps)
	}
	if len(diffs) > 0 {
		return fmt.Errorf("%d fields render differently", len(diffs))
	}
	return nil
}
