package lock

import (
	"math"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestAbsurdLease believes no Lease for years.
func TestAbsurdLease(t *testing.T) {
	start := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name    string
		seconds int32
		renewed time.Time
		worth   bool // watching it to its end
	}{
		{"for 63 years", 2_000_000_000, start, false},
		{"for 63 years, and renewed an hour ago", 2_000_000_000, start.Add(-time.Hour), true},
		{"for less than nothing", -1, start, false},
		{"renewed in the year 9999", 45, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), true},
		{"renewed in the year 9999, for 63 years", 2_000_000_000, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), true},
		{"renewed by a clock that is a minute ahead", 45, start.Add(time.Minute), false},
	} {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1"}}
		l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds = new("somebody"), new(test.seconds)
		l.Spec.RenewTime = new(metav1.NewMicroTime(test.renewed))
		var o observation
		o.look(l, start)
		if o.free(Holder{}, start) {
			t.Errorf("%s: it is taken at once", test.name)
		}
		if got := o.expiring(start); got != test.worth {
			t.Errorf("%s: expiring is %v", test.name, got)
		}
		if got := o.worth(0, start); got != test.worth {
			t.Errorf("%s: watched where no time is given: %v", test.name, got)
		}
		if o.worth(time.Second, start) {
			t.Errorf("%s: it is watched for longer than a second", test.name)
		}
		if !o.free(Holder{}, start.Add(longestLock)) {
			t.Errorf("%s: it holds for more than %s", test.name, longestLock)
		}
	}
}

// TestHighestCount takes a Lease that was taken as often as can be counted.
func TestHighestCount(t *testing.T) {
	l := &coordinationv1.Lease{}
	for _, count := range []int32{0, 1, math.MaxInt32 - 1, math.MaxInt32} {
		l.Spec.LeaseTransitions = new(count)
		if got := taken(l, Request{Duration: time.Minute}).Spec.LeaseTransitions; *got <= 0 || *got != count%math.MaxInt32+1 {
			t.Errorf("after %d comes %d", count, *got)
		}
	}
}

func FuzzLease(f *testing.F) {
	f.Add(`{"host":"a","pid":1,"run":"b"}`, "a/1/b", int32(45), int64(0))
	f.Add("null", "\x1b[2J", int32(math.MaxInt32), int64(math.MaxInt64))
	f.Add(`{"pid":-1}`, "/-1/", int32(math.MinInt32), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, annotation, identity string, seconds int32, renewed int64) {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1", Annotations: map[string]string{holderAnnotation: annotation}}}
		l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds = &identity, &seconds
		l.Spec.RenewTime = new(metav1.NewMicroTime(time.Unix(renewed, 0)))
		now := time.Now()
		var o observation
		o.look(l, now)
		_, _, _ = o.expiring(now), o.held("a", now).Error(), o.holder.String()
		if !o.free(ThisProcess(""), now.Add(longestLock)) {
			t.Error("it holds longer than is believed")
		}
	})
}
