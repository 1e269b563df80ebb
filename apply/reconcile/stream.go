package reconcile

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply/follow"
)

// stream follows the members of one kind in one namespace and keeps none of them.
// It asks for one object to learn the version that the watch begins at, so that a
// pass that reads everything afterwards and the watch together miss nothing.
type stream struct {
	*follow.Stream
	// begun is called after a version was learned: what happened before it was not
	// seen.
	begun func()
	// lame is called when watches fail again and again that the server answers.
	lame func()
}

// How long to wait at most between attempts, and where the right is missing.
const (
	streamBackOffMost = 30 * time.Second
	streamDenied      = 5 * time.Minute
)

func newStream(client dynamic.ResourceInterface, selector string, seen func(watch.EventType, *unstructured.Unstructured)) *stream {
	s := &stream{begun: func() {}, lame: func() {}}
	s.Stream = &follow.Stream{
		Client: client, Labels: selector, Read: s.start, Seen: seen, Told: s.told,
		Most: streamBackOffMost, Denied: streamDenied,
	}
	return s
}

// start learns the version that everything is at. Without the right to, only
// passes over everything see a change.
func (s *stream) start(ctx context.Context) (string, error) {
	list, err := s.Client.List(ctx, metav1.ListOptions{LabelSelector: s.Labels, Limit: 1})
	if err == nil || apierrors.IsForbidden(err) {
		defer s.begun()
	}
	if err != nil {
		return "", err
	}
	return list.GetResourceVersion(), nil
}

// lameAfter is how many watches in a row may fail before passes over everything
// come sooner.
const lameAfter = 3

func (s *stream) told() {
	state := s.State()
	var answer apierrors.APIStatus
	if state.Failed == lameAfter && (state.Err == nil || errors.As(state.Err, &answer)) {
		s.lame()
	}
}

// isBlind reports whether only passes see a change: the right to watch is missing,
// or watches fail again and again.
func (s *stream) isBlind() bool {
	state := s.State()
	return state.Denied != nil || state.Failed >= lameAfter
}

// blind says why changes have not been seen for longer than the renewal of a
// watch takes, or nil.
func (s *stream) blind() error {
	state := s.State()
	switch {
	case state.Denied != nil || state.Down.IsZero() || time.Since(state.Down) < 3*time.Second:
		return nil
	case state.Err == nil:
		return errNoWatch
	}
	return state.Err
}

var errNoWatch = errors.New("the API server does not answer")
