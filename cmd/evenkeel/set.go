package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/literal"
	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

func newSetCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Change an image or a number of replicas in the source",
		Long: `Change the image or the replicas of an app where the source says them. Only the
literal changes: comments and layout stay. What the source does not say yet is
written behind the other fields of the app. The result is checked; what does not
pass is taken back. The cluster is not touched: apply does that.`,
		Example: `  evenkeel set image prod shop=harbor.example.com/app/shop:1.4.2 --commit --push
  evenkeel set replicas prod shop=4
  git diff`,
	}
	cmd.AddCommand(newSetImageCmd(g), newSetReplicasCmd(g))
	return cmd
}

func newSetImageCmd(g *global) *cobra.Command {
	opts := &setOptions{}
	cmd := &cobra.Command{
		Use:   "image ENV APP[/CONTAINER]=IMAGE...",
		Short: "Change the image of an app in the source",
		Long: `Change the image of an app, or of a stack, where the source says it. CONTAINER is
one of its sidecars or init containers. What is computed, set in several places, or
stands in a file that other environments read is refused, with its place.`,
		Example: `  evenkeel set image dev shop=harbor.example.com/app/shop:1.4.2
  evenkeel set image prod shop=harbor.example.com/app/shop:1.4.2 user=harbor.example.com/app/user:2.0.1 --commit
  evenkeel set image prod shop/proxy=harbor.example.com/infra/proxy:3 --dry-run`,
		Args:              usageArgs(cobra.MinimumNArgs(2), "name the environment and the app: evenkeel set image ENV APP=IMAGE"),
		ValidArgsFunction: g.completeEnvs,
	}
	opts.add(g, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runSet(cmd.Context(), g, opts, args, "image", "IMAGE", func(text string) (any, error) {
			if text == "" {
				return nil, errors.New("no image")
			}
			return text, nil
		})
	}
	return cmd
}

func newSetReplicasCmd(g *global) *cobra.Command {
	opts := &setOptions{}
	cmd := &cobra.Command{
		Use:   "replicas ENV APP=N...",
		Short: "Change the replicas of an app in the source",
		Long: `Change how many pods an app has where the source says it. An app with an autoscale
is refused: that decides. For a while, past git: evenkeel scale.`,
		Example: `  evenkeel set replicas prod shop=4
  evenkeel set replicas prod shop=4 user=3 --commit -m "more pods before the sale"
  evenkeel set replicas prod shop=4 --dry-run`,
		Args:              usageArgs(cobra.MinimumNArgs(2), "name the environment and the app: evenkeel set replicas ENV APP=N"),
		ValidArgsFunction: g.completeEnvs,
	}
	opts.add(g, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runSet(cmd.Context(), g, opts, args, "replicas", "N", func(text string) (any, error) {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("%q is no number of replicas", text)
			}
			return n, nil
		})
	}
	return cmd
}

func newPromoteCmd(g *global) *cobra.Command {
	opts := &setOptions{}
	cmd := &cobra.Command{
		Use:   "promote FROM TO [APP...]",
		Short: "Give an environment the images of another one, in the source",
		Long: `Give the apps of an environment the images that the apps of the same names have in
another one: all that differ, or the named ones. It is evenkeel set image for each.`,
		Example: `  evenkeel promote test pre
  evenkeel promote pre prod shop user --commit --push
  evenkeel promote test pre --dry-run`,
		Args:              usageArgs(cobra.MinimumNArgs(2), "name two environments: evenkeel promote FROM TO [APP...]"),
		ValidArgsFunction: g.completeEnvs,
	}
	opts.add(g, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runPromote(cmd.Context(), g, opts, args[0], args[1], args[2:])
	}
	return cmd
}

type setOptions struct {
	dryRun       bool
	commit, push bool
	message      string
}

func (o *setOptions) add(g *global, cmd *cobra.Command) {
	g.addOutput(cmd, "text", "json")
	flags := cmd.Flags()
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the edit as a patch and change nothing")
	flags.BoolVar(&o.commit, "commit", false, "commit the changed files, and nothing else, with git")
	flags.BoolVar(&o.push, "push", false, "commit, and push the branch that is checked out")
	flags.StringVarP(&o.message, "message", "m", "", "the message of the commit; without it what was set")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "commit")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "push")
}

// fieldEdit is one field of the source that was set.
type fieldEdit struct {
	Environment string `json:"environment"`
	Unit        string `json:"unit"`
	Path        string `json:"path"` // below the environment
	From        any    `json:"from"`
	To          any    `json:"to"`
	Changed     bool   `json:"changed"`
	File        string `json:"file,omitempty"`
	Line        int    `json:"line,omitempty"`
	Col         int    `json:"col,omitempty"`

	path []string
}

