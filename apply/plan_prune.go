package apply

import (
	"context"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
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
		if err := p.decide(ctx, &ch); err != nil {
			errs = append(errs, err)
			continue
		}
		p.pruned = append(p.pruned, ch)
	}
	return errors.Join(errs...)
}

// decide says whether a candidate is deleted, kept, or none at all.
func (p *planner) decide(ctx context.Context, ch *Change) error {
	if c := metav1.GetControllerOf(ch.live); c != nil {
		ch.Action = CopiedLabel
		ch.Message = c.Kind + "/" + c.Name + " made it and copied the label"
		return nil
	}
	if !p.ours(ch.live) {
		ch.Action = CopiedLabel
		ch.Message = "bears the label, but evenkeel never applied it"
		return nil
	}
	if ch.live.GetDeletionTimestamp() != nil {
		ch.Action = Terminating
		ch.Message = "is being deleted" + finalizersOf(ch.live)
		return nil
	}
	reason, err := p.keeps(ctx, ch)
	if reason != "" {
		ch.Action = Kept
		ch.Message = reason
	}
	return err
}

// ours reports whether a live object is a member: it bears the label, and evenkeel
// applied it. Either alone can be a copy, whatever is recorded. What lost its
// label is asked about the apply alone; see findLost.
func (p *planner) ours(live *unstructured.Unstructured) bool {
	set := live.GetLabels()[schema.LabelPartOf]
	return managed.IsApplied(live) && (set == "" || slices.Contains(p.sets, set))
}

// keeps returns why a candidate is not deleted, or "".
func (p *planner) keeps(ctx context.Context, ch *Change) (string, error) {
	allowed := slices.Contains(p.opts.Prune, ch.Kind+"/"+ch.Name)
	switch {
	case p.wanted[ch.ID()] != "":
		return "environment " + p.wanted[ch.ID()] + " renders it now", nil
	case ch.live.GetAnnotations()[schema.AnnotationPrune] == "disabled":
		return schema.AnnotationPrune + " is disabled on it", nil
	case kinds.IsNamespace(ch.live) && kinds.IsSystemNamespace(ch.Name):
		return "it is a system namespace", nil
	case kinds.IsNamespace(ch.live) && ch.Name == p.env.Namespace:
		return "it holds the records of the environment", nil
	case kinds.Irreplaceable(ch.live) && !allowed:
		return "a " + ch.Kind + " is pruned only by name", nil
	case kinds.IsNamespace(ch.live):
		return p.heldByOthers(ctx, ch.Name)
	}
	return "", nil
}

// heldByOthers looks for anything in a namespace that is not this environment's.
func (p *planner) heldByOthers(ctx context.Context, namespace string) (string, error) {
	_, lists, err := p.cluster.Discovery.ServerGroupsAndResourcesWithContext(ctx)
	if err != nil {
		return "not all of what it holds can be read: " + err.Error(), nil
	}
	for _, list := range lists {
		for _, r := range list.APIResources {
			if !r.Namespaced || strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") {
				continue
			}
			gvk := schema.Ref{APIVersion: list.GroupVersion, Kind: r.Kind}.GVK()
			if kinds.Transient(gvk.GroupKind()) {
				continue
			}
			m, err := p.cluster.Mapping(ctx, gvk)
			if meta.IsNoMatchError(err) {
				continue
			}
			if err != nil {
				return "", err
			}
			other := &firstOther{planner: p}
			err = p.cluster.List(ctx, m, namespace, "", other)
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				continue // its definition is gone since discovery, and it with that
			}
			if apierrors.IsForbidden(err) {
				return "not all of what it holds can be read: " + err.Error(), nil
			}
			if err != nil {
				return "", err
			}
			if other.found != "" {
				return "it holds " + other.found + ", which is not of this environment", nil
			}
		}
	}
	return "", nil
}

type firstOther struct {
	planner *planner
	found   string
}

func (f *firstOther) Restart() { f.found = "" }

func (f *firstOther) Visit(live *unstructured.Unstructured) {
	if f.found != "" || metav1.GetControllerOf(live) != nil || kinds.IsFurniture(live) {
		return
	}
	if live.GetLabels()[schema.LabelPartOf] == "" || !f.planner.ours(live) {
		f.found = schema.RefOf(live).String()
	}
}
