package lock

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// longestLock is the longest duration that is believed of another's Lease, and
// clockSkew how far ahead its clock may be.
const (
	longestLock = 5 * time.Minute
	clockSkew   = 10 * time.Minute
	// clocksDiffer is a difference of two clocks that is worth a word.
	clocksDiffer = 2 * time.Second
)

// Held says that another process holds the lock, and keeps it.
type Held struct {
	Environment string
	Holder      Holder
	Since       time.Time
	// Ahead is how far the last renewal, by the holder's clock, lies after this
	// machine's time. A holder that died then looks alive until its lease was watched to
	// the end.
	Ahead time.Duration
	// Absurd says that no run writes such a Lease.
	Absurd bool
}

// Error names the holder.
func (h *Held) Error() string {
	said := fmt.Sprintf("environment %s is locked by %s", h.Environment, h.By())
	if h.Ahead > clocksDiffer {
		said += fmt.Sprintf("; its last renewal lies %s ahead of this machine's clock: one of the two clocks is wrong", h.Ahead.Round(time.Second))
	}
	return said
}

// By is who holds it and since when.
func (h *Held) By() string {
	return fmt.Sprintf("%s since %s", h.Holder, h.Since.UTC().Format(time.RFC3339))
}

// Look says who holds the lock of an environment, and is alive as far as one look
// can tell; nil is nobody. left says that a process of this machine has ended and
// left it held: others, who cannot know, wait for it.
func Look(ctx context.Context, client dynamic.Interface, env, namespace string) (held *Held, left bool, err error) {
	l := &Lock{leases: leases(client, namespace)}
	lease, err := l.read(ctx, schema.ParentName(env))
	if err != nil {
		return nil, false, fmt.Errorf("lock of environment %s: %w", env, err)
	}
	var seen observation
	now, me := time.Now(), ThisProcess("")
	if seen.look(lease, now); seen.free(me, now) || seen.expiring(now) {
		return nil, value(lease.Spec.HolderIdentity) != "" && me.gone(seen.holder), nil
	}
	return seen.held(env, now), false, nil
}

// observation is what a process that wants a lock has seen of its Lease.
type observation struct {
	lease  *coordinationv1.Lease
	holder Holder
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
func (o *observation) free(me Holder, now time.Time) bool {
	return value(o.lease.Spec.HolderIdentity) == "" || o.holder == me || me.gone(o.holder) || watched(o.first, now) >= o.duration()
}

// expiring reports whether the holder looks dead by its own clock, so that
// watching the lease to its end is worth the wait. So does one whose clock is
// that far ahead that no run can have written it.
func (o *observation) expiring(now time.Time) bool {
	age := now.Sub(value(o.lease.Spec.RenewTime).Time)
	return !o.alive && (age > o.duration() || age < -clockSkew)
}

// absurd reports whether no run can have written such a Lease: it lasts longer than is
// believed of one, or was renewed far ahead.
func (o *observation) absurd(now time.Time) bool {
	return time.Duration(value(o.lease.Spec.LeaseDurationSeconds))*time.Second > longestLock ||
		now.Sub(value(o.lease.Spec.RenewTime).Time) < -clockSkew
}

// worth reports whether the Lease is watched beyond the time that its holder is waited for.
func (o *observation) worth(wait time.Duration, now time.Time) bool {
	return o.expiring(now) && (wait == 0 || !o.absurd(now))
}

// duration is how long the Lease says that it outlives its holder, as far as that
// is believed: whoever may write a Lease could else stop an environment for years.
func (o *observation) duration() time.Duration {
	seconds := value(o.lease.Spec.LeaseDurationSeconds)
	if seconds <= 0 {
		return DefaultDuration
	}
	return min(time.Duration(seconds)*time.Second, longestLock)
}

func (o *observation) held(env string, now time.Time) *Held {
	return &Held{
		Environment: env, Holder: o.holder, Since: value(o.lease.Spec.AcquireTime).Time,
		Absurd: o.absurd(now), Ahead: max(0, value(o.lease.Spec.RenewTime).Sub(now)),
	}
}

// watched is how long this process has looked on, by the monotonic clock alone: a
// wall clock that is set forward makes nobody's lease end, and after a sleep the
// Lease is read first.
func watched(a, b time.Time) time.Duration { return b.Sub(a) }

// elapsed is the time from a to b, by whichever clock saw more of it: the
// monotonic clock stands still while the machine sleeps. For a holder the longer
// one is the safe one.
func elapsed(a, b time.Time) time.Duration {
	return max(b.Sub(a), b.Round(0).Sub(a.Round(0)))
}
