package lock

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// DefaultDuration is how long a lock outlives its holder. A third of it, the
// limit of one request, leaves room for an admission webhook's ten seconds.
const DefaultDuration = 45 * time.Second

// Lock is a held Lease. It expires, it does not fence: a holder that was asleep
// past the end of its lease could still have one request under way. Every write
// therefore asks Check first, which says no unless the write can end before the
// lease does.
type Lock struct {
	leases   dynamic.ResourceInterface
	me       Holder
	duration time.Duration

	mu      sync.Mutex
	lease   *coordinationv1.Lease // as last written
	renewed time.Time             // before the request of the last renewal was sent
	lost    error                 // why it is no longer held; final

	stop context.CancelFunc
	done chan struct{} // closed when the renewal has ended
	gone chan struct{} // closed when it is lost while it is renewed
}

// Request says which lock is wanted, by whom, and for how long to wait.
type Request struct {
	Environment, Namespace string
	Holder                 Holder
	// Duration is how long the lock outlives its holder; a third of it bounds each
	// request that is sent while it is held.
	Duration time.Duration
	// Wait is how long to wait for a holder that looks alive, and for the end of a Lease
	// that no run writes. Zero has such a Lease watched to its end: nobody stops an
	// environment by one.
	Wait    time.Duration
	Waiting func(Held) // called for every holder that is waited for
}

// Acquire takes the lock and starts its renewal. It returns *Held when another
// process has it and keeps it for r.Wait.
//
// A lease that nobody holds is taken, and so is one whose holder ended on this
// machine. Any other is watched for its whole duration on this machine's clock,
// as leader election does: the clocks of two machines may differ, and a lock is
// never taken before it has expired.
//
// A lease that is being deleted, and is not gone because of a finalizer, would end under
// whoever takes it: it is made to end first.
//
// A run that cannot know whether it got the lock gives it back.
func Acquire(ctx context.Context, client dynamic.Interface, r Request) (_ *Lock, err error) {
	l := &Lock{leases: leases(client, r.Namespace), me: r.Holder, duration: r.Duration}
	tried, ended := false, false
	defer func() {
		if err != nil && tried {
			l.abandon(ctx, schema.ParentName(r.Environment))
		}
	}()
	start := time.Now()
	var seen observation
	var told Held
	for {
		got, err := l.read(ctx, schema.ParentName(r.Environment))
		if err != nil {
			return nil, fmt.Errorf("lock of environment %s: %w", r.Environment, err)
		}
		now := time.Now()
		if seen.look(got, now); seen.free(l.me, now) {
			if got.DeletionTimestamp != nil && !ended { // once: admission may have kept the finalizers
				ended = true
				if err := l.letGo(ctx, got); err != nil {
					return nil, fmt.Errorf("lock of environment %s: %w", r.Environment, err)
				}
				continue
			}
			tried = true
			err := l.take(ctx, taken(got, r), now)
			if err == nil {
				l.keep(ctx)
				return l, nil
			}
			if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
				return nil, fmt.Errorf("lock of environment %s: %w", r.Environment, err)
			}
			continue
		}
		if now.Sub(start) >= r.Wait && !seen.worth(r.Wait, now) {
			return nil, seen.held(r.Environment, now)
		}
		if held := seen.held(r.Environment, now); held.By() != told.By() {
			told = *held
			r.Waiting(told)
		}
		if err := pause.For(ctx, r.Duration/30); err != nil {
			return nil, err
		}
	}
}

// taken is the Lease with the requester as its holder.
func taken(got *coordinationv1.Lease, r Request) *coordinationv1.Lease {
	lease := got.DeepCopy()
	lease.Name, lease.Namespace = schema.ParentName(r.Environment), r.Namespace
	metav1.SetMetaDataLabel(&lease.ObjectMeta, schema.LabelManagedBy, schema.Manager)
	metav1.SetMetaDataAnnotation(&lease.ObjectMeta, holderAnnotation, r.Holder.encode())
	lease.Spec.HolderIdentity = new(r.Holder.identity())
	lease.Spec.LeaseDurationSeconds = new(int32(math.Ceil(r.Duration.Seconds())))
	lease.Spec.AcquireTime = new(metav1.NowMicro())
	// The server refuses a negative count, and somebody may have written the highest.
	lease.Spec.LeaseTransitions = new(value(lease.Spec.LeaseTransitions)%math.MaxInt32 + 1)
	return lease
}

// letGo takes the finalizers off a Lease that is being deleted, so that it ends. That
// somebody else has changed it meanwhile is no error.
func (l *Lock) letGo(ctx context.Context, got *coordinationv1.Lease) error {
	lease := got.DeepCopy()
	lease.Finalizers = nil
	ctx, cancel := context.WithTimeout(ctx, l.requestTimeout())
	defer cancel()
	lease.APIVersion, lease.Kind = "coordination.k8s.io/v1", "Lease"
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(lease)
	if err != nil {
		return err
	}
	_, err = l.leases.Update(ctx, &unstructured.Unstructured{Object: object}, metav1.UpdateOptions{FieldManager: manager})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// take writes the Lease for the first time. A run that is told to stop meanwhile
// must know whether it got it, or nobody would give it back.
func (l *Lock) take(ctx context.Context, lease *coordinationv1.Lease, now time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.requestTimeout())
	defer cancel()
	return l.write(ctx, lease, now)
}

