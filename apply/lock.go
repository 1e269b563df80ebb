package apply

import (
	"context"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// lockDuration is how long a lock outlives its holder. A third of it, the
// limit of one request, leaves room for an admission webhook's ten seconds.
const lockDuration = 45 * time.Second

// longestLock is the longest duration that is believed of another's Lease, and
// clockSkew how far ahead its clock may be.
const (
	longestLock = 5 * time.Minute
	clockSkew   = 10 * time.Minute
)

// lock is a held Lease. It expires, it does not fence: a holder that was asleep
// past the end of its lease could still have one request under way. Every write
// therefore asks check first, which says no unless the write can end before the
// lease does.
type lock struct {
	leases   dynamic.ResourceInterface
	me       holder
	duration time.Duration

	mu      sync.Mutex
	lease   *coordinationv1.Lease // as last written
	renewed time.Time             // before the request of the last renewal was sent
	lost    error                 // why it is no longer held; final

	stop context.CancelFunc
	done chan struct{} // closed when the renewal has ended
	gone chan struct{} // closed when it is lost while it is renewed
}

// lockRequest says which lock is wanted, by whom, and for how long to wait.
type lockRequest struct {
	env       string
	namespace string
	me        holder
	duration  time.Duration
	wait      time.Duration
	waiting   func(message string) // called for every holder that is waited for
}

// acquire takes the lock and starts its renewal. It returns a *Refused that
// names the holder when another process has it and keeps it for r.wait.
//
// A lease that nobody holds is taken, and so is one whose holder ended on this
// machine. Any other is watched for its whole duration on this machine's clock,
// as leader election does: the clocks of two machines may differ, and a lock is
// never taken before it has expired.
//
// A run that cannot know whether it got the lock gives it back.
func acquire(ctx context.Context, leases dynamic.ResourceInterface, r lockRequest) (_ *lock, err error) {
	l := &lock{leases: leases, me: r.me, duration: r.duration}
	tried := false
	defer func() {
		if err != nil && tried {
			l.abandon(ctx, schema.ParentName(r.env))
		}
	}()
	start := time.Now()
	var seen observation
	told := ""
	for {
		got, err := l.read(ctx, schema.ParentName(r.env))
		if err != nil {
			return nil, fmt.Errorf("lock of environment %s: %w", r.env, err)
		}
		now := time.Now()
		if seen.look(got, now); seen.free(l.me, now) {
			tried = true
			err := l.take(ctx, taken(got, r), now)
			if err == nil {
				l.keep(ctx)
				return l, nil
			}
			if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
				return nil, fmt.Errorf("lock of environment %s: %w", r.env, err)
			}
			continue
		}
		if now.Sub(start) >= r.wait && !seen.expiring(now) {
			return nil, &Refused{
				Reason: fmt.Sprintf("environment %s is locked by %s since %s", r.env, seen.holder, seen.since()),
				Hints: []string{
					"wait until it has ended, or give --lock-timeout",
					fmt.Sprintf("if nobody runs it any more: kubectl delete lease -n %s %s", r.namespace, schema.ParentName(r.env)),
				},
				Guard: GuardLock,
			}
		}
		if by := fmt.Sprintf("%s since %s", seen.holder, seen.since()); by != told {
			told = by
			r.waiting("waiting for the lock, held by " + by)
		}
		if err := pause.For(ctx, r.duration/30); err != nil {
			return nil, err
		}
	}
}

// observation is what a process that wants a lock has seen of its Lease.
type observation struct {
	lease  *coordinationv1.Lease
	holder holder
	first  time.Time // when this state of the Lease was first seen
	alive  bool      // the Lease was renewed while it was watched
}

func (o *observation) look(lease *coordinationv1.Lease, now time.Time) {
	if o.lease != nil && o.lease.ResourceVersion == lease.ResourceVersion {
		return
	}
	h := decodeHolder(lease.Annotations[holderAnnotation], value(lease.Spec.HolderIdentity))
	o.alive = o.lease != nil && h.identity() == o.holder.identity()
	o.lease, o.holder, o.first = lease, h, now
}

