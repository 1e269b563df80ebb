package apply

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-428f4edd/evenkeel/schema"
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
	err := r.c.Dynamic.Resource(leaseResource()).Namespace(r.env.Namespace).
		Delete(ctx, schema.ParentName(r.env.Was), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
