package lock

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestObservation judges a Lease that another machine holds.
func TestObservation(t *testing.T) {
	start := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	lease := func(version, holder string, renewed time.Time) *coordinationv1.Lease {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
		l.Spec.LeaseDurationSeconds = new(int32(30))
		l.Spec.RenewTime = new(metav1.NewMicroTime(renewed))
		if holder != "" {
			l.Spec.HolderIdentity = &holder
		}
		return l
	}
	type look struct {
		at    time.Duration // since start
		lease *coordinationv1.Lease
	}
	for _, test := range []struct {
		name           string
		looks          []look
		free, expiring bool
	}{
		{"nobody holds it", []look{{0, lease("1", "", start)}}, true, false},
		{"just renewed", []look{{0, lease("1", "a", start)}}, false, false},
		{"renewed long ago by its holder's clock, and seen for the first time", []look{{0, lease("1", "a", start.Add(-time.Hour))}}, false, true},
		{"the same for less than its duration", []look{{0, lease("1", "a", start.Add(-time.Hour))}, {29 * time.Second, lease("1", "a", start.Add(-time.Hour))}}, false, true},
		{"the same for its duration", []look{{0, lease("1", "a", start.Add(-time.Hour))}, {30 * time.Second, lease("1", "a", start.Add(-time.Hour))}}, true, true},
		{"its holder's clock is behind, but it was renewed meanwhile", []look{{0, lease("1", "a", start.Add(-time.Hour))}, {30 * time.Second, lease("2", "a", start.Add(-time.Hour))}}, false, false},
		{"its holder's clock is ahead, and it died", []look{{0, lease("1", "a", start.Add(time.Hour))}, {30 * time.Second, lease("1", "a", start.Add(time.Hour))}}, true, false},
		{"another holder", []look{{0, lease("1", "a", start)}, {30 * time.Second, lease("2", "b", start.Add(30*time.Second))}}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var o observation
			var now time.Time
			for _, l := range test.looks {
				now = start.Add(l.at)
				o.look(l.lease, now)
			}
			if got := o.free(Holder{}, now); got != test.free {
				t.Errorf("free is %v", got)
			}
			if got := o.expiring(now); got != test.expiring && !test.free {
				t.Errorf("expiring is %v", got)
			}
		})
	}
}

// TestClockSetForward sets the clock forward by more than a lease: who waits does
// not take the lock for it, who holds it writes no more.
func TestClockSetForward(t *testing.T) {
	start := time.Now()
	holder := "a"
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1"}}
	lease.Spec.LeaseDurationSeconds = new(int32(30))
	lease.Spec.RenewTime = new(metav1.NewMicroTime(start))
	lease.Spec.HolderIdentity = &holder
	var o observation
	o.look(lease, start)
	later := setForward(start.Add(time.Second), time.Minute)
	if o.free(Holder{}, later) {
		t.Error("a lock that was seen for a second is free by a clock that was set forward")
	}
	if o.free(Holder{}, start.Add(29*time.Second)) || !o.free(Holder{}, start.Add(30*time.Second)) {
		t.Error("the lock is not free after its duration, or before it")
	}
	if got := elapsed(start, later); got != 61*time.Second {
		t.Errorf("the holder counts %s", got)
	}
	l := &Lock{duration: 30 * time.Second, lease: &coordinationv1.Lease{}, renewed: start}
	if err := l.expires(later); err == nil || !strings.Contains(err.Error(), "the clock of this machine went forward by 1m0s since it was renewed") {
		t.Errorf("the holder is told: %v", err)
	}
	if err := l.expires(start.Add(21 * time.Second)); err == nil || !strings.Contains(err.Error(), "was not renewed for 21s") {
		t.Errorf("without a clock that was set, the holder is told: %v", err)
	}
}

// TestClockBehind names the clocks where the last renewal lies in the future of who
// looks: whether its holder lives is not to be seen at once.
func TestClockBehind(t *testing.T) {
	now := time.Now()
	for ahead, said := range map[time.Duration]bool{-time.Minute: false, time.Second: false, 40 * time.Second: true} {
		holder := "a"
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1"}}
		lease.Spec.HolderIdentity, lease.Spec.RenewTime = &holder, new(metav1.NewMicroTime(now.Add(ahead)))
		var o observation
		o.look(lease, now)
		err := o.held("prod", now).Error()
		if strings.Contains(err, "lies 40s ahead of this machine's clock: one of the two clocks is wrong") != said {
			t.Errorf("renewed %s ahead: %s", ahead, err)
		}
	}
}

// setForward is t on a wall clock that was set forward while the monotonic one
// went on: the first word of a time.Time with a monotonic reading has the seconds
// of the wall clock above 30 bits of nanoseconds.
func setForward(t time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(by/time.Second) << 30
	return t
}

// TestLockCheck lets no write start that could end after the lease does.
func TestLockCheck(t *testing.T) {
	for _, test := range []struct {
		since time.Duration
		ok    bool
	}{{0, true}, {19 * time.Second, true}, {21 * time.Second, false}, {31 * time.Second, false}} {
		l := &Lock{duration: 30 * time.Second, lease: &coordinationv1.Lease{}, renewed: time.Now().Add(-test.since)}
		if err := l.Check(); (err == nil) != test.ok {
			t.Errorf("%s after the last renewal: %v", test.since, err)
		}
		l.renewed = time.Now()
		if err := l.Check(); (err == nil) != test.ok {
			t.Errorf("%s after the last renewal, and then renewed: %v: a lost lock stays lost", test.since, err)
		}
	}
}
