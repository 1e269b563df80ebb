package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// plan plans an environment. Where the plan would delete or refuse something, it
// is made again with the other environments of the cluster at hand: an object
// that moves between two of them is neither deleted nor somebody else's.
func (g *global) plan(ctx context.Context, cluster *apply.Cluster, env *schema.Environment, opts apply.PlanOptions) (*apply.Plan, error) {
	plan, err := cluster.Plan(ctx, env, opts)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(plan.Changes, func(c apply.Change) bool { return c.Action == apply.Deleted || c.Refused != "" }) {
		return plan, nil
	}
	if opts.Siblings, err = g.siblings(ctx, env); err != nil {
		if _, ok := errors.AsType[render.Findings](err); ok { // which are printed as they are
			fmt.Fprintf(g.err, "env %s: the plan deletes or refuses objects that another environment of the cluster may want, and that one does not render:\n", env.Name)
		}
		return nil, fmt.Errorf("another environment of its cluster, whose objects the plan must know: %w", err)
	}
	return cluster.Plan(ctx, env, opts)
}

// siblings renders the other environments of an environment's cluster.
func (g *global) siblings(ctx context.Context, env *schema.Environment) ([]*schema.Environment, error) {
	repo, err := g.repo()
	if err != nil {
		return nil, err
	}
	all, err := repo.Envs(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all {
		if s.Name != env.Name && s.Cluster == env.Cluster {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	results, err := repo.RenderAll(ctx, names)
	if err != nil {
		return nil, err
	}
	siblings := make([]*schema.Environment, len(results))
	for i, r := range results {
		siblings[i] = r.Env
	}
	return siblings, nil
}