// Check reports why no write may start now: the lock was lost, or its lease
// could end before the write does.
func (l *Lock) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = l.expires(time.Now())
	}
	return l.lost
}

// expires says why a request that begins now might end after the lease.
func (l *Lock) expires(now time.Time) error {
	left := l.duration - l.requestTimeout()
	since := elapsed(l.renewed, now)
	if since <= left {
		return nil
	}
	why := fmt.Sprintf("was not renewed for %s", since.Round(time.Second))
	if watched(l.renewed, now) <= left {
		why = fmt.Sprintf("may have run out: the clock of this machine went forward by %s since it was renewed (it was set, or the machine slept)",
			(since - watched(l.renewed, now)).Round(time.Second))
	}
	return fmt.Errorf("the lock of %s %s: another apply may have it; nothing more was written", l.lease.Name, why)
}

// requestTimeout bounds one request while the lock is held.
func (l *Lock) requestTimeout() time.Duration { return l.duration / 3 }

// keep renews the lease until Release, or until it is lost.
func (l *Lock) keep(ctx context.Context) {
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.done, l.gone = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.done)
		for pause.For(ctx, l.duration/5) == nil {
			if l.Check() == nil {
				// Not renewed is what Check notices.
				_ = contain.Call(func() error { l.renew(ctx); return nil })
			}
			if l.Check() != nil {
				close(l.gone)
				return
			}
		}
	}()
}

// During returns a context that ends, with the cause, when the lock is lost.
func (l *Lock) During(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-l.gone:
			cancel(l.Check())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// renew writes the lease once more. An error is not yet the loss of the lock:
// there is room for one more renewal before Check says so.
func (l *Lock) renew(ctx context.Context) {
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

// Release gives the lock up. It works in a cancelled context too, so that an
// interrupted run leaves nothing to wait for.
func (l *Lock) Release(ctx context.Context) error {
	return l.end(ctx, func(ctx context.Context, lease *coordinationv1.Lease) error {
		lease.Spec.HolderIdentity = nil
		delete(lease.Annotations, holderAnnotation)
		return l.write(ctx, lease, time.Now())
	})
}

// Remove deletes the Lease, with the environment that it was for.
func (l *Lock) Remove(ctx context.Context) error {
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
func (l *Lock) end(ctx context.Context, last func(context.Context, *coordinationv1.Lease) error) error {
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
func (l *Lock) abandon(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.requestTimeout())
	defer cancel()
	if mine, err := l.look(ctx, name); err == nil && mine {
		_ = l.Release(ctx) // what is reported is why it was not taken
	}
}

// look reads the Lease again and reports whether this run holds it.
func (l *Lock) look(ctx context.Context, name string) (mine bool, err error) {
	got, err := l.read(ctx, name)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if identity := value(got.Spec.HolderIdentity); identity != l.me.identity() {
		l.lost = fmt.Errorf("the lock of %s was taken over by %s", name, decodeHolder(got.Annotations[holderAnnotation], identity))
		if identity == "" {
			l.lost = fmt.Errorf("the lock of %s is gone: somebody deleted or emptied its Lease", name)
		}
		return false, nil
	}
	l.lease = got
	return true, nil
}

// read gets the Lease; one that does not exist is an empty one.
func (l *Lock) read(ctx context.Context, name string) (*coordinationv1.Lease, error) {
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
func (l *Lock) write(ctx context.Context, lease *coordinationv1.Lease, now time.Time) error {
	lease.Spec.RenewTime = new(metav1.NewMicroTime(now))
	lease.APIVersion, lease.Kind = "coordination.k8s.io/v1", "Lease"
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(lease)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: object}
	if lease.ResourceVersion == "" {
		u, err = l.leases.Create(ctx, u, metav1.CreateOptions{FieldManager: manager})
	} else {
		u, err = l.leases.Update(ctx, u, metav1.UpdateOptions{FieldManager: manager})
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

// manager is the field manager of the Lease.
const manager = schema.Manager + "-lock"

// value is *p, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// leases is the client for the Leases of a namespace.
func leases(client dynamic.Interface, namespace string) dynamic.ResourceInterface {
	return client.Resource(coordinationv1.SchemeGroupVersion.WithResource("leases")).Namespace(namespace)
}

// Forget deletes the Lease of an environment that is no more, held or not.
func Forget(ctx context.Context, client dynamic.Interface, env, namespace string) error {
	err := leases(client, namespace).Delete(ctx, schema.ParentName(env), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
