package apply

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// findLost looks for objects of the last revision that are no longer desired and
// were in no LIST: somebody took the label off. They are candidates only while
// they bear no other set's label.
func (p *planner) findLost(ctx context.Context) error {
	if p.opts.Objects != nil {
		return nil
	}
	listed := map[schema.ID]bool{}
	for _, s := range p.strangers {
		listed[schema.IDOf(s.live)] = true
	}
	var errs []error
	for _, ref := range p.opts.Recorded {
		if p.desired[ref.ID()] != nil || listed[ref.ID()] {
			continue
		}
		gvk := ref.GVK()
		if p.unread[gvk.GroupKind()] != "" {
			continue
		}
		m, err := p.cluster.Mapping(ctx, gvk)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		live, err := p.cluster.Get(ctx, m, ref.Namespace, ref.Name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if live.GetLabels()[schema.LabelPartOf] == "" && managed.IsApplied(live) {
			p.strangers = append(p.strangers, stranger{live: live, mapping: m})
		}
	}
	return errors.Join(errs...)
}

// findCandidates decides about the objects that bear the label and are not
// desired.
func (p *planner) findCandidates(ctx context.Context) error {
	seen := map[schema.ID]bool{}
	var errs []error
	for _, s := range p.strangers {
		id := schema.IDOf(s.live)
		if seen[id] {
			continue
		}
		seen[id] = true
		unit := s.live.GetLabels()[schema.LabelUnit]
		if !p.selected(unit) {
			continue
		}
		p.mask.Learn(s.live)
		ch := Change{Action: Deleted, Unit: unit, Ref: schema.RefOf(s.live), Verified: true, live: s.live, mask: p.mask}
		if err := p.rules.decide(ctx, &ch); err != nil {
			errs = append(errs, err)
			continue
		}
		p.pruned = append(p.pruned, ch)
	}
	return errors.Join(errs...)
}
