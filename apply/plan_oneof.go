package apply

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// goneVersion is what the server says where an entry of managedFields is of a version that
// the definition of the kind no longer has: nobody can apply such an object.
var goneVersion = regexp.MustCompile(`request to convert CR to an invalid group/version: ([a-z0-9./-]+)`)

// unite plans an object that the server refuses because it would merge one side of a
// union, which git sets, with another that is live, or for the versions in its
// managedFields: a patch that takes that out and sets ours comes first, and the apply
// after it. done is false where that is not the cause, or does not help.
func (p *planner) unite(ctx context.Context, it *item, refused error) (done bool, err error) {
	var status apierrors.APIStatus
	switch m := goneVersion.FindStringSubmatch(statusMessage(refused)); {
	case it.live == nil:
		return false, nil
	case m != nil:
		return p.uniteWith(ctx, it, stale{versions: m[1:]})
	case apierrors.IsInvalid(refused) && errors.As(refused, &status) && status.Status().Details != nil:
		return p.uniteWith(ctx, it, stale{causes: status.Status().Details.Causes})
	}
	return false, nil
}

// givenValue matches a field that somebody gave to a variable which git declares empty:
// an apply of no value takes none away.
var givenValue = regexp.MustCompile(`^(spec\.(?:jobTemplate\.spec\.)?template\.spec\.(?:initC|c)ontainers\[name=[^\]]*\]\.env\[name=[^\]]*\]\.value(?:From)?)(?:\.|$)`)

// given are the paths of such fields of an object.
func given(foreign *Change) []string {
	var paths []string
	if foreign == nil {
		return nil
	}
	for _, f := range foreign.Fields {
		if m := givenValue.FindStringSubmatch(f.Path); m != nil {
			paths = append(paths, m[1])
		}
	}
	return paths
}

// stale is what a patch is to take out before an apply.
type stale struct {
	causes   []metav1.StatusCause // by what the server says of it
	versions []string             // of managedFields
	fields   []string             // by path
}

// removes asks the server whether it takes an object without the fields that we are given
// before the apply and that go with it: the dry-run of the apply alone does not show that.
// What others have beside them may not stand alone, as a CA bundle without its webhook, or
// the period of a probe without what it asks; that goes too then. done says that the change
// is planned.
func (p *planner) removes(ctx context.Context, it *item, result *unstructured.Unstructured, gone []managed.Path) (done bool, err error) {
	it.removes = true
	for range attemptsMoving {
		patch := managed.Remainder(it.live, result, gone, it.change.dropped, it.change.migrate)
		_, err = p.cluster.MergePatch(ctx, it.mapping, it.live, patch, managed.UniteManager, true)
		if !apierrors.IsConflict(err) {
			break
		}
		if !p.readAgain(ctx, it) {
			return false, ctx.Err()
		}
	}
	refused, status := err, apierrors.APIStatus(nil)
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false, ctx.Err()
	}
	paths := make([]string, 0, len(gone))
	for _, at := range gone {
		paths = append(paths, at.String())
	}
	if done, err := p.uniteWith(ctx, it, stale{causes: status.Status().Details.Causes, fields: paths}); done || err != nil {
		return done, err
	}
	p.reject(it, p.words(it, refused), p.hintOf(ctx, it, refused))
	return true, nil
}

// readAgain reads an object that was written since it was listed, as by its controller. It
// reports whether it is there.
func (p *planner) readAgain(ctx context.Context, it *item) bool {
	live, err := p.cluster.Get(ctx, it.mapping, it.ref.Namespace, it.ref.Name)
	if err == nil {
		it.live = live
	}
	return err == nil
}

func (p *planner) uniteWith(ctx context.Context, it *item, out stale) (done bool, err error) {
	var united *managed.United
	var result *unstructured.Unstructured
	for range attemptsMoving {
		united = managed.Unite(managed.Effective(it.obj, it.live), it.live, out.causes, out.fields...)
		if len(out.versions) > 0 {
			united.Forget(it.live, out.versions)
		} else if len(united.Stale) == 0 && !united.Emptied {
			return false, nil
		}
		result, err = p.cluster.MergePatch(ctx, it.mapping, it.live, united.Patch, managed.UniteManager, true)
		if m := goneVersion.FindStringSubmatch(statusMessage(err)); m != nil && len(out.versions) > 0 && !slices.Contains(out.versions, m[1]) {
			out.versions = append(out.versions, m[1])
			continue
		}
		if !apierrors.IsConflict(err) {
			break
		}
		if !p.readAgain(ctx, it) {
			return false, ctx.Err()
		}
	}
	if err != nil {
		return false, ctx.Err() // the first refusal says more
	}
	if err := p.interpret(ctx, it, united.Own(result)); err != nil {
		return true, err
	}
	ch := it.change
	if ch.Action == Unchanged || ch.Action == Reowned { // but for who is on record
		ch.Action = Configured
	}
	if len(out.versions) > 0 {
		ch.Message = "its managedFields are rid of " + strings.Join(out.versions, ", ") + ", which its definition no longer has"
	}
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
// the same. Where a default takes its place, what changes below it is said instead.
func takenOut(fields []managed.Field, path string) []managed.Field {
	all := slices.Clone(fields)
	whole := slices.ContainsFunc(all, func(f managed.Field) bool { return f.Path == path })
	var kept []managed.Field
	for i, f := range all {
		again := slices.ContainsFunc(all[:i], func(g managed.Field) bool { return g.Path == f.Path }) ||
			slices.ContainsFunc(all, func(g managed.Field) bool { return g.Path != f.Path && isWithin(f.Path, g.Path) })
		if !isWithin(f.Path, path) || !again && (!whole || f.Path == path) {
			kept = append(kept, f)
		}
	}
	return kept
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
	ch.Hint = takesOver
}

// takesOver is what to type against a conflict.
const takesOver = "--force-conflicts takes the fields over; ignore on the object leaves them"
