package reconcile

import (
	"cmp"
	"context"
	"crypto/rand"
	"time"

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
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: cmp.Or(d.opts.Replica, "evenkeel") + "/" + rand.Text()[:8]},
	}
	duration := cmp.Or(l.Duration, 15*time.Second)
	for ctx.Err() == nil {
		d.wait(func(ctx context.Context) error {
			_, _, err := lock.Get(ctx)
			return err
		})
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

// wait notes that this replica waits for the lease, and how to read it; nil means
// that it leads.
func (d *daemon) wait(lease func(context.Context) error) {
	d.elected.Lock()
	defer d.elected.Unlock()
	d.lease = lease
}

func (d *daemon) waiting() func(context.Context) error {
	d.elected.Lock()
	defer d.elected.Unlock()
	return d.lease
}
