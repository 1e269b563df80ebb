package apply

import (
	"context"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// MissingRights are the rights of a run that the caller lacks, for tests that take
// them away one by one.
func (c *Cluster) MissingRights(ctx context.Context, env *schema.Environment, plan *Plan, opts ApplyOptions) ([]string, error) {
	r := newRun(c, env, plan, opts)
	needed, err := r.needed(ctx)
	if err != nil {
		return nil, err
	}
	missing, err := c.missingRights(ctx, needed)
	var texts []string
	for _, m := range missing {
		texts = append(texts, m.String())
	}
	return texts, err
}
