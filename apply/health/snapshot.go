package health

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// requestsAtOnce bounds the LISTs and GETs of a snapshot.
const requestsAtOnce = 8

// Snapshot judges the targets once, by LISTs: one per kind and namespace, one
// per namespace for pods, warnings and the like where something is not healthy,
// and one GET for each object that lacks its label. What cannot be read is
// unknown; what does not exist has failed.
func (w *Watcher) Snapshot(ctx context.Context, targets []Target) ([]Update, error) {
	// Its own store: the lists are of one moment, and end with the call.
	once := &Watcher{ctx: ctx, client: w.client, mapper: w.mapper, selector: w.selector, opts: w.opts, store: newStore(w.opts), streams: map[streamKey]*stream{}, noStatus: map[schema.GroupVersionResource]*probeAnswer{}}
	once.store.whole = map[string]bool{} // all targets are known before the first list
	once.logs = newLogFetcher(ctx, w.opts.Logs, once.store)
	s := &snapshot{w: once, updates: make([]Update, len(targets)), tracked: make([]*tracked, len(targets)), listed: map[streamKey]bool{}}
	return s.take(ctx, targets)
}

type snapshot struct {
	w       *Watcher
	tracked []*tracked
	updates []Update
	listed  map[streamKey]bool
}

func (s *snapshot) take(ctx context.Context, targets []Target) ([]Update, error) {
	var members []streamKey
	for i, target := range targets {
		t, err := s.w.track(ctx, target)
		switch {
		case absent(err):
			s.updates[i] = unserved(target)
			continue
		case err != nil:
			return nil, err
		}
		s.tracked[i] = t
		members = append(members, s.w.memberStream(t.key))
	}
	if err := s.list(ctx, members); err != nil {
		return nil, err
	}
	if err := s.getMissing(ctx); err != nil {
		return nil, err
	}
	s.judge()
	if err := s.explain(ctx); err != nil {
		return nil, err
	}
	s.judge()
	return s.updates, nil
}

// list reads each stream once. Lists that are forbidden leave their objects to
// be asked for by name, or unexplained.
func (s *snapshot) list(ctx context.Context, keys []streamKey) error {
	group, ctx := contain.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for _, key := range keys {
		if s.listed[key] {
			continue
		}
		s.listed[key] = true
		group.Go(func() error {
			_, err := newStream(s.w.client, s.w.store, key).list(ctx)
			if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("list %s: %w", key.Resource, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *snapshot) getMissing(ctx context.Context) error {
	group, ctx := contain.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for _, t := range s.tracked {
		if t == nil {
			continue
		}
		if _, known := s.w.store.member(t.key); known {
			continue
		}
		group.Go(func() error {
			obj, err := s.w.client.Resource(t.key.GroupVersionResource).Namespace(t.key.namespace).Get(ctx, t.key.name, metav1.GetOptions{})
			switch {
			case err == nil:
				s.w.store.setMember(t.key, member{obj: obj, note: "it lacks the label of its environment"})
			case apierrors.IsNotFound(err):
				s.w.store.setMember(t.key, member{})
			case apierrors.IsForbidden(err):
				s.w.store.setMember(t.key, member{err: err})
			default:
				return fmt.Errorf("%s: %w", t, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *snapshot) judge() {
	now := time.Now()
	for i, t := range s.tracked {
		if t == nil {
			continue
		}
		m, _ := s.w.store.member(t.key)
		v := missing()
		switch {
		case m.err != nil:
			v = unknown("readable", oneLine(m.err.Error(), 300))
		case t.Done && away(m.obj):
			v = deletedJob()
		case m.obj != nil:
			v = judge(m.obj, t.rule, s.w.related(t, time.Time{}), s.w.store.clock.server(now))
		}
		if v.State != Healthy {
			v.note(s.w.store.unexplained())
		}
		if m.note != "" && v.State == Healthy {
			v.Message = join(v.Message, m.note)
		}
		s.updates[i] = s.w.update(t, v, now)
		t.crash = v.crash
	}
}

// explain reads what tells why objects are not healthy: first the pods and
// warnings, then the claims of these pods and the logs of those that crashed.
func (s *snapshot) explain(ctx context.Context) error {
	var keys []streamKey
	for t := range s.unhealthy() {
		keys = append(keys, relatedStreams(t.GVK.GroupKind(), t.Namespace)...)
	}
	if err := s.list(ctx, keys); err != nil {
		return err
	}
	s.judge()

	keys = nil
	group := contain.NewGroup()
	group.SetLimit(logsAtOnce)
	for t, u := range s.unhealthy() {
		if s.w.store.mountsClaims(t.key) {
			keys = append(keys, streamKey{GroupVersionResource: claimsResource(), namespace: t.Namespace})
		}
		if t.crash != nil && s.w.opts.Logs != nil {
			group.Go(func() error { s.w.logs.fetchNow(t.crash); return nil })
		}
		if unreported(u.Result) && s.w.firstProbe(t.key.GroupVersionResource) {
			group.Go(func() error { s.w.answerProbe(ctx, t.key); return nil })
		}
	}
	return errors.Join(s.list(ctx, keys), group.Wait())
}

// unhealthy goes through the targets that the last judgement left so.
func (s *snapshot) unhealthy() iter.Seq2[*tracked, Update] {
	return func(yield func(*tracked, Update) bool) {
		for i, t := range s.tracked {
			if t != nil && s.updates[i].State != Healthy && !yield(t, s.updates[i]) {
				return
			}
		}
	}
}
