package edit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Field is a field that Find knows where to look for.
type Field string

// The fields that can be set.
const (
	Image    Field = "image"
	Replicas Field = "replicas"
)

// Target is a field of an app or a stack and the value that it is to have: a string
// for an Image, an int64 for Replicas.
type Target struct {
	Unit      string
	Container string // a sidecar or an init container; empty is the app's own
	// Runs is the image that the container is rendered with, where it is known: a field
	// that says another one does not decide about it.
	Runs string
	To   any
}

// String is APP=VALUE, or APP/CONTAINER=VALUE.
func (t Target) String() string {
	if t.Container == "" {
		return fmt.Sprintf("%s=%v", t.Unit, t.To)
	}
	return fmt.Sprintf("%s/%s=%v", t.Unit, t.Container, t.To)
}

// Find returns the edits that bring fields of an environment to their values, and
// the names of the environment's files.
func Find(ctx context.Context, repo *render.Repo, env string, field Field, targets []Target) (edits []*Edit, files []string, err error) {
	var paths [][]string
	for _, t := range targets {
		paths = append(paths, candidates(t, string(field))...)
	}
	found, files, err := repo.Written(ctx, env, paths...)
	if err != nil {
		return nil, nil, err
	}
	each := len(paths) / len(targets)
	for i, t := range targets {
		edit, err := t.choose(env, paths[i*each:], found[i*each:])
		if err == nil && edit == nil && t.Runs != "" {
			edit, err = t.ofStack(ctx, repo, env)
		}
		if err != nil {
			return nil, nil, err
		}
		if edit == nil {
			return nil, nil, NoField(ctx, repo, env, t, field)
		}
		if slices.ContainsFunc(edits, func(e *Edit) bool { return e.Path == edit.Path }) {
			return nil, nil, &hint.Error{Err: errors.New(edit.Path + " is named twice"), Hint: "name each app once"}
		}
		edits = append(edits, edit)
	}
	return edits, files, nil
}

// candidates are the paths that choose looks at, in its order.
func candidates(t Target, field string) [][]string {
	return [][]string{
		{"apps", t.Unit, field},
		{"stacks", t.Unit, field},
		{"apps", t.Unit, "sidecars", t.Container, field},
		{"apps", t.Unit, "initContainers", t.Container, field},
		{"apps", t.Unit, "containerName"},
		{"apps", t.Unit, "autoscale"},
	}
}

// choose is the edit of the one candidate that has a value of the right kind; nil
// where none has.
func (t Target) choose(env string, paths [][]string, now []render.Written) (*Edit, error) {
	own, containers, name, autoscale := []int{0, 1}, []int{2, 3}, now[4].Value, now[5].Value
	among := own
	if t.Container != "" && t.Container != name {
		among = containers
	}
	at := slices.IndexFunc(among, func(c int) bool { return sameKind(now[c].Value, t.To) })
	if at < 0 {
		return nil, nil
	}
	if _, text := t.To.(string); !text && autoscale != nil {
		return nil, &hint.Error{
			Err:  fmt.Errorf("app %s has an autoscale, which decides about its replicas", t.Unit),
			Hint: "change autoscale.min or autoscale.max in the source",
		}
	}
	edit := newEdit(env, paths[among[at]], now[among[at]])
	edit.To = t.To
	if t.Runs != "" && edit.From != t.Runs {
		return nil, &hint.Error{
			Err:  fmt.Errorf("%s says %v, and the container %s runs %s", edit.Path, edit.From, t.Container, t.Runs),
			Hint: "a patch or kustomize of the app decides about it: change it there",
		}
	}
	return edit, nil
}

// ofStack is the edit of the field of a stack that gives a container its image: image,
// or another one whose name ends so; nil where none does.
func (t Target) ofStack(ctx context.Context, repo *render.Repo, env string) (*Edit, error) {
	stack, _, err := repo.Written(ctx, env, []string{"stacks", t.Unit})
	if err != nil {
		return nil, err
	}
	fields, _ := stack[0].Value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != t.Runs || !strings.HasSuffix(strings.ToLower(name), "image") {
			continue
		}
		path := []string{"stacks", t.Unit, name}
		found, _, err := repo.Written(ctx, env, path)
		if err != nil {
			return nil, err
		}
		edit := newEdit(env, path, found[0])
		edit.To = t.To
		return edit, nil
	}
	return nil, nil
}

