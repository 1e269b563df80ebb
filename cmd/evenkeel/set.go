package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cuelang.org/go/cue/literal"
	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/internal/usergit"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
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
	var live liveNames
	cmd := &cobra.Command{
		Use:   "image ENV APP[/CONTAINER]=IMAGE...",
		Short: "Change the image of an app in the source",
		Long: `Change the image of an app, or of a stack, where the source says it. CONTAINER is
one of its sidecars or init containers. What is computed, set in several places, or
stands in a file that other environments read is refused, with its place.

A pipeline that knows the names of the cluster only gives these: --namespace,
--deployment and --container, as they are rendered. ENV may be left out where one
environment alone has that Deployment.`,
		Example: `  evenkeel set image dev shop=harbor.example.com/app/shop:1.4.2
  evenkeel set image prod shop=harbor.example.com/app/shop:1.4.2 user=harbor.example.com/app/user:2.0.1 --commit
  evenkeel set image prod shop/proxy=harbor.example.com/infra/proxy:3 --dry-run
  evenkeel set image --namespace prod --deployment shop --container shop=harbor.example.com/app/shop:1.4.2 --push`,
		ValidArgsFunction: g.completeEnvs,
	}
	opts.add(g, cmd)
	live.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args, err := live.args(cmd.Context(), g, args)
		if err != nil {
			return err
		}
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
	opts := &promoteOptions{}
	cmd := &cobra.Command{
		Use:   "promote FROM TO [APP...]",
		Short: "Give an environment the images of another one, in the source",
		Long: `Give the apps of an environment the images that the apps of the same names have in
another one: all that differ, or the named ones. It is evenkeel set image for each.

An environment in a freeze takes no new images: exit code 4.

Where the environment says promotion: {from, soak}, FROM must be that environment,
and its history must show that each image was healthy there for that time. The
cluster of FROM is asked; --unproven REASON goes past it.`,
		Example: `  evenkeel promote test pre
  evenkeel promote pre prod shop user --commit --push
  evenkeel promote test pre --dry-run`,
		Args:              usageArgs(cobra.MinimumNArgs(2), "name two environments: evenkeel promote FROM TO [APP...]"),
		ValidArgsFunction: g.completeEnvs,
	}
	opts.add(g, cmd)
	cmd.Flags().StringVar(&opts.unproven, "unproven", "", "promote what was not healthy in FROM for long enough, for this REASON, which the message of the commit says")
	cmd.Flags().StringVar(&opts.despiteFreeze, "despite-freeze", "", "promote in a freeze, for this REASON, which the message of the commit says")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runPromote(cmd.Context(), g, opts, args[0], args[1], args[2:])
	}
	return cmd
}

type setOptions struct {
	dryRun       bool
	commit, push bool
	message      string
	because      []string // why a guard was overridden: further paragraphs of the message
}

type promoteOptions struct {
	setOptions
	unproven      string
	despiteFreeze string
}

func (o *setOptions) add(g *global, cmd *cobra.Command) {
	g.addOutput(cmd, "text", "json")
	flags := cmd.Flags()
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the edit as a patch and change nothing")
	flags.BoolVar(&o.commit, "commit", false, "commit the changed files, and nothing else, with git")
	flags.BoolVar(&o.push, "push", false, "commit, and push the branch that is checked out")
	flags.StringVarP(&o.message, "message", "m", "", "the message of the commit; without it what was set")
	for _, other := range []string{"commit", "push", "output"} {
		cmd.MarkFlagsMutuallyExclusive("dry-run", other)
	}
}

// check refuses a message that nothing would carry.
func (o *setOptions) check() error {
	if o.message != "" && !o.commit && !o.push {
		return &usageError{err: errors.New("--message without a commit"), hint: "add --commit or --push"}
	}
	return nil
}

// fieldEdit is one field of the source that is set.
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
	in   string // the file from the root, empty where the user's files do not give it
}

func newFieldEdit(env string, path []string, now render.Written) *fieldEdit {
	return &fieldEdit{
		Environment: env, Unit: path[1], Path: now.Place.Path, From: now.Value, path: path,
		File: now.Place.File, Line: now.Place.Line, Col: now.Place.Col, in: now.File,
	}
}

// setTarget is APP[/CONTAINER]=VALUE.
type setTarget struct {
	unit, container string
	to              any
}