func runSet(ctx context.Context, g *global, opts *setOptions, args []string, field, what string, parse func(string) (any, error)) error {
	repo, at, err := g.source(ctx, args[0])
	if err != nil {
		return err
	}
	var edits []*fieldEdit
	for _, arg := range args[1:] {
		target, text, ok := strings.Cut(arg, "=")
		unit, container, _ := strings.Cut(target, "/")
		if !ok || unit == "" || container != "" && field != "image" {
			return &usageError{err: fmt.Errorf("%q is not APP=%s", arg, what), hint: "evenkeel set " + field + " ENV APP=" + what}
		}
		to, err := parse(text)
		if err != nil {
			return &usageError{err: fmt.Errorf("%s: %w", arg, err), hint: "evenkeel set " + field + " ENV APP=" + what}
		}
		edit, err := findField(ctx, repo, at.Name, unit, container, field)
		if err != nil {
			return err
		}
		edit.To = to
		edits = append(edits, edit)
	}
	return g.set(ctx, repo, at, edits, opts, fmt.Sprintf("%s: set %s of %s", at.Name, field, strings.Join(args[1:], ", ")))
}

// findField is the field of a unit that is meant, as it is now.
func findField(ctx context.Context, repo *render.Repo, env, unit, container, field string) (*fieldEdit, error) {
	var paths [][]string
	for _, group := range []string{"apps", "stacks"} {
		paths = append(paths, []string{group, unit, field})
	}
	paths = append(paths, []string{"apps", unit, "autoscale"}, []string{"apps", unit, "containerName"})
	for _, kind := range []string{"sidecars", "initContainers"} {
		paths = append(paths, []string{"apps", unit, kind, container, field})
	}
	found, err := repo.Written(ctx, env, paths...)
	if err != nil {
		return nil, err
	}
	autoscale, main := found[2].Value, found[3].Value
	candidates := []int{0, 1}
	if container != "" && container != main {
		candidates = []int{4, 5}
	}
	for _, i := range candidates {
		if found[i].Value == nil {
			continue
		}
		if field == "replicas" && autoscale != nil {
			return nil, &usageError{err: fmt.Errorf("app %s has an autoscale, which decides about its replicas", unit), hint: "change autoscale.min or autoscale.max in the source"}
		}
		return &fieldEdit{
			Environment: env, Unit: unit, Path: found[i].Place.Path, From: found[i].Value, path: paths[i],
			File: found[i].Place.File, Line: found[i].Place.Line, Col: found[i].Place.Col,
		}, nil
	}
	return nil, noField(ctx, repo, env, unit, container, field)
}

// noField says what there is in place of a unit, or a container, of that name.
func noField(ctx context.Context, repo *render.Repo, env, unit, container, field string) error {
	res, err := repo.Render(ctx, env)
	if err != nil {
		return err
	}
	var names []string
	for _, u := range res.Env.Units {
		names = append(names, u.Name)
	}
	err = fmt.Errorf("env %s: %s has no %s to set", env, unit, field)
	if !slices.Contains(names, unit) {
		err = fmt.Errorf("env %s has no app %q", env, unit)
		if near := typed.Closest(unit, names); near != "" {
			return &usageError{err: err, hint: fmt.Sprintf("did you mean %q?", near)}
		}
		return &usageError{err: err, hint: "there are: " + strings.Join(names, ", ")}
	}
	if container != "" {
		err = fmt.Errorf("env %s: app %s has no container %q", env, unit, container)
	}
	return &usageError{err: err, hint: "evenkeel render " + env + " --unit " + unit + " shows its containers"}
}

func runPromote(ctx context.Context, g *global, opts *setOptions, from, to string, apps []string) error {
	repo, at, err := g.source(ctx, to)
	if err != nil {
		return err
	}
	if from == to {
		return &usageError{err: fmt.Errorf("%s is to be given its own images", to), hint: "evenkeel promote FROM TO"}
	}
	theirs, err := imagesOf(ctx, repo, from)
	if err != nil {
		return err
	}
	ours, err := imagesOf(ctx, repo, to)
	if err != nil {
		return err
	}
	for _, app := range apps {
		for env, images := range map[string]map[string]*fieldEdit{from: theirs, to: ours} {
			if !slices.ContainsFunc(slices.Collect(maps.Values(images)), func(e *fieldEdit) bool { return e.Unit == app }) {
				return noField(ctx, repo, env, app, "", "image")
			}
		}
	}
	var edits []*fieldEdit
	for _, key := range slices.Sorted(maps.Keys(ours)) {
		edit, theirs := ours[key], theirs[key]
		if theirs == nil || len(apps) > 0 && !slices.Contains(apps, edit.Unit) {
			continue
		}
		if edit.To = theirs.From; edit.To != edit.From {
			edits = append(edits, edit)
		}
	}
	if len(edits) == 0 {
		fmt.Fprintf(g.err, "the apps of %s have the images of %s already\n", to, from)
	}
	message := fmt.Sprintf("%s: the images of %s", to, from)
	if len(apps) > 0 {
		message += " for " + strings.Join(apps, ", ")
	}
	return g.set(ctx, repo, at, edits, opts, message)
}

