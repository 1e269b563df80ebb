package health

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
)

// getWithin bounds one GET.
const getWithin = 10 * time.Second

// check has a member asked for by name.
func (s *stream) check(key objectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks[key] = struct{}{}
}

// poll GETs the members that the watch does not show: those that left the
// selector or never had the label, and all where watching is forbidden. It asks
// again as long as somebody waits for them.
func (s *stream) poll(ctx context.Context) {
	for ctx.Err() == nil {
		keys, began := s.toCheck(), time.Now()
		var unanswered error
		for _, key := range keys {
			if err := contain.Call(func() error { return s.get(ctx, key) }); err != nil {
				unanswered = err
			}
		}
		if len(keys) > 0 {
			s.round(began, unanswered)
		}
		_ = pause.About(ctx, pollEvery)
	}
}

// round notes how a round of GETs went.
func (s *stream) round(began time.Time, unanswered error) {
	s.mu.Lock()
	s.unpolled = unanswered
	if unanswered == nil {
		s.polled = began
	}
	s.mu.Unlock()
	s.store.wake()
}

func (s *stream) toCheck() []objectKey {
	if s.denied() != nil {
		for _, key := range s.store.wantedOf(s.key) {
			s.check(key)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]objectKey, 0, len(s.checks))
	for key := range s.checks {
		out = append(out, key)
	}
	return out
}

// get asks for one member and decides whether it is to be asked for again. It
// returns why there was no answer.
func (s *stream) get(ctx context.Context, key objectKey) error {
	if !s.store.wanted(key) {
		s.done(key)
		s.store.forget(key)
		return nil
	}
	before, _ := s.store.member(key)
	ctx, cancel := context.WithTimeout(ctx, getWithin)
	defer cancel()
	obj, err := s.client.Get(ctx, key.name, metav1.GetOptions{})
	switch {
	case err == nil && s.denied() != nil:
		s.store.setMember(key, member{obj: obj, note: "polled: no right to watch " + key.Resource})
	case err == nil && s.matches(obj):
		s.done(key) // the watch shows it, or will
		s.compare(before.obj, obj)
		s.store.setUnchanged(key, before.obj, member{obj: obj})
	case err == nil:
		s.store.setMember(key, member{obj: obj, note: "polled: it lacks the label of its environment"})
	case apierrors.IsNotFound(err):
		s.done(key)
		s.store.setUnchanged(key, before.obj, member{})
	case apierrors.IsForbidden(err):
		s.store.setMember(key, member{err: err})
	default:
		return err
	}
	return nil
}

// matches says whether the label selector selects an object.
func (s *stream) matches(obj *unstructured.Unstructured) bool {
	selector, err := labels.Parse(s.key.labels)
	return err == nil && selector.Matches(labels.Set(obj.GetLabels()))
}

func (s *stream) done(key objectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.checks, key)
}
