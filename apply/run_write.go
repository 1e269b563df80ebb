package apply

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

const (
	// attemptsConflict is how often an object whose resourceVersion moved is
	// read and planned again: status writes move it too.
	attemptsConflict = 8
	// conflictPause, times the square of the attempt, is what a controller gets in
	// between to be done: 1.7 s in all.
	conflictPause = 12 * time.Millisecond
	// settling is how long an object that waits for a Namespace, a
	// CustomResourceDefinition, a limit or a port of the same run is tried again:
	// those are served, counted and free a moment after they are accepted.
	settling = 10 * time.Second
)

// write carries out one change and notes it. An object whose live state moved
// since the plan is planned again, and written only where that says the same.
func (r *run) write(ctx context.Context, change *Change) error {
	if r.journal.has(change.Ref) {
		return nil
	}
	deadline := time.Now().Add(settling)
	if change.waitsForServer {
		deadline = time.Now().Add(r.opts.Timeout)
	}
	for attempt := 1; ; {
		live, err := r.send(ctx, change)
		switch {
		case err == nil:
			r.journal.wrote(PhaseWrite, *change, live)
			return nil
		case r.ended(ctx) != nil:
			return r.ended(ctx)
		case (apierrors.IsConflict(err) || isSlow(err)) && attempt < attemptsConflict:
			// Of one that was not answered in time nobody knows whether it was carried out.
			if err := pause.For(ctx, time.Duration(attempt*attempt)*conflictPause); err != nil {
				return err
			}
			attempt++
			done, err := r.reconsider(ctx, change)
			if err != nil {
				return fmt.Errorf("%s: %w", change.Ref, err)
			}
			if done != nil {
				r.journal.wrote(PhaseWrite, *change, done)
				return nil
			}
		case change.maySettle(err) && time.Now().Before(deadline):
			if err := pause.For(ctx, 200*time.Millisecond); err != nil {
				return err
			}
			r.c.Mapper.Reset()
		case change.waitsForServer && refusedByWebhook(err) && time.Now().Before(deadline):
			if err := pause.For(ctx, time.Second); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: %w", change.Ref, err)
		}
	}
}

// reconsider looks at an object whose version moved. Where only its status did,
// the plan stands; else it is planned again and must come out the same. It
// returns the live object if nothing is left to do: the answer to an earlier try
// was lost, or somebody else did the same.
func (r *run) reconsider(ctx context.Context, change *Change) (done *unstructured.Unstructured, err error) {
	if change.live != nil {
		live, gone, err := r.absent(ctx, change)
		if err != nil {
			return nil, err
		}
		if !gone && managed.Equal(withoutVersions(change.live), withoutVersions(live)) &&
			reflect.DeepEqual(managed.Ownership(change.live), managed.Ownership(live)) {
			change.live = live
			return nil, nil
		}
	}
	now, err := r.c.replan(ctx, r.env, r.plan.options, change)
	if err != nil {
		return nil, err
	}
	if now.Action == Unchanged {
		return r.get(ctx, change)
	}
	if change.united && isRestOf(now, change) {
		change.live, change.migrate = now.live, now.migrate
		return nil, nil
	}
	if change.Action == UnverifiedCreated && now.Action == Created {
		return nil, nil // the server can judge it by now
	}
	if change.unseen() && now.Refused == "" && slices.Contains([]Action{Configured, Reowned}, now.Action) {
		*change = *now
		return nil, nil
	}
	if !sameChange(change, now) {
		return nil, fmt.Errorf("it changed since the plan was made (now: %s); plan again", now.Action)
	}
	*change = *now
	return nil, nil
}

// unseen reports whether an object was planned that could not be read before its
// definition was written.
func (c *Change) unseen() bool {
	return c.Action == UnverifiedChanged && c.live == nil && c.waits != ""
}

// isSettling reports whether an error is one that passes once a new Namespace or
// CustomResourceDefinition is served everywhere.
func isSettling(err error) bool {
	return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) || apierrors.IsForbidden(err)
}

// maySettle reports whether a refusal of a change may pass by what the run did before.
func (c *Change) maySettle(err error) bool {
	switch {
	case len(c.after) > 0 && isRejection(err): // what held it is gone, and not all know yet
		return true
	case c.waits == "":
		return false
	}
	return isSettling(err) || refusedByLimit(err) || allocated.MatchString(statusMessage(err))
}

// isSlow reports whether a server had no time for a write.
func isSlow(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// send does what the action asks, each request guarded by uid and
// resourceVersion, and returns the object as the server has it then.
func (r *run) send(ctx context.Context, change *Change) (*unstructured.Unstructured, error) {
	switch change.Action {
	case Terminating:
		if err := r.awaitAbsence(ctx, []*Change{change}); err != nil {
			return nil, err
		}
		return r.applyOver(ctx, change, nil)
	case Recreated:
		if err := r.remove(ctx, change); err != nil {
			return nil, err
		}
		created, err := r.patch(ctx, change, managed.Carried(change.desired, change.live).DeepCopy(), nil, schema.Manager)
		if err != nil || len(change.handover) == 0 {
			return created, err
		}
		return r.handTo(ctx, change, created)
	}
	// What these write is part of what the apply is then sent over.
	for _, prepare := range []func(context.Context, *Change) (*unstructured.Unstructured, error){r.unite, r.migrate, r.handOver} {
		live, err := prepare(ctx, change)
		if err != nil {
			return nil, err
		}
		change.live = live
	}
	return r.applyOver(ctx, change, change.live)
}

// applyOver applies the desired object over what it was planned against.
func (r *run) applyOver(ctx context.Context, change *Change, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return r.patch(ctx, change, managed.Effective(change.desired, live).DeepCopy(), live, schema.Manager)
}

// patch sends a server-side apply while the lock is held, over live and nothing
// else. A live of nil means that there must be no object: an apply has no way to
// say so, but a resourceVersion that is no live one makes the server answer 409
// if there is an object, and is ignored if there is none.
func (r *run) patch(ctx context.Context, change *Change, body, live *unstructured.Unstructured, manager string) (*unstructured.Unstructured, error) {
	if live == nil {
		body.SetResourceVersion("1")
	} else {
		body.SetUID(live.GetUID())
		body.SetResourceVersion(live.GetResourceVersion())
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
	result, _, err := r.c.ApplyObject(ctx, mapping, body, manager, false)
	return result, r.unanswered(ctx, err)
}

// writeAll writes changes side by side and returns all errors.
func (r *run) writeAll(ctx context.Context, changes []*Change) error {
	return joined(r.each(changes, func(change *Change) error { return r.write(ctx, change) }))
}
