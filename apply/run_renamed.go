package apply

import (
	"context"

	"github.com/seed-428f4edd/evenkeel/apply/lock"
)

// forgetFormer deletes what was kept under the environment's former name, once
// its members are this one's: the revisions cannot be rolled back to under
// another name, and a parent without members misleads. A run that looked at some
// units only has not taken all of them over.
func (r *run) forgetFormer(ctx context.Context) error {
	if r.plan.former == nil || len(r.opts.Units) > 0 || r.opts.NoPrune || len(r.plan.Incomplete) > 0 {
		return nil
	}
	if err := r.deleteRecords(ctx, r.env.Was); err != nil {
		return err
	}
	return lock.Forget(ctx, r.c.Dynamic, r.env.Was, r.env.Namespace)
}
