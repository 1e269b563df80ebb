package apply

import (
	"context"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// unite plans an object that the server refuses because it would merge one side of a
// union, which git sets, with another that is live: a patch that takes that side out
// and sets ours comes first, and the apply after it. done is false where that is not
// the cause, or does not help.
func (p *planner) unite(ctx context.Context, it *item, refused error) (done bool, err error) {
	var status apierrors.APIStatus
	if it.live == nil || !apierrors.IsInvalid(refused) || !errors.As(refused, &status) || status.Status().Details == nil {
		return false, nil
	}
	var united *managed.United
	var result *unstructured.Unstructured
	for range attemptsMoving {
		if united = managed.Unite(managed.Effective(it.obj, it.live), it.live, status.Status().Details.Causes); len(united.Stale) == 0 {
			return false, nil
		}
		if result, err = p.cluster.MergePatch(ctx, it.mapping, it.live, united.Patch, managed.UniteManager, true); !apierrors.IsConflict(err) {
			break
		}
		live, err := p.cluster.Get(ctx, it.mapping, it.ref.Namespace, it.ref.Name)
		if err != nil {
			return false, ctx.Err()
		}
		it.live = live // written since it was listed, as by its controller
	}
	if err != nil {
		return false, ctx.Err() // the first refusal says more
	}
	if err := p.interpret(ctx, it, united.Own(result)); err != nil {
		return true, err
	}
	ch := it.change
	ch.unite = united.Patch
	if !slices.Contains(ch.migrate, managed.UniteManager) {
		ch.migrate = append(ch.migrate, managed.UniteManager)
	}
	j := managed.Policy{Controllers: p.env.Controllers}
	var against []string
	for _, d := range united.Stale {
		ch.Fields = takenOut(ch.Fields, d.Path.String())
		if it.foreign != nil {
			it.foreign.Fields = slices.DeleteFunc(it.foreign.Fields, func(f managed.Field) bool { return isWithin(f.Path, d.Path.String()) })
		}
		if manager, conflict := j.Blocks(d); conflict {
			against = append(against, d.Path.String()+" ("+manager+")")
		}
	}
	if it.foreign != nil && len(it.foreign.Fields) == 0 {
		it.foreign = nil
	}
	if len(against) > 0 {
		p.conflict(ch, "other managers own "+strings.Join(against, ", "))
	}
	return true, nil
}

// takenOut says of a field that it is removed, once: what adoption would remove of it is
// the same.
func takenOut(fields []managed.Field, path string) []managed.Field {
	said := false
	return slices.DeleteFunc(fields, func(f managed.Field) bool {
		if !isWithin(f.Path, path) {
			return false
		}
		again := said || f.Path != path
		said = said || f.Path == path
		return again
	})
}

// isWithin reports whether one field is another one, or below it.
func isWithin(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// conflict refuses to write over what others mean, unless the caller said so.
func (p *planner) conflict(ch *Change, message string) {
	ch.Message = message
	if p.opts.ForceConflicts {
		return
	}
	ch.Action, ch.Refused = Conflict, message
	ch.Hint = "--force-conflicts takes the fields over; ignore on the object leaves them"
}
