package apply

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// unite sends the patch that goes before an apply.
func (r *run) unite(ctx context.Context, change *Change) (*unstructured.Unstructured, error) {
	if change.live == nil || change.unite == nil {
		return change.live, nil
	}
	mapping, err := r.mapping(ctx, change)
	if err != nil {
		return nil, err
	}
	if err := r.mayWrite(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := r.request(ctx)
	defer cancel()
	live, err := r.c.MergePatch(ctx, mapping, change.live, change.unite, managed.UniteManager, false)
	if err != nil {
		return nil, err
	}
	change.unite, change.united = nil, true
	return live, nil
}

// isRestOf reports whether a plan made between the patch and the apply asks for nothing
// that the change did not ask for: a controller may write in between.
func isRestOf(now, change *Change) bool {
	return now.Refused == "" && now.unite == nil && !slices.ContainsFunc(now.Fields, func(f managed.Field) bool {
		return !slices.ContainsFunc(change.Fields, func(c managed.Field) bool { return c.Path == f.Path && managed.Equal(c.To, f.To) })
	})
}