func runSet(ctx context.Context, g *global, opts *setOptions, args []string, field, what string, parse func(string) (any, error)) error {
	if err := opts.check(); err != nil {
		return err
	}
	var targets []setTarget
	for _, arg := range args[1:] {
		name, text, ok := strings.Cut(arg, "=")
		t := setTarget{}
		t.unit, t.container, _ = strings.Cut(name, "/")
		if !ok || t.unit == "" || t.container != "" && field != "image" {
			return &usageError{err: fmt.Errorf("%q is not APP=%s", arg, what), hint: "evenkeel set " + field + " ENV APP=" + what}
		}
		var err error
		if t.to, err = parse(text); err != nil {
			return &usageError{err: fmt.Errorf("%s: %w", arg, err), hint: "evenkeel set " + field + " ENV APP=" + what}
		}
		targets = append(targets, t)
	}
	repo, at, err := g.source(ctx, args[0])
	if err != nil {
		return err
	}
	edits, files, err := findFields(ctx, repo, at.Name, field, targets)
	if err != nil {
		return err
	}
	return g.set(ctx, repo, at, files, edits, opts, fmt.Sprintf("%s: set %s of %s", at.Name, field, strings.Join(args[1:], ", ")))
}

// findFields are the fields that are meant, as they are now.
func findFields(ctx context.Context, repo *render.Repo, env, field string, targets []setTarget) (edits []*fieldEdit, files []string, err error) {
	var paths [][]string
	for _, t := range targets {
		paths = append(paths,
			[]string{"apps", t.unit, field}, []string{"stacks", t.unit, field},
			[]string{"apps", t.unit, "sidecars", t.container, field}, []string{"apps", t.unit, "initContainers", t.container, field},
			[]string{"apps", t.unit, "containerName"}, []string{"apps", t.unit, "autoscale"},
		)
	}
	found, files, err := repo.Written(ctx, env, paths...)
	if err != nil {
		return nil, nil, err
	}
	each := len(paths) / len(targets)
	for i, t := range targets {
		now, paths := found[i*each:], paths[i*each:]
		candidates := []int{0, 1}
		if t.container != "" && t.container != now[4].Value {
			candidates = []int{2, 3}
		}
		at := slices.IndexFunc(candidates, func(c int) bool { return sameKind(now[c].Value, t.to) })
		if at < 0 {
			return nil, nil, noField(ctx, repo, env, t, field)
		}
		if field == "replicas" && now[5].Value != nil {
			return nil, nil, &usageError{err: fmt.Errorf("app %s has an autoscale, which decides about its replicas", t.unit), hint: "change autoscale.min or autoscale.max in the source"}
		}
		edit := newFieldEdit(env, paths[candidates[at]], now[candidates[at]])
		edit.To = t.to
		if slices.ContainsFunc(edits, func(e *fieldEdit) bool { return e.Path == edit.Path }) {
			return nil, nil, &usageError{err: fmt.Errorf("%s is named twice", edit.Path), hint: "name each app once"}
		}
		edits = append(edits, edit)
	}
	return edits, files, nil
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

// noField says what there is in place of a unit, or a container, of that name.
func noField(ctx context.Context, repo *render.Repo, env string, t setTarget, field string) error {
	res, err := repo.Render(ctx, env)
	if err != nil {
		return err
	}
	var names []string
	for _, u := range res.Env.Units {
		names = append(names, u.Name)
	}
	switch near := typed.Closest(t.unit, names); {
	case !slices.Contains(names, t.unit) && near != "":
		return &usageError{err: fmt.Errorf("env %s has no app %q", env, t.unit), hint: fmt.Sprintf("did you mean %q?", near)}
	case !slices.Contains(names, t.unit):
		return &usageError{err: fmt.Errorf("env %s has no app %q", env, t.unit), hint: "there are: " + strings.Join(names, ", ")}
	case t.container != "":
		return &usageError{
			err:  fmt.Errorf("env %s: app %s has no container %q", env, t.unit, t.container),
			hint: "evenkeel render " + env + " --unit " + t.unit + " shows its containers",
		}
	}
	return &usageError{err: fmt.Errorf("env %s: %s has no %s to set", env, t.unit, field), hint: "evenkeel explain TYPE shows the fields of a type"}
}

func runPromote(ctx context.Context, g *global, opts *promoteOptions, from, to string, apps []string) error {
	if err := opts.check(); err != nil {
		return err
	}
	if from == to {
		return &usageError{err: fmt.Errorf("%s is to be given its own images", to), hint: "evenkeel promote FROM TO"}
	}
	repo, at, err := g.source(ctx, to)
	if err != nil {
		return err
	}
	frozen := schema.Environment{Freezes: at.Freezes}
	if f, until, is := frozen.Frozen(time.Now()); is && opts.despiteFreeze == "" {
		return apply.Frozen(to, f, until)
	}
	theirs, _, err := imagesOf(ctx, repo, from)
	if err != nil {
		return err
	}
	ours, files, err := imagesOf(ctx, repo, to)
	if err != nil {
		return err
	}
	for _, app := range apps {
		for _, side := range []struct {
			env    string
			images map[string]*fieldEdit
		}{{from, theirs}, {to, ours}} {
			if !slices.ContainsFunc(slices.Collect(maps.Values(side.images)), func(e *fieldEdit) bool { return e.Unit == app }) {
				return noField(ctx, repo, side.env, setTarget{unit: app}, "image")
			}
		}
	}
	var edits []*fieldEdit
	for _, key := range slices.Sorted(maps.Keys(ours)) {
		edit, theirs := ours[key], theirs[key]
		if theirs == nil || theirs.in == "" || len(apps) > 0 && !slices.Contains(apps, edit.Unit) {
			continue // what the definitions give follows from the site, and may differ
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
	if err := g.proven(ctx, at, from, edits, opts); err != nil {
		return err
	}
	if opts.despiteFreeze != "" {
		opts.because = append(opts.because, "despite the freeze: "+opts.despiteFreeze)
	}
	return g.set(ctx, repo, at, files, edits, &opts.setOptions, message)
}

// imagesOf are the images of an environment's apps, by their paths.
func imagesOf(ctx context.Context, repo *render.Repo, env string) (images map[string]*fieldEdit, files []string, err error) {
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
	images = map[string]*fieldEdit{}
	for i, now := range found {
		if sameKind(now.Value, "") {
			images[now.Place.Path] = newFieldEdit(env, paths[i], now)
		}
	}
	return images, files, nil
}

// set writes edits into the files of an environment, all or none.
func (g *global) set(ctx context.Context, repo *render.Repo, at render.Summary, names []string, edits []*fieldEdit, opts *setOptions, message string) error {
	files, err := scaffold.ReadFiles(repo.Files(), names)
	if err != nil {
		return err
	}
	paths := make([][]string, len(edits))
	for i, e := range edits {
		paths[i] = e.path
	}
	is, wrong, err := scaffold.Literals(files, paths)
	if err != nil {
		return err
	}
	var settings []scaffold.Setting
	for i, e := range edits {
		if e.Changed = e.From != e.To; !e.Changed {
			continue
		}
		if err := e.settable(files, at, is[i], wrong[i]); err != nil {
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
	if opts.message != "" {
		message = opts.message
	}
	message = strings.Join(append([]string{message}, opts.because...), "\n\n")
	if err := g.write(ctx, repo, at.Name, changed, edits, opts, message); err != nil {
		return err
	}
	return g.printEdits(edits)
}

// settable refuses what the environment's files do not say as one literal.
func (e *fieldEdit) settable(files []scaffold.File, at render.Summary, is bool, err error) error {
	wrong, refused := errors.AsType[scaffold.NotSettable](err)
	switch place := fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Col); {
	case refused && len(wrong.Places) > 1:
		return err
	case refused, !is && slices.ContainsFunc(files, func(f scaffold.File) bool { return f.Name == e.in }):
		return scaffold.NotSettable{Path: e.path, Places: []string{place}}
	case !is && e.in != "":
		return &usageError{
			err:  fmt.Errorf("%s: %s is set there, outside of %s", place, e.Path, at.Dir),
			hint: "other environments may read that file: change it by hand",
		}
	}
	return nil
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
// is there, and the same command pushes it later.
func (g *global) write(ctx context.Context, repo *render.Repo, env string, files []scaffold.File, edits []*fieldEdit, opts *setOptions, message string) error {
	commit := usergit.Files{Root: repo.Root(), Say: func(text string) { fmt.Fprintln(g.err, text) }}
	for _, f := range files {
		commit.Names = append(commit.Names, f.Name)
	}
	if opts.commit || opts.push {
		if err := commit.Open(ctx); err != nil {
			return err
		}
	}
	if opts.push {
		if err := commit.OnBranch(ctx); err != nil {
			return err
		}
	}
	if len(files) > 0 {
		if opts.commit || opts.push {
			if err := commit.Clean(ctx); err != nil {
				return err
			}
		}
		undo, err := g.change(ctx, repo, files)
		if err != nil {
			return err
		}
		err = g.verify(ctx, env, edits)
		if err == nil && (opts.commit || opts.push) {
			err = commit.Commit(ctx, message)
		}
		if err != nil {
			return errors.Join(err, undo())
		}
	}
	if opts.push {
		return commit.Push(ctx)
	}
	return nil
}

// verify looks whether the fields are what they were set to, and where they stand
// now.
func (g *global) verify(ctx context.Context, env string, edits []*fieldEdit) error {
	repo, err := g.repo() // as it is now
	if err != nil {
		return err
	}
	var paths [][]string
	for _, e := range edits {
		paths = append(paths, e.path)
	}
	now, _, err := repo.Written(ctx, env, paths...)
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

func (g *global) printEdits(edits []*fieldEdit) error {
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
