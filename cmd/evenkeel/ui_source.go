package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/ui"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/internal/source"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// described is a state of the source as the page shows it.
type described struct {
	*global // with the directory of it
	ways    *render.Ways
	names   []string
	wrong   map[string]render.Findings // by environment that cannot be rendered
	urls    map[string][]string        // by environment
	commit  string

	model sync.Mutex // the model reads what CUE evaluated, one at a time
}

// modelling has the models answer.
func (d *described) modelling(ask func()) {
	d.model.Lock()
	defer d.model.Unlock()
	ask()
}

// describe renders environments of the repository, all if none is named.
func (g *global) describe(ctx context.Context, named []string) (*described, error) {
	repo, names, err := g.named(ctx, &selection{all: len(named) == 0}, named)
	if err != nil {
		return nil, err
	}
	ways, wrong, err := g.waysOf(ctx, repo, names)
	if err != nil {
		return nil, err
	}
	g.warn(ways.Warnings)
	commit, dirty, err := checkout.Head(repo.Root())
	if err != nil {
		return nil, err
	}
	urls := map[string][]string{}
	for name, model := range ways.Models {
		for _, row := range model.Table(name) {
			urls[name] = append(urls[name], row.URL)
		}
	}
	return &described{
		global: g, ways: ways, names: names, wrong: wrong, urls: urls,
		commit: record.GitInfo{Commit: commit, Dirty: dirty}.String(),
	}, nil
}

// waysOf models the environments that can be rendered, and says of the others what is
// wrong. It fails where there is none.
func (g *global) waysOf(ctx context.Context, repo *render.Repo, names []string) (*render.Ways, map[string]render.Findings, error) {
	ways, err := repo.Ways(ctx, names)
	all, isWrong := errors.AsType[render.Findings](err)
	if !isWrong {
		return ways, nil, err
	}
	wrong := map[string]render.Findings{}
	for _, f := range all {
		wrong[f.Environment] = append(wrong[f.Environment], f)
	}
	var sound []string
	for _, name := range names {
		if findings, ok := wrong[name]; ok {
			fmt.Fprintf(g.err, "warning: env %s cannot be rendered; the page shows why (errors: %d)\n", name, len(findings))
			continue
		}
		sound = append(sound, name)
	}
	if len(sound) == 0 || len(sound) == len(names) {
		return nil, nil, err
	}
	ways, err = repo.Ways(ctx, sound)
	return ways, wrong, err
}

// fromGit describes what a clone has, at the commit that it returns, even where that
// cannot be shown; "" where there is no clone. What takes too much is found out in another
// process, as this one could not go on. The caller calls done when nobody looks at
// it any more.
func (g *global) fromGit(ctx context.Context, git *remote.Git, named []string) (d *described, commit string, done func(), err error) {
	budget, err := g.budget.budget()
	if err != nil {
		return nil, "", nil, err
	}
	root, at, done, err := source.Checkout(ctx, git, budget)
	if err != nil {
		return nil, "", nil, err
	}
	there := *g
	there.dir = root
	if err = source.Try(ctx, root, named, budget); err != nil {
		done()
		return nil, at.Commit, nil, err
	}
	if d, err = there.describe(ctx, named); err != nil {
		done()
		return nil, at.Commit, nil, err
	}
	d.commit = at.Commit
	return d, at.Commit, done, nil
}

// keptUp keeps what a page shows level with a branch.
type keptUp struct {
	*global
	opts  *uiOptions
	named []string
	log   *slog.Logger
	last  string                         // the commit that was looked at last
	on    func(d *described, older bool) // the branch has moved; older: to what cannot be shown
}

// run looks for a new commit now and then until ctx ends. One that cannot be shown leaves
// what is there.
func (k *keptUp) run(ctx context.Context) {
	var before []func() // the clones that pages may still look at
	defer func() {
		for _, done := range before {
			done()
		}
	}()
	for pause.For(ctx, k.opts.interval) == nil {
		head, err := k.head(ctx)
		if err != nil || head == k.last {
			if err != nil && ctx.Err() == nil {
				k.log.Error("the repository cannot be read", "error", err.Error())
			}
			continue
		}
		d, commit, done, err := k.fromGit(ctx, &k.opts.git, k.named)
		if commit != "" { // else it was not read, and is asked for again
			k.last = commit
		}
		if err == nil && len(d.wrong) > 0 {
			done()
			names := make([]string, 0, len(d.wrong))
			for name := range d.wrong {
				names = append(names, name)
			}
			slices.Sort(names)
			err = fmt.Errorf("cannot be rendered: %s", strings.Join(names, ", "))
		}
		if err != nil {
			if ctx.Err() == nil {
				k.log.Error("the newest commit cannot be shown", "commit", cmp.Or(commit, head), "error", err.Error())
				k.on(nil, true)
			}
			continue
		}
		k.log.Info("shows", "commit", commit)
		k.on(d, false)
		if before = append(before, done); len(before) > 2 {
			before[0]()
			before = before[1:]
		}
	}
}

func (k *keptUp) head(ctx context.Context) (string, error) {
	budget, err := k.budget.budget()
	if err != nil {
		return "", err
	}
	return source.Head(ctx, &k.opts.git, budget)
}

// shown are the environments of a state of the source for a viewer.
func (d *described) shown(w *watched) []ui.Environment {
	var envs []ui.Environment
	for _, name := range d.names {
		if findings, ok := d.wrong[name]; ok {
			envs = append(envs, ui.Environment{Desired: &schema.Environment{Name: name}, Wrong: strings.Split(findings.Error(), "\n")})
			continue
		}
		envs = append(envs, w.environment(name))
	}
	return envs
}
