package main

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// warnOfEarlier warns where an environment that comes before this one was never
// applied, or is not healthy now. Those that the same command applied are both.
// It is no reason to refuse: whoever applies may know better.
func (g *global) warnOfEarlier(ctx context.Context, env *schema.Environment, applied []*schema.Environment) {
	for _, name := range env.After {
		if slices.ContainsFunc(applied, func(e *schema.Environment) bool { return e.Name == name }) {
			continue
		}
		trouble, err := g.troubleOf(ctx, name)
		if err != nil && !apierrors.IsForbidden(err) { // with the least rights one sees no other environment
			trouble = "cannot be judged: " + err.Error()
		}
		if trouble != "" {
			fmt.Fprintf(g.err, "warning: %s comes after %s, which %s\n", env.Name, name, trouble)
		}
	}
}

// troubleOf says why nothing should stand on an environment yet, or "".
func (g *global) troubleOf(ctx context.Context, name string) (string, error) {
	envs, err := g.renderAll(ctx, &selection{}, []string{name})
	if err != nil {
		return "", err
	}
	env := envs[0]
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return "", err
	}
	history, err := cluster.History(ctx, env.Name, env.Namespace)
	if err != nil {
		return "", err
	}
	if len(history) == 0 {
		return "was never applied: evenkeel apply " + name, nil
	}
	status, err := cluster.Status(ctx, env, apply.StatusOptions{})
	if err != nil || status.Healthy {
		return "", err
	}
	return "is not healthy: evenkeel status " + name, nil
}
