package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// diffAgainst shows how the manifests of environments differ from those at a git
// reference. No cluster is asked. Of all environments only those that differ are
// shown.
func diffAgainst(ctx context.Context, g *global, opts *diffOptions, args []string) error {
	now, err := g.repo()
	if err != nil {
		return err
	}
	then, err := g.budgeted(render.OpenGit(g.dir, opts.against))
	if err != nil {
		return err
	}
	names, err := opts.namesInEither(ctx, now, then, args)
	if err != nil {
		return err
	}
	after, err := renderPresent(ctx, now, names)
	if err != nil {
		return err
	}
	before, broken, err := renderSound(ctx, then, names)
	if err != nil {
		return err
	}
	plans := []*apply.Plan{}
	for _, name := range names {
		was, is := environmentOf(before[name]), environmentOf(after[name])
		if err := checkUnits(opts.units, is, was); err != nil {
			return err
		}
		plan := apply.Compare(onlyUnits(was, opts.units), onlyUnits(is, opts.units))
		if len(opts.units) == 0 {
			plan.Reach = reach(before[name], after[name], name)
		}
		if slices.Contains(broken, name) {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("it does not render at %s, so all of it is shown as created", opts.against))
		}
		if !opts.all || plan.Differs(false) || len(plan.Reach) > 0 {
			plans = append(plans, plan)
		}
	}
	if len(plans) == 0 {
		fmt.Fprintf(g.err, "no environment renders differently than at %s\n", opts.against)
	}
	return g.printDiff(ctx, plans, opts, opts.against)
}

func environmentOf(r *render.Result) *schema.Environment {
	if r == nil {
		return nil
	}
	return r.Env
}

// reach says how the answers to the URLs of an environment differ.
func reach(before, after *render.Result, name string) []apply.Reach {
	model := func(r *render.Result) *way.Model {
		if r == nil {
			return nil
		}
		return r.Way()
	}
	var all []apply.Reach
	for _, c := range way.Compare(model(before), model(after), name) {
		all = append(all, apply.Reach{What: c.What, Subject: c.URL, Says: c.Says})
	}
	return all
}

// namesInEither returns the environments that the arguments name, or all that one
// of two trees has: those of now in apply order, then those that are gone.
func (s *selection) namesInEither(ctx context.Context, now, then *render.Repo, args []string) ([]string, error) {
	names, err := s.names(ctx, now, args)
	if err != nil {
		return nil, err
	}
	here, err := now.Envs(ctx)
	if err != nil {
		return nil, err
	}
	there, err := then.Envs(ctx)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, e := range slices.Concat(here, there) {
		if !slices.Contains(known, e.Name) {
			known = append(known, e.Name)
		}
	}
	if s.all {
		return known, nil
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, render.UnknownEnv{Name: name, Known: known}
		}
	}
	return names, nil
}

// renderPresent renders those of the named environments that a tree has.
func renderPresent(ctx context.Context, repo *render.Repo, names []string) (map[string]*render.Result, error) {
	all, err := repo.Envs(ctx)
	if err != nil {
		return nil, err
	}
	has := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !slices.ContainsFunc(all, func(s render.Summary) bool { return s.Name == name })
	})
	results, err := repo.RenderAll(ctx, has)
	if err != nil {
		return nil, err
	}
	envs := map[string]*render.Result{}
	for _, r := range results {
		envs[r.Env.Name] = r
	}
	return envs, nil
}

// renderSound is renderPresent for a tree whose mistakes are history: what is
// compared with it may be what mends them. It names the environments that are
// wrong.
func renderSound(ctx context.Context, repo *render.Repo, names []string) (map[string]*render.Result, []string, error) {
	envs, err := renderPresent(ctx, repo, names)
	if wrong := (render.Findings{}); !errors.As(err, &wrong) {
		return envs, nil, err
	}
	envs = map[string]*render.Result{}
	var broken []string
	for _, name := range names {
		one, err := renderPresent(ctx, repo, []string{name})
		switch wrong := (render.Findings{}); {
		case errors.As(err, &wrong):
			broken = append(broken, name)
		case err != nil:
			return nil, nil, err
		case one[name] != nil:
			envs[name] = one[name]
		}
	}
	return envs, broken, nil
}

// onlyUnits is an environment with the named units; none means all.
func onlyUnits(env *schema.Environment, units []string) *schema.Environment {
	if env == nil || len(units) == 0 {
		return env
	}
	cut := *env
	cut.Units = slices.DeleteFunc(slices.Clone(env.Units), func(u schema.Unit) bool { return !slices.Contains(units, u.Name) })
	return &cut
}