// free reports whether the lock may be taken now. A lease that this very run
// holds is one whose answer was lost.
func (o *observation) free(me holder, now time.Time) bool {
	return value(o.lease.Spec.HolderIdentity) == "" || o.holder == me || me.gone(o.holder) || elapsed(o.first, now) >= o.duration()
}

// expiring reports whether the holder looks dead by its own clock, so that
// watching the lease to its end is worth the wait. So does one whose clock is
// that far ahead that no run can have written it.
func (o *observation) expiring(now time.Time) bool {
	age := now.Sub(value(o.lease.Spec.RenewTime).Time)
	return !o.alive && (age > o.duration() || age < -clockSkew)
}

// duration is how long the Lease says that it outlives its holder, as far as that
// is believed: whoever may write a Lease could else stop an environment for years.
func (o *observation) duration() time.Duration {
	seconds := value(o.lease.Spec.LeaseDurationSeconds)
	if seconds <= 0 {
		return lockDuration
	}
	return min(time.Duration(seconds)*time.Second, longestLock)
}

func (o *observation) since() string {
	return value(o.lease.Spec.AcquireTime).UTC().Format(time.RFC3339)
}

// taken is the Lease with the requester as its holder.
func taken(got *coordinationv1.Lease, r lockRequest) *coordinationv1.Lease {
	lease := got.DeepCopy()
	lease.Name, lease.Namespace = schema.ParentName(r.env), r.namespace
	lease.Labels = merged(lease.Labels, map[string]string{schema.LabelManagedBy: schema.Manager})
	lease.Annotations = merged(lease.Annotations, map[string]string{holderAnnotation: r.me.encode()})
	lease.Spec.HolderIdentity = new(r.me.identity())
	lease.Spec.LeaseDurationSeconds = new(int32(math.Ceil(r.duration.Seconds())))
	lease.Spec.AcquireTime = new(metav1.NowMicro())
	lease.Spec.LeaseTransitions = new(value(lease.Spec.LeaseTransitions) + 1)
	return lease
}

// take writes the Lease for the first time. A run that is told to stop meanwhile
// must know whether it got it, or nobody would give it back.
func (l *lock) take(ctx context.Context, lease *coordinationv1.Lease, now time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.requestTimeout())
	defer cancel()
	return l.write(ctx, lease, now)
}

// check reports why no write may start now: the lock was lost, or its lease
// could end before the write does.
func (l *lock) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil && elapsed(l.renewed, time.Now())+l.requestTimeout() > l.duration {
		l.lost = fmt.Errorf("the lock of %s was not renewed for %s: another apply may have it; nothing more was written",
			l.lease.Name, elapsed(l.renewed, time.Now()).Round(time.Second))
	}
	return l.lost
}

// requestTimeout bounds one request while the lock is held.
func (l *lock) requestTimeout() time.Duration { return l.duration / 3 }

// keep renews the lease until release, or until it is lost.
func (l *lock) keep(ctx context.Context) {
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.done, l.gone = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.done)
		for pause.For(ctx, l.duration/5) == nil {
			if l.check() == nil {
				l.renew(ctx)
			}
			if l.check() != nil {
				close(l.gone)
				return
			}
		}
	}()
}

// during returns a context that ends, with the cause, when the lock is lost.
func (l *lock) during(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-l.gone:
			cancel(l.check())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// renew writes the lease once more. An error is not yet the loss of the lock:
// there is room for one more renewal before check says so.
func (l *lock) renew(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.requestTimeout())
	defer cancel()
	l.mu.Lock()
	lease := l.lease.DeepCopy()
	l.mu.Unlock()
	err := l.write(ctx, lease, time.Now())
	if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return
	}
	// Somebody else wrote it: took it over, or only annotated it. Or the answer to
	// the last renewal was lost.
	_, _ = l.look(ctx, lease.Name)
}

