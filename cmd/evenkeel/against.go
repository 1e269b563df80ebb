package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/budget"
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
	tooMuch, err := knownTooMuch()
	if err != nil {
		return err
	}
	then.Skip, then.Serial = tooMuch.Envs, tooMuch.Serial
	then.Renderings.LastWords = lastWords("at " + opts.against + ": ")
	there, err := then.Envs(ctx)
	if err != nil {
		return tooMuch.handle(opts.against, err)
	}
	names, err := opts.namesInEither(ctx, now, there, args)
	if err != nil {
		return err
	}
	after, err := renderPresent(ctx, now, names)
	if err != nil {
		return err
	}
	before, broken, err := renderSound(ctx, then, names)
	if err != nil {
		return tooMuch.handle(opts.against, err)
	}
	for _, name := range slices.Sorted(maps.Keys(tooMuch.Envs)) {
		fmt.Fprintf(g.err, "warning: at %s: env %s: %s\n", opts.against, name, tooMuch.Envs[name])
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
func (s *selection) namesInEither(ctx context.Context, now *render.Repo, there []render.Summary, args []string) ([]string, error) {
	names, err := s.names(ctx, now, args)
	if err != nil {
		return nil, err
	}
	here, err := now.Envs(ctx)
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

// tooMuch are the environments of the other tree that took more than the budget, and
// why each was given up. What was given up goes on until its process ends
// (budget.Budget), so the command begins anew in the same process, and leaves them out.
type tooMuch struct {
	Envs   map[string]string
	Serial bool // one after the other, to find which it is
}

// tooMuchVariable hands it over.
const tooMuchVariable = "EVENKEEL_AGAINST_TOO_MUCH"

func knownTooMuch() (tooMuch, error) {
	known := tooMuch{Envs: map[string]string{}}
	text := os.Getenv(tooMuchVariable)
	if text == "" {
		return known, nil
	}
	err := json.Unmarshal([]byte(text), &known)
	if err != nil || known.Envs == nil {
		return known, fmt.Errorf("%s=%q: it is for evenkeel itself to set", tooMuchVariable, text)
	}
	return known, nil
}

// handle begins the command anew where an error of the other tree says that
// environments took too much that are not known yet. Other errors it returns.
func (t tooMuch) handle(ref string, err error) error {
	over, ok := errors.AsType[*budget.Over](err)
	if !ok {
		return err
	}
	switch {
	case len(over.Envs) == 1 || len(over.Envs) > 1 && over.Limit == budget.LimitTime:
		for _, name := range over.Envs {
			one := *over
			one.Envs = []string{name}
			t.Envs[name] = strings.TrimPrefix(one.Error(), "env "+name+": ")
		}
	case len(over.Envs) == 0 || t.Serial:
		return fmt.Errorf("at %s: %w", ref, err)
	}
	t.Serial = t.Serial || over.Limit != budget.LimitTime
	text, err := json.Marshal(t)
	if err == nil {
		err = os.Setenv(tooMuchVariable, string(text))
	}
	if err == nil {
		err = beginAnew() // does not return
	}
	return errors.Join(fmt.Errorf("at %s: %w", ref, over), err)
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
