package apply

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-428f4edd/evenkeel/apply/lock"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// narrow makes the parent say what is there now: what the environment renders,
// and what was found and not deleted. A run that looked at some units only, or
// could not see everything, shrinks nothing. A step of a canary has no revision.
func (r *run) narrow(ctx context.Context, revision *record.Revision) error {
	s := record.ScopeOf(r.env)
	if len(r.opts.Units) > 0 || len(r.plan.Incomplete) > 0 {
		maps.Copy(s, r.plan.places)
	}
	for _, change := range r.changes(Kept, Deleted, CopiedLabel, Terminating) {
		if !r.journal.has(change.Ref) {
			s[record.Place{Kind: change.GVK().GroupKind(), Namespace: change.Namespace}] = true
		}
	}
	annotations, err := r.scopeAnnotations(ctx, s)
	if err != nil {
		return err
	}
	if revision != nil {
		annotations[record.AnnotationRevision] = strconv.Itoa(revision.Number)
	}
	annotations[record.AnnotationHold], annotations[record.AnnotationUnfinished] = r.opts.Hold, ""
	if unfinished(r.canaryAfter()) == nil {
		annotations[record.AnnotationCanary] = ""
	}
	if len(r.opts.Units) == 0 {
		annotations[record.AnnotationRendered] = r.plan.Rendered
	}
	r.journal.tell(Event{Phase: PhaseNarrow})
	ctx, cancel := r.request(ctx)
	defer cancel()
	return r.parent.Write(ctx, annotations)
}

// scopeAnnotations are those of the parent for a scope, signed.
func (r *run) scopeAnnotations(ctx context.Context, s record.Scope) (map[string]string, error) {
	annotations, err := s.Signed(ctx, r.env.Namespace, r.signer)
	if err != nil {
		return nil, err
	}
	annotations[record.AnnotationUnconfirmed] = r.plan.unconfirmed.Places()
	return annotations, nil
}

// record writes the revision and narrows the parent to what is there now. The
// parent comes last: it names the revision, and a run that was killed between
// the two finds that the environment was not recorded yet.
func (r *run) record(ctx context.Context) error {
	if err := r.mayWrite(ctx); err != nil {
		return err
	}
	if !r.pending {
		return r.keepState(ctx)
	}
	ctx = context.WithoutCancel(ctx) // all is applied: a revision makes it a success
	r.plan.state.Members = r.members()
	r.plan.state.Marked = r.marked()
	if err := r.keepState(ctx); err != nil {
		return err
	}
	if r.opts.Canary != nil && !r.opts.Canary.Last {
		return r.narrow(ctx, nil)
	}
	revision, err := r.newRevision(ctx)
	if err != nil {
		return err
	}
	if revision, err = r.c.Record(ctx, revision, r.opts.Hold, r.signer); err != nil {
		return err
	}
	r.revision = revision.Number
	r.journal.tell(Event{Phase: PhaseRecord, Message: revision.String()})
	if err := r.lock.Check(); err != nil {
		return err
	}
	if err := r.narrow(ctx, &revision); err != nil {
		return err
	}
	return r.forgetFormer(ctx)
}

// keepState stores the key of keyed hashes and the receipts of the plan, where
// they are new. With the key, which the first apply makes, the values of Secrets
// enter the digest.
func (r *run) keepState(ctx context.Context) error {
	unsigned := r.plan.state.Unsigned() && r.signer.HasKey()
	if !r.plan.state.Changed() && !unsigned {
		return nil
	}
	if err := r.c.SaveState(ctx, r.plan.state, r.env, r.signer); err != nil {
		return err
	}
	rendered, err := mask.Digest(r.env, r.plan.state.Key)
	r.plan.Rendered = rendered
	return err
}

// members are the objects that the environment has now: those that it renders,
// and where only some units were applied or pruned, those that were there.
func (r *run) members() []schema.Ref {
	deleted := map[schema.ID]bool{}
	for _, change := range r.changes(Deleted) {
		if r.journal.has(change.Ref) {
			deleted[change.ID()] = true
		}
	}
	var members []schema.Ref
	seen := map[schema.ID]bool{}
	add := func(ref schema.Ref) {
		if !seen[ref.ID()] && !deleted[ref.ID()] {
			seen[ref.ID()] = true
			members = append(members, ref)
		}
	}
	for _, o := range r.env.Objects() {
		add(schema.RefOf(o.Unstructured))
	}
	if len(r.opts.Units) > 0 || r.opts.NoPrune {
		for _, ref := range r.plan.state.Members {
			add(ref)
		}
	}
	return members
}

