package apply

import (
	"context"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-428f4edd/evenkeel/apply/rights"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// lacking explains why a plan could not be made. Where the caller lacks a right,
// he seldom lacks that one alone, and would find the next one with the next try:
// so all are listed that the plan may need, and that its apply may, and that he
// does not have.
func (p *planner) lacking(ctx context.Context, err error) error {
	var others []error
	denied := false
	for _, e := range flat(err) {
		if isDenied(e) {
			denied = true
		} else {
			others = append(others, e)
		}
	}
	if !denied {
		return err
	}
	missing, errReview := rights.Missing(ctx, p.cluster.Client, p.needed(ctx))
	if errReview != nil || len(missing) == 0 {
		return err
	}
	return errors.Join(append([]error{lacks(p.env, missing)}, others...)...)
}

// needed are the rights that the plan and its apply may need, as far as that is
// known without the plan: any object of the environment that is not known to be
// unchanged may have to be written.
func (p *planner) needed(ctx context.Context) []rights.Right {
	var n rights.Needs
	n.Add("", "configmaps", p.env.Namespace, schema.ParentName(p.env.Name), "get")
	if p.opts.ToApply {
		n = slices.Concat(n, LockingRights(p.env), RecordingRights(p.env))
	}
	for _, r := range p.plan.reads {
		resource := r.Mapping.Resource
		for _, ns := range r.Namespaces {
			n.Add(resource.Group, resource.Resource, ns, "", "list")
		}
		if len(r.Namespaces) == 0 {
			n.Add(resource.Group, resource.Resource, "", "", "list")
		}
	}
	for unit, o := range p.env.Objects() {
		ref := schema.RefOf(o.Unstructured)
		resource, err := p.cluster.resource(ctx, p.env, ref)
		if err != nil || !p.selected(unit) {
			continue // a kind that nobody knows has an error of its own
		}
		n.Add(resource.Group, resource.Resource, ref.Namespace, "", "list")
		if it := p.desired[ref.ID()]; it != nil && it.change != nil && it.change.Action == Unchanged {
			continue
		}
		if !p.opts.ListOnly {
			n.Add(resource.Group, resource.Resource, ref.Namespace, ref.Name, "patch", "create")
		}
		if p.opts.ToApply {
			n.Add(resource.Group, resource.Resource, ref.Namespace, ref.Name, "get")
		}
		if p.opts.ToApply && o.Recreate {
			n.Add(resource.Group, resource.Resource, ref.Namespace, ref.Name, "delete")
			n.Add(resource.Group, resource.Resource, ref.Namespace, ProbeName(ref.Name), "patch", "create")
		}
	}
	for _, ref := range p.opts.Recorded {
		if resource, err := p.cluster.resource(ctx, p.env, ref); err == nil && p.desired[ref.ID()] == nil {
			n.Add(resource.Group, resource.Resource, ref.Namespace, ref.Name, "get")
		}
	}
	return n
}

// flat are the errors that were joined.
func flat(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flat(e)...)
	}
	return all
}

// isDenied reports whether an error says that the caller lacks a right. Admission
// forbids things too; the words are those of the API server's authorization
// (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters).
func isDenied(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot ") && strings.Contains(err.Error(), ` resource "`)
}
