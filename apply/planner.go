package apply

import (
	"context"
	"errors"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Plan says what an apply of env would do. It writes nothing. All errors of all
// objects come together (errors.Join), each naming unit and object.
func (c *Cluster) Plan(ctx context.Context, env *schema.Environment, opts PlanOptions) (*Plan, error) {
	return nil, errors.ErrUnsupported
}

// replan plans one object of an earlier plan anew, from a fresh read, for a write
// that met a conflict of versions.
func (c *Cluster) replan(ctx context.Context, env *schema.Environment, opts PlanOptions, earlier *Change) (*Change, error) {
	return nil, errors.ErrUnsupported
}

// sameChange reports whether two plans of one object do the same to it.
func sameChange(a, b *Change) bool { return false }
