package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/usergit"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/edit"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
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
		if err := opts.check(); err != nil {
			return err
		}
		if live.given() {
			env, targets, err := live.targets(cmd.Context(), g, args)
			if err != nil {
				return err
			}
			return g.setTargets(cmd.Context(), opts, env, edit.Image, targets)
		}
		if len(args) < 2 {
			return &hint.Error{Err: errors.New("name the environment and the app"), Hint: "evenkeel set image ENV APP=IMAGE"}
		}
		targets, err := targetsOf(args[1:], edit.Image, "IMAGE", func(text string) (any, error) {
			if text == "" {
				return nil, errors.New("no image")
			}
			return text, nil
		})
		if err != nil {
			return err
		}
		return g.setTargets(cmd.Context(), opts, args[0], edit.Image, targets)
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
		if err := opts.check(); err != nil {
			return err
		}
		targets, err := targetsOf(args[1:], edit.Replicas, "N", func(text string) (any, error) {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("%q is not a number of replicas", text)
			}
			return n, nil
		})
		if err != nil {
			return err
		}
		return g.setTargets(cmd.Context(), opts, args[0], edit.Replicas, targets)
	}
	return cmd
}

type setOptions struct {
	dryRun       bool
	commit, push bool
	branch       string // to commit to and to push, in place of the one that is checked out
	message      string
	flags        *pflag.FlagSet
	because      []string // why a guard was overridden: further paragraphs of the message
}

func (o *setOptions) add(g *global, cmd *cobra.Command) {
	g.addOutput(cmd, "text", "json")
	flags := cmd.Flags()
	o.flags = flags
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the edit as a patch and change nothing")
	flags.BoolVar(&o.commit, "commit", false, "commit the changed files, and nothing else, with git")
	flags.BoolVar(&o.push, "push", false, "commit, and push the branch that is checked out")
	flags.StringVar(&o.branch, "branch", "", "commit to a new branch of this name and push it for a pull request; what is checked out stays as it is")
	flags.StringVarP(&o.message, "message", "m", "", "the message of the commit; without it what was set")
	for _, other := range []string{"commit", "push", "branch", "output"} {
		cmd.MarkFlagsMutuallyExclusive("dry-run", other)
	}
	for _, other := range []string{"commit", "push"} {
		cmd.MarkFlagsMutuallyExclusive("branch", other)
	}
}

// commits says whether git is asked at all.
func (o *setOptions) commits() bool { return o.commit || o.push || o.branch != "" }

// check refuses a message that nothing would carry, and a branch without a name, as of a
// variable that is not set.
func (o *setOptions) check() error {
	if o.flags.Changed("branch") && o.branch == "" {
		return &hint.Error{Err: errors.New("--branch has no name"), Hint: "such as release/shop-1.4.2"}
	}
	if o.message != "" && !o.commits() {
		return &hint.Error{Err: errors.New("--message without a commit"), Hint: "add --commit, --push or --branch"}
	}
	return nil
}

// targetsOf reads APP[/CONTAINER]=VALUE.
func targetsOf(args []string, field edit.Field, what string, parse func(string) (any, error)) ([]edit.Target, error) {
	var targets []edit.Target
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		t := edit.Target{}
		t.Unit, t.Container, _ = strings.Cut(name, "/")
		help := fmt.Sprintf("evenkeel set %s ENV APP=%s", field, what)
		if !ok || t.Unit == "" || t.Container != "" && field != edit.Image {
			return nil, &hint.Error{Err: fmt.Errorf("%q is not APP=%s", arg, what), Hint: help}
		}
		var err error
		if t.To, err = parse(text); err != nil {
			return nil, &hint.Error{Err: fmt.Errorf("%s: %w", arg, err), Hint: help}
		}
		targets = append(targets, t)
	}
	return targets, nil
}