// sameKind says whether a field of this value can be set to another one: a type of
// one's own may call something else its image.
func sameKind(now, to any) bool {
	switch to.(type) {
	case string:
		_, ok := now.(string)
		return ok
	default:
		_, ok := now.(int64)
		return ok
	}
}

// NoField says what there is in place of a unit, or a container, of that name.
func NoField(ctx context.Context, repo *render.Repo, env string, t Target, field Field) error {
	res, err := repo.Render(ctx, env)
	if err != nil {
		return err
	}
	var names []string
	for _, u := range res.Env.Units {
		names = append(names, u.Name)
	}
	switch {
	case !slices.Contains(names, t.Unit):
		return unknownName(fmt.Sprintf("env %s has no app %q", env, t.Unit), t.Unit, names)
	case t.Runs != "":
		return &hint.Error{
			Err:  fmt.Errorf("env %s: no field of %s gives the container %s its image", env, t.Unit, t.Container),
			Hint: "it stands as a whole in extraObjects, a chart or a kustomization: change it there",
		}
	case t.Container != "":
		return &hint.Error{
			Err:  fmt.Errorf("env %s: app %s has no container %q", env, t.Unit, t.Container),
			Hint: "evenkeel render " + env + " --unit " + t.Unit + " shows its containers",
		}
	}
	return &hint.Error{
		Err:  fmt.Errorf("env %s: %s has no %s to set", env, t.Unit, field),
		Hint: "evenkeel explain TYPE shows the fields of a type",
	}
}

// unknownName says what there is in place of a name.
func unknownName(reason, name string, known []string) error {
	if near := typed.Closest(name, known); near != "" {
		return &hint.Error{Err: errors.New(reason), Hint: fmt.Sprintf("did you mean %q?", near)}
	}
	return &hint.Error{Err: errors.New(reason), Hint: "there are: " + strings.Join(known, ", ")}
}

// Images are the images of an environment's apps as edits that change nothing yet, by
// their paths, and the names of the environment's files.
func Images(ctx context.Context, repo *render.Repo, env string) (images map[string]*Edit, files []string, err error) {
	all, _, err := repo.Written(ctx, env, []string{"apps"})
	if err != nil {
		return nil, nil, err
	}
	apps, _ := all[0].Value.(map[string]any)
	var paths [][]string
	for app, fields := range apps {
		paths = append(paths, []string{"apps", app, "image"})
		for _, kind := range []string{"sidecars", "initContainers"} {
			fields, _ := fields.(map[string]any)
			containers, _ := fields[kind].(map[string]any)
			for name := range containers {
				paths = append(paths, []string{"apps", app, kind, name, "image"})
			}
		}
	}
	found, files, err := repo.Written(ctx, env, paths...)
	if err != nil {
		return nil, nil, err
	}
	images = map[string]*Edit{}
	for i, now := range found {
		if sameKind(now.Value, "") {
			images[now.Place.Path] = newEdit(env, paths[i], now)
		}
	}
	return images, files, nil
}

// Promote returns the edits that give the images of one environment to another: of all
// apps, or of those that are named, which both must have. Those that do not differ are
// among them, with To as From.
func Promote(ctx context.Context, repo *render.Repo, from, to string, apps []string) (edits []*Edit, files []string, err error) {
	theirs, _, err := Images(ctx, repo, from)
	if err != nil {
		return nil, nil, err
	}
	ours, files, err := Images(ctx, repo, to)
	if err != nil {
		return nil, nil, err
	}
	for _, app := range apps {
		of := func(e *Edit) bool { return e.Unit == app }
		if !slices.ContainsFunc(slices.Collect(maps.Values(theirs)), of) {
			return nil, nil, NoField(ctx, repo, from, Target{Unit: app}, Image)
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(ours)), of) {
			return nil, nil, NoField(ctx, repo, to, Target{Unit: app}, Image)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(ours)) {
		edit, theirs := ours[key], theirs[key]
		if theirs == nil || theirs.in == "" || len(apps) > 0 && !slices.Contains(apps, edit.Unit) {
			continue // what the definitions give follows from the site, and may differ
		}
		edit.To = theirs.From
		edits = append(edits, edit)
	}
	return edits, files, nil
}