// release gives the lock up. It works in a cancelled context too, so that an
// interrupted run leaves nothing to wait for.
func (l *lock) release(ctx context.Context) error {
	return l.end(ctx, func(ctx context.Context, lease *coordinationv1.Lease) error {
		lease.Spec.HolderIdentity = nil
		delete(lease.Annotations, holderAnnotation)
		return l.write(ctx, lease, time.Now())
	})
}

// remove deletes the Lease, with the environment that it was for.
func (l *lock) remove(ctx context.Context) error {
	return l.end(ctx, func(ctx context.Context, lease *coordinationv1.Lease) error {
		return l.leases.Delete(ctx, lease.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion},
		})
	})
}

// end stops the renewal and does the last request, for as long as the lock would
// be held anyway. A conflict alone does not mean that it is somebody else's by
// now: the server also goes on with a renewal that was stopped half way, and with
// a request whose answer was lost.
func (l *lock) end(ctx context.Context, last func(context.Context, *coordinationv1.Lease) error) error {
	if l.stop != nil {
		l.stop()
		<-l.done
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.duration)
	defer cancel()
	for {
		l.mu.Lock()
		lease := l.lease.DeepCopy()
		l.mu.Unlock()
		err := last(ctx, lease)
		if apierrors.IsNotFound(err) {
			return nil // deleted with the environment
		}
		if apierrors.IsConflict(err) {
			var mine bool
			if mine, err = l.look(ctx, lease.Name); err == nil && mine {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("release of the lock of %s: %w", lease.Name, err)
		}
		return nil
	}
}

// abandon releases the lock where a request got it whose answer was lost.
func (l *lock) abandon(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.requestTimeout())
	defer cancel()
	if mine, err := l.look(ctx, name); err == nil && mine {
		_ = l.release(ctx) // what is reported is why it was not taken
	}
}

// look reads the Lease again and reports whether this run holds it.
func (l *lock) look(ctx context.Context, name string) (mine bool, err error) {
	got, err := l.read(ctx, name)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if identity := value(got.Spec.HolderIdentity); identity != l.me.identity() {
		l.lost = fmt.Errorf("the lock of %s was taken over by %s", name, decodeHolder(got.Annotations[holderAnnotation], identity))
		return false, nil
	}
	l.lease = got
	return true, nil
}

// read gets the Lease; one that does not exist is an empty one.
func (l *lock) read(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	u, err := l.leases.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &coordinationv1.Lease{}, nil
	}
	if err != nil {
		return nil, err
	}
	lease := &coordinationv1.Lease{}
	return lease, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, lease)
}

// write creates or updates the Lease, guarded by its resourceVersion, with the
// time of renewal that counts from before the request.
func (l *lock) write(ctx context.Context, lease *coordinationv1.Lease, now time.Time) error {
	lease.Spec.RenewTime = new(metav1.NewMicroTime(now))
	lease.APIVersion, lease.Kind = "coordination.k8s.io/v1", "Lease"
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(lease)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: object}
	if lease.ResourceVersion == "" {
		u, err = l.leases.Create(ctx, u, metav1.CreateOptions{FieldManager: lockManager})
	} else {
		u, err = l.leases.Update(ctx, u, metav1.UpdateOptions{FieldManager: lockManager})
	}
	if err != nil {
		return err
	}
	written := &coordinationv1.Lease{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, written); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lease, l.renewed = written, now
	return nil
}

// lockManager is the field manager of the Lease.
const lockManager = schema.Manager + "-lock"

// elapsed is the time from a to b, by whichever clock saw more of it: the
// monotonic clock stands still while the machine sleeps.
func elapsed(a, b time.Time) time.Duration {
	return max(b.Sub(a), b.Round(0).Sub(a.Round(0)))
}

// value is *p, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// merged is a with all of b set.
func merged(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}
