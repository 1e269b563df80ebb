package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
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
// patches. An app that is not alike even then becomes whole objects. Where it does
// not come to an end, nothing is left.
func writeImport(ctx context.Context, g *global, env string, imp *importer.Import, to target) (err error) {
	w := &importWriter{g: g, env: env, imp: imp, to: to}
	kept := false
	defer func() {
		if !kept && w.undo != nil {
			err = errors.Join(err, w.undo())
		}
	}()
	if imp.Typed() {
		result, _, err := w.settle(ctx, true)
		if err != nil {
			return err
		}
		imp.Fit(result.Env)
	}
	for draft := imp.HasDefinitions(); ; {
		result, stored, err := w.settle(ctx, draft)
		if err != nil {
			return err
		}
		diffs := imp.Compare(result.Env, stored)
		if imp.Refuse(nil, diffs) {
			continue
		}
		if draft { // what the definitions fill in, and the rules about their kinds, come last
			draft = false
			continue
		}
		kept = true
		return w.report(result, diffs)
	}
}

// settle writes and renders until it renders: rules that the objects do not meet
// are switched off, and apps that do not evaluate become whole objects. One
// mistake may hide another, so it goes round. A draft is without definitions of
// custom resources, and is held against no other environment.
func (w *importWriter) settle(ctx context.Context, draft bool) (*render.Result, func([]importer.Object), error) {
	const rounds = 8
	for round := 1; ; round++ {
		repo, err := w.write(draft)
		if err != nil {
			return nil, nil, err
		}
		results, wrong, err := repo.RenderEach(ctx, []string{w.env})
		if err != nil {
			return nil, nil, err
		}
		found := wrong[w.env]
		if len(found) == 0 {
			if round < rounds && w.imp.Silence(results[0].Warnings) {
				continue // what is only said to be missing is declared as well
			}
			return results[0], repo.Stored, nil
		}
		if !w.imp.Silence(found) && !w.imp.Refuse(found, nil) || round == rounds {
			var errs []error
			for _, line := range w.imp.Blamed(found, w.imp.Namespace()) {
				errs = append(errs, errors.New(line))
			}
			return nil, nil, &hint.Error{Err: errors.Join(errs...), Hint: "nothing was written: mend the manifests, or leave these objects out"}
		}
	}
}

// write puts the files in place of those of the last round.
func (w *importWriter) write(draft bool) (*render.Repo, error) {
	sources, err := w.imp.Sources(w.to.pkg, draft)
	if err != nil {
		return nil, err
	}
	var files []scaffold.File
	for _, f := range sources {
		files = append(files, scaffold.File{Name: path.Join(w.to.dir, f.Name), Data: f.Data})
	}
	if w.undo == nil {
		for _, f := range files {
			if slices.ContainsFunc(w.to.there, func(t scaffold.File) bool { return t.Name == f.Name }) {
				return nil, &hint.Error{Err: fmt.Errorf("%s is there already", f.Name), Hint: "rename it to keep it beside another import"}
			}
		}
	} else if err := w.undo(); err != nil {
		return nil, err
	}
	if w.undo, err = scaffold.Change(w.to.root, append(files, w.to.files...)); err != nil {
		return nil, err
	}
	repo, err := w.g.repo()
	if err != nil || !draft {
		return repo, err
	}
	repo.Skip = map[string]string{}
	for _, name := range w.to.others {
		repo.Skip[name] = "not looked at yet"
	}
	return repo, nil
}

func (w *importWriter) report(result *render.Result, diffs []importer.Difference) error {
	imp := w.imp
	say := func(format string, args ...any) { fmt.Fprintln(w.g.err, report.Line(fmt.Sprintf(format, args...))) }
	for _, l := range imp.Left {
		say("left out: %s", l)
	}
	for _, s := range imp.Secrets {
		say("left out: Secret %s: its values do not belong in files; declared under external.secrets", s.Name)
	}
	for _, a := range imp.Absent {
		say("declared: %s %s: the manifests refer to it and do not have it (external, optional)", a.Kind, a.Name)
	}
	for _, group := range imp.Undefined() {
		say("declared: API group %s: the manifests use it and do not define it (external)", group)
	}
	for _, u := range imp.Upgraded {
		say("replaced: %s", u)
	}
	for _, n := range imp.AllNotes() {
		say("note: %s", n)
	}
	for _, u := range imp.Units {
		for _, rule := range slices.Sorted(maps.Keys(u.Silence)) {
			if rule == "pod-security" {
				say("will not start: %s: %s", u.Name, u.Silence[rule])
				continue
			}
			say("switched off: %s: %s (%s)", u.Name, rule, u.Silence[rule])
		}
	}
	for _, line := range imp.Blamed(result.Refused(), result.Env.Namespace) {
		say("the server will refuse: %s", line)
	}
	for _, d := range diffs {
		say("differs: %s", d)
	}
	for _, line := range imp.Whole() {
		say("whole: %s", line)
	}
	if where := imp.Elsewhere(); where != "" {
		say("namespace %s: %s", result.Env.Namespace, where)
	}
	say("%d objects in %d units in %s", imp.Len(), len(imp.Units), filepath.FromSlash(w.to.dir))
	if apps := imp.Apps(); len(apps) > 0 {
		say("of a type: %s", apps)
	}
	if len(diffs) > 0 {
		return fmt.Errorf("%d fields render differently", len(diffs))
	}
	return nil
}
