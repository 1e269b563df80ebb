// Package edit sets single fields of an environment where its source says them: the
// image of an app, its replicas.
//
// Find and Images say where fields stand and what they are, Prepare writes the
// settings into the files' text, Verify evaluates the changed repository and looks
// whether they are what they were set to. Nothing here writes a file.
package edit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cuelang.org/go/cue/literal"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
)

// Edit is one field of the source that is set. From, and To, are a string or an
// int64.
type Edit struct {
	Environment string `json:"environment"`
	Unit        string `json:"unit"`
	Path        string `json:"path"` // below the environment
	From        any    `json:"from"`
	To          any    `json:"to"`
	Changed     bool   `json:"changed"` // known once it is prepared
	File        string `json:"file,omitempty"`
	Line        int    `json:"line,omitempty"`
	Col         int    `json:"col,omitempty"`

	path []string
	in   string // the file from the root, empty where the user's files do not give it
}

func newEdit(env string, path []string, now render.Written) *Edit {
	return &Edit{
		Environment: env, Unit: path[1], Path: now.Place.Path, From: now.Value, path: path,
		File: now.Place.File, Line: now.Place.Line, Col: now.Place.Col, in: now.File,
	}
}

// Prepare sets edits in the files of an environment that have these names, all or
// none. It returns the files as they are, and those that change as they are to be.
func Prepare(repo *render.Repo, at render.Summary, names []string, edits []*Edit) (before, after []scaffold.File, err error) {
	files, err := scaffold.ReadFiles(repo.Files(), names)
	if err != nil {
		return nil, nil, err
	}
	is, wrong, err := scaffold.Literals(files, pathsOf(edits))
	if err != nil {
		return nil, nil, err
	}
	var settings []scaffold.Setting
	for i, e := range edits {
		if e.Changed = e.From != e.To; !e.Changed {
			continue
		}
		if err := e.settable(files, at, is[i], wrong[i]); err != nil {
			return nil, nil, err
		}
		settings = append(settings, scaffold.Setting{Path: e.path, Value: e.literal()})
	}
	after, err = scaffold.Set(files, settings)
	return files, after, err
}

// literal is the new value as CUE writes it.
func (e *Edit) literal() string {
	if text, ok := e.To.(string); ok {
		return literal.String.Quote(text)
	}
	return fmt.Sprint(e.To)
}

// settable refuses what the environment's files do not say as one literal.
func (e *Edit) settable(files []scaffold.File, at render.Summary, is bool, err error) error {
	wrong, refused := errors.AsType[scaffold.NotSettable](err)
	switch place := fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Col); {
	case refused && len(wrong.Places) > 1:
		return err
	case refused, !is && slices.ContainsFunc(files, func(f scaffold.File) bool { return f.Name == e.in }):
		return scaffold.NotSettable{Path: e.path, Places: []string{place}}
	case !is && e.in != "":
		return &hint.Error{
			Err:  fmt.Errorf("%s: %s is set there, outside of %s", place, e.Path, at.Dir),
			Hint: "other environments may read that file: change it by hand",
		}
	}
	return nil
}

// Verify looks whether the fields are what they were set to in a repository that was
// opened after the change, and where they stand now.
func Verify(ctx context.Context, repo *render.Repo, env string, edits []*Edit) error {
	now, _, err := repo.Written(ctx, env, pathsOf(edits)...)
	if err != nil {
		return err
	}
	for i, e := range edits {
		if now[i].Value != e.To {
			return fmt.Errorf("%s would still be %v: nothing is changed", e.Path, now[i].Value)
		}
		e.File, e.Line, e.Col = now[i].Place.File, now[i].Place.Line, now[i].Place.Col
	}
	return nil
}

func pathsOf(edits []*Edit) [][]string {
	paths := make([][]string, len(edits))
	for i, e := range edits {
		paths[i] = e.path
	}
	return paths
}
