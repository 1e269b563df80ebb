package reconcile

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply/health"
)

// stream follows the members of one kind in one namespace and keeps none of them.
// It asks for one object to learn the version that the watch begins at, so that a
// pass that reads everything afterwards and the watch together miss nothing.
type stream struct {
	client   dynamic.ResourceInterface
	selector string
	// seen is called with every event, begun after a version was learned: what
	// happened before it was not seen.
	seen  func(watch.EventType, *unstructured.Unstructured)
	begun func()
	// version is where it is at; empty where that is not known.
	version string

	mu   sync.Mutex
	down time.Time // since when there is no watch; zero while there is one
	last error     // why
	// denied says that there is no right to watch: then only passes over
	// everything see a change.
	denied bool
}

const (
	streamBackOffLeast = 200 * time.Millisecond
	streamBackOffMost  = 30 * time.Second
	streamDenied       = 5 * time.Minute // between attempts where the right is missing
)

// run follows until ctx ends.
func (s *stream) run(ctx context.Context) {
	wait := streamBackOffLeast
	for ctx.Err() == nil {
		var err error
		if s.version == "" {
			if s.version, err = s.start(ctx); err == nil {
				s.begun()
			}
		}
		if err == nil {
			var next string
			next, err = s.follow(ctx, s.version)
			if next != s.version {
				s.version, wait = next, streamBackOffLeast
				if err == nil {
					continue // the server ends watches after some minutes
				}
			}
		}
		switch {
		case apierrors.IsForbidden(err):
			s.deny()
			sleep(ctx, streamDenied)
			continue
		case apierrors.IsGone(err), apierrors.IsResourceExpired(err):
			s.version = ""
		}
		s.ended(err)
		sleep(ctx, wait)
		wait = min(2*wait, streamBackOffMost)
	}
}

// start learns the version that everything is at.
func (s *stream) start(ctx context.Context) (string, error) {
	list, err := s.client.List(ctx, metav1.ListOptions{LabelSelector: s.selector, Limit: 1})
	if err != nil {
		return "", err
	}
	return list.GetResourceVersion(), nil
}

// follow watches to the end of one watch and returns the version it came to.
func (s *stream) follow(ctx context.Context, version string) (string, error) {
	defer s.ended(nil)
	opts := metav1.ListOptions{LabelSelector: s.selector, ResourceVersion: version}
	return health.Follow(ctx, s.client, opts, s.established, s.seen)
}

func (s *stream) established() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.last, s.denied = time.Time{}, nil, false
}

func (s *stream) deny() {
	s.mu.Lock()
	s.down, s.last, s.denied = time.Time{}, nil, true
	s.mu.Unlock()
	s.begun()
}

func (s *stream) isDenied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denied
}

func (s *stream) ended(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down.IsZero() {
		s.down = time.Now()
	}
	if err != nil {
		s.last = err
	}
}

// blind says why changes have not been seen for longer than the renewal of a
// watch takes, or nil.
func (s *stream) blind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down.IsZero() || time.Since(s.down) < 3*time.Second:
		return nil
	case s.last == nil:
		return errNoWatch
	}
	return s.last
}

var errNoWatch = errors.New("the API server does not answer")

// sleep waits, up to a third less or more, so that many do not come back at once.
func sleep(ctx context.Context, d time.Duration) {
	d += time.Duration((rand.Float64() - 0.5) * float64(d) * 2 / 3)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