// imagesOf are the images of an environment's apps, by their paths.
func imagesOf(ctx context.Context, repo *render.Repo, env string) (map[string]*fieldEdit, error) {
	all, err := repo.Written(ctx, env, []string{"apps"})
	if err != nil {
		return nil, err
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
	found, err := repo.Written(ctx, env, paths...)
	if err != nil {
		return nil, err
	}
	images := map[string]*fieldEdit{}
	for i, w := range found {
		if w.Value == nil {
			continue // a type without an image, such as Objects
		}
		images[w.Place.Path] = &fieldEdit{
			Environment: env, Unit: paths[i][1], Path: w.Place.Path, From: w.Value, path: paths[i],
			File: w.Place.File, Line: w.Place.Line, Col: w.Place.Col,
		}
	}
	return images, nil
}

// set writes edits into the files of an environment, all or none.
func (g *global) set(ctx context.Context, repo *render.Repo, at render.Summary, edits []*fieldEdit, opts *setOptions, message string) error {
	files, err := scaffold.ReadPackage(repo.Root(), at.Dir)
	if err != nil {
		return err
	}
	var settings []scaffold.Setting
	for _, e := range edits {
		if e.Changed = e.From != e.To; !e.Changed {
			continue
		}
		if err := settable(files, e, at); err != nil {
			return err
		}
		value := fmt.Sprint(e.To)
		if text, ok := e.To.(string); ok {
			value = literal.String.Quote(text)
		}
		settings = append(settings, scaffold.Setting{Path: e.path, Value: value})
	}
	changed, err := scaffold.Set(files, settings)
	if err != nil {
		return err
	}
	if opts.dryRun {
		return g.printPatch(files, changed)
	}
	if err := g.write(ctx, repo, changed, opts, message); err != nil {
		return err
	}
	return g.printEdits(ctx, at.Name, edits)
}

// settable refuses what the environment's files do not say as one literal.
func settable(files []scaffold.File, e *fieldEdit, at render.Summary) error {
	is, err := scaffold.Literal(files, e.path)
	if err != nil || is || e.File == "" {
		return err
	}
	place := fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Col)
	if slices.ContainsFunc(files, func(f scaffold.File) bool {
		return path.Base(f.Name) == path.Base(e.File) && strings.HasSuffix(e.File, f.Name)
	}) {
		return scaffold.NotSettable{Path: e.path, Places: []string{place}}
	}
	return &usageError{
		err:  fmt.Errorf("%s: %s is set there, outside of %s", place, e.Path, at.Dir),
		hint: "other environments may read that file: change it by hand",
	}
}

func (g *global) printPatch(before, after []scaffold.File) error {
	for _, f := range after {
		i := slices.IndexFunc(before, func(old scaffold.File) bool { return old.Name == f.Name })
		fmt.Fprint(g.out, udiff.Unified("a/"+f.Name, "b/"+f.Name, string(before[i].Data), string(f.Data)))
	}
	return nil
}

// write changes the files and commits them where that is asked for. A commit that
// git refuses takes the change back; a push that it refuses does not, as the commit
// is there.
func (g *global) write(ctx context.Context, repo *render.Repo, files []scaffold.File, opts *setOptions, message string) error {
	if len(files) == 0 {
		return nil
	}
	commit := gitFiles{root: repo.Root(), err: g.err}
	for _, f := range files {
		commit.names = append(commit.names, f.Name)
	}
	if opts.commit || opts.push {
		if err := commit.clean(ctx); err != nil {
			return err
		}
	}
	undo, err := g.change(ctx, repo, files)
	if err != nil || !opts.commit && !opts.push {
		return err
	}
	if opts.message != "" {
		message = opts.message
	}
	if err := commit.commit(ctx, message); err != nil {
		return errors.Join(err, undo())
	}
	if opts.push {
		return commit.push(ctx)
	}
	return nil
}

func (g *global) printEdits(ctx context.Context, env string, edits []*fieldEdit) error {
	repo, err := g.repo() // as it is now
	if err != nil {
		return err
	}
	var paths [][]string
	for _, e := range edits {
		paths = append(paths, e.path)
	}
	now, err := repo.Written(ctx, env, paths...)
	if err != nil {
		return err
	}
	for i, e := range edits {
		e.File, e.Line, e.Col = now[i].Place.File, now[i].Place.Line, now[i].Place.Col
	}
	if g.output == "json" {
		if edits == nil {
			edits = []*fieldEdit{}
		}
		return writeJSON(g.out, edits)
	}
	for _, e := range edits {
		if !e.Changed {
			fmt.Fprintf(g.out, "%s is %v already\n", e.Path, e.To)
			continue
		}
		fmt.Fprintf(g.out, "%s:%d:%d: %s: %v -> %v\n", e.File, e.Line, e.Col, e.Path, e.From, e.To)
	}
	return nil
}