func (g *global) setTargets(ctx context.Context, opts *setOptions, env string, field edit.Field, targets []edit.Target) error {
	repo, at, err := g.source(ctx, env)
	if err != nil {
		return err
	}
	edits, files, err := edit.Find(ctx, repo, at.Name, field, targets)
	if err != nil {
		return err
	}
	said := make([]string, len(targets))
	for i, t := range targets {
		said[i] = t.String()
	}
	return g.set(ctx, repo, at, files, edits, opts, fmt.Sprintf("%s: set %s of %s", at.Name, field, strings.Join(said, ", ")))
}

// set writes edits into the files of an environment, all or none.
func (g *global) set(ctx context.Context, repo *render.Repo, at render.Summary, names []string, edits []*edit.Edit, opts *setOptions, message string) error {
	before, after, err := edit.Prepare(repo, at, names, edits)
	if err != nil {
		return err
	}
	if opts.dryRun {
		return g.printPatch(before, after)
	}
	if opts.message != "" {
		message = opts.message
	}
	message = strings.Join(append([]string{message}, opts.because...), "\n\n")
	if err := g.write(ctx, repo, at.Name, after, edits, opts, message); err != nil {
		return err
	}
	return g.printEdits(edits)
}

func (g *global) printPatch(before, after []scaffold.File) error {
	for _, f := range after {
		i := slices.IndexFunc(before, func(old scaffold.File) bool { return old.Name == f.Name })
		fmt.Fprint(g.out, udiff.Unified("a/"+f.Name, "b/"+f.Name, string(before[i].Data), string(f.Data)))
	}
	return nil
}

// write changes the files and commits them where that is asked for, on a branch of
// their own or on what is checked out. A commit that git refuses takes the change back;
// a push that it refuses does not, as the commit is there, and can be pushed later.
func (g *global) write(ctx context.Context, repo *render.Repo, env string, files []scaffold.File, edits []*edit.Edit, opts *setOptions, message string) error {
	commit := usergit.Files{Root: repo.Root(), Say: func(text string) { fmt.Fprintln(g.err, text) }}
	for _, f := range files {
		commit.Names = append(commit.Names, f.Name)
	}
	if opts.commits() {
		if err := commit.Open(ctx); err != nil {
			return err
		}
	}
	if opts.push {
		if err := commit.OnBranch(ctx); err != nil {
			return err
		}
	}
	if len(files) == 0 && opts.branch != "" {
		fmt.Fprintf(g.err, "nothing to commit: there is no branch %s\n", opts.branch)
	}
	if len(files) > 0 {
		if err := g.commit(ctx, repo, env, files, edits, opts, commit, message); err != nil {
			return err
		}
	}
	if opts.push {
		return commit.Push(ctx)
	}
	return nil
}

// commit changes the files, looks whether they say what was set, and commits them.
func (g *global) commit(ctx context.Context, repo *render.Repo, env string, files []scaffold.File, edits []*edit.Edit, opts *setOptions, commit usergit.Files, message string) (err error) {
	if opts.commits() {
		if err := commit.Clean(ctx); err != nil {
			return err
		}
	}
	committed := false
	if opts.branch != "" {
		back, refused := commit.Branch(ctx, opts.branch)
		if refused != nil {
			return refused
		}
		defer func() { err = errors.Join(err, back(!committed)) }()
	}
	undo, err := g.change(ctx, repo, files)
	if err != nil {
		return err
	}
	err = g.verify(ctx, env, edits)
	if err == nil && opts.commits() {
		err = commit.Commit(ctx, message)
	}
	if err != nil {
		return errors.Join(err, undo())
	}
	committed = true
	if opts.branch != "" {
		return commit.PushBranch(ctx, opts.branch)
	}
	return nil
}

// verify looks whether the repository, as it is now, says what was set.
func (g *global) verify(ctx context.Context, env string, edits []*edit.Edit) error {
	repo, err := g.repo()
	if err != nil {
		return err
	}
	return edit.Verify(ctx, repo, env, edits)
}

func (g *global) printEdits(edits []*edit.Edit) error {
	if g.output == "json" {
		if edits == nil {
			edits = []*edit.Edit{}
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
