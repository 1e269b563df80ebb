package reconcile

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// countedLock answers what it is set to, and counts how often it was asked.
type countedLock struct {
	resourcelock.Interface
	err   error
	asked int
}

func (l *countedLock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	l.asked++
	return nil, nil, l.err
}

// TestWaitingReady asks a replica that waits for the lease whether it is ready:
// that asks the API server nothing, and follows what the election reads.
func TestWaitingReady(t *testing.T) {
	server := &countedLock{}
	lock := &seenLock{Interface: server, most: time.Hour}
	d := &daemon{}
	d.wait(lock)
	says := func(want string) {
		t.Helper()
		got := ""
		if err := d.ready(); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("ready: %q, want %q", got, want)
		}
	}
	says("not been read yet")
	for _, err := range []error{nil, errors.New("forbidden"), apierrors.NewNotFound(schema.GroupResource{}, "x")} {
		server.err = err
		_, _, _ = lock.Get(t.Context())
		want := ""
		if err != nil && !apierrors.IsNotFound(err) {
			want = "the lease: failed, the log says why"
		}
		for range 10 {
			says(want)
		}
	}
	if server.asked != 3 {
		t.Errorf("the API server was asked %d times, want 3", server.asked)
	}
	lock.at = time.Now().Add(-2 * time.Hour)
	says("last read 2h0m0s ago")
}
