package reconcile

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// elect leads whenever it is this replica's turn, until ctx ends. The locks of the
// environments hold all the same: should two replicas believe to lead for a moment,
// they write one after the other.
func (d *daemon) elect(ctx context.Context) error {
	l := d.opts.Lease
	client, err := coordinationv1.NewForConfig(l.Config)
	if err != nil {
		return err
	}
	duration := cmp.Or(l.Duration, 15*time.Second)
	lock := &seenLock{most: duration, Interface: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: cmp.Or(d.opts.Replica, "evenkeel") + "/" + rand.Text()[:8]},
	}}
	for ctx.Err() == nil {
		d.wait(lock)
		// The election goes on until the work has ended, so that the lease is not
		// given away before that.
		electing, stop := context.WithCancel(context.WithoutCancel(ctx))
		ended := context.AfterFunc(ctx, func() {
			d.work.Lock()
			defer d.work.Unlock()
			stop()
		})
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: duration, RenewDeadline: duration * 2 / 3, RetryPeriod: duration / 8,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(lost context.Context) { d.turn(ctx, lost) },
				OnStoppedLeading: func() {},
			},
		})
		if err != nil {
			ended()
			stop()
			return err
		}
		d.log.Info("waits for the lease", "lease", l.Namespace+"/"+l.Name)
		elector.Run(electing)
		stop()
		d.work.Lock()   // until the work of this turn has ended
		d.work.Unlock() //nolint:staticcheck // only the wait matters
		ended()
		if ctx.Err() == nil {
			d.log.Warn("lost the lease")
		}
	}
	return nil
}

// turn leads until ctx ends or the lease is lost.
func (d *daemon) turn(ctx, lost context.Context) {
	d.work.Lock()
	defer d.work.Unlock()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(lost, stop)()
	if ctx.Err() != nil {
		return
	}
	d.wait(nil)
	d.metrics.leader.Set(1)
	defer d.metrics.leader.Set(0)
	d.log.Info("leads")
	d.lead(ctx)
}

// wait notes that this replica waits for the lease; nil means that it leads.
func (d *daemon) wait(lease *seenLock) {
	d.elected.Lock()
	defer d.elected.Unlock()
	d.lease = lease
}

func (d *daemon) waiting() *seenLock {
	d.elected.Lock()
	defer d.elected.Unlock()
	return d.lease
}

// seenLock is a lock that remembers when it was read: the election does so every few
// seconds.
type seenLock struct {
	resourcelock.Interface
	most time.Duration // between two reads

	mu  sync.Mutex
	at  time.Time
	err error
}

// Get implements resourcelock.Interface.
func (l *seenLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.err = time.Now(), err
	if apierrors.IsNotFound(err) {
		l.err = nil // it is about to be made
	}
	return record, raw, err
}

// ready says why the lease cannot be seen, or nil.
func (l *seenLock) ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch since := time.Since(l.at); {
	case l.at.IsZero():
		return errors.New("the lease has not been read yet")
	case l.err != nil:
		return errors.New(unquoted("the lease", l.err))
	case since > l.most:
		return fmt.Errorf("the lease was last read %s ago", since.Round(time.Second))
	}
	return nil
}