// marked are the fields of members whose values are not shown.
func (r *run) marked() []record.MarkedObject {
	marks := mask.Marks(r.env)
	for _, m := range r.plan.state.Marked {
		if len(r.opts.Units) > 0 || r.opts.NoPrune {
			marks[m.Ref.ID()] = mask.Merge(marks[m.Ref.ID()], m.Marks)
		}
	}
	var all []record.MarkedObject
	for _, ref := range r.plan.state.Members {
		if m := marks[ref.ID()]; len(m) > 0 {
			all = append(all, record.MarkedObject{Ref: ref, Marks: m})
		}
	}
	slices.SortFunc(all, func(a, b record.MarkedObject) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	return all
}

// newRevision is what the run has made of the cluster.
func (r *run) newRevision(ctx context.Context) (record.Revision, error) {
	revision := record.Revision{
		Time:        time.Now().UTC().Truncate(time.Second),
		Who:         r.opts.Who,
		Git:         r.opts.Git,
		Message:     r.opts.Message,
		Rendered:    r.plan.Rendered,
		Units:       r.opts.Units,
		Changes:     map[string]int{},
		Secrets:     !r.opts.NoSecrets,
		Environment: r.env,

		DespiteFreeze: r.opts.DespiteFreeze,
		Authenticated: true,
	}
	for _, change := range r.plan.Changes {
		if r.journal.has(change.Ref) {
			revision.Changes[string(change.Action.taken())]++
		}
	}
	last := &record.Revision{Environment: &schema.Environment{}, Authenticated: true}
	if len(r.opts.Units) > 0 || r.completes || r.opts.NoWait || len(r.holdBack()) > 0 {
		recorded, err := r.c.Revision(ctx, r.env.Name, r.env.Namespace, 0)
		switch {
		case errors.Is(err, record.ErrNoRevision), errors.Is(err, record.ErrUnreadable):
		case err != nil:
			return revision, err
		default:
			last = recorded
		}
	}
	if r.completes {
		r.countUnrecorded(&revision, last)
	}
	if len(r.opts.Units) == 0 {
		revision.Healthy = r.saw(ctx, r.env, last)
		return revision, nil
	}
	revision.Secrets = revision.Secrets && last.Secrets
	revision.Authenticated = last.Authenticated // else this one would vouch for what the last one says
	revision.Environment = record.Restored(r.env, last.Environment, func(unit string) bool { return !r.selected(unit) })
	revision.Healthy = r.saw(ctx, revision.Environment, last)
	var err error
	revision.Rendered, err = mask.Digest(revision.Environment, r.plan.state.Key)
	return revision, err
}

// countUnrecorded adds to what a revision changed what runs before this one did that
// ended before they could record: where it differs from the last revision, and this
// run did not write it.
func (r *run) countUnrecorded(revision, last *record.Revision) {
	planned := map[schema.ID]bool{}
	for _, change := range r.plan.Changes {
		planned[change.ID()] = true
	}
	for _, change := range Compare(last.Environment, r.env).Changes {
		switch {
		case planned[change.ID()] || !r.selected(change.Unit):
		case change.Action == Deleted && r.opts.NoPrune:
		case change.Kind == "Secret" && (!revision.Secrets || !last.Secrets):
		default:
			revision.Changes[string(change.Action)]++
		}
	}
}

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

// deleteRecords deletes what evenkeel kept beside the members of an environment,
// the parent last: as long as it is there, the environment is.
func (r *run) deleteRecords(ctx context.Context, name string) error {
	if err := r.mayWrite(ctx); err != nil {
		return err
	}
	parts, err := r.c.RevisionParts(ctx, name, r.env.Namespace, record.NumberLimit)
	if err != nil {
		return err
	}
	if err := r.c.Forget(ctx, r.env.Namespace, parts, math.MaxInt); err != nil {
		return err
	}
	err = r.c.Secrets(r.env.Namespace).Delete(ctx, record.StateName(name), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	err = r.c.Dynamic.Resource(record.ConfigMaps()).Namespace(r.env.Namespace).Delete(ctx, schema.ParentName(name), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return r.c.Signer(name, r.env.Namespace).DeleteKey(ctx)
}
