package health

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply/follow"
	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

// streamKey names one LIST and watch.
type streamKey struct {
	schema.GroupVersionResource
	namespace      string
	labels, fields string
}

// stream keeps the store level with one LIST and watch (see follow.Stream), and
// where listing or watching is forbidden, asks for the objects that are wanted one
// by one.
type stream struct {
	*follow.Stream
	client dynamic.ResourceInterface
	store  *store
	key    streamKey
	sink   sink // nil for members of the ApplySet

	mu       sync.Mutex
	checks   map[objectKey]struct{} // members to GET
	polled   time.Time              // when the last round of GETs was begun that was answered in full
	unpolled error                  // why the last round was not
	doubted  time.Time              // when the watch was last found to be silent
	patience time.Duration          // how long it may be silent before it is doubted
}

func newStream(client dynamic.Interface, s *store, key streamKey) *stream {
	st := &stream{store: s, key: key, checks: map[objectKey]struct{}{}, patience: patienceFirst}
	st.client = client.Resource(key.GroupVersionResource)
	if key.namespace != "" {
		st.client = client.Resource(key.GroupVersionResource).Namespace(key.namespace)
	}
	if key.labels == "" {
		st.sink = sinkOf(key)
	}
	st.Stream = &follow.Stream{
		Client: st.client, Labels: key.labels, Fields: key.fields,
		Read: st.list, Seen: st.handle, Told: s.wake, ReadAfter: 2, Most: backOffMost, Denied: deniedEvery,
	}
	return st
}

// How long to wait between attempts at a server that does not answer, and
// between GETs of one object that no watch shows.
const (
	backOffMost = 5 * time.Second
	pollEvery   = time.Second
	deniedEvery = 30 * time.Second
	pageSize    = 2500
)

func (s *stream) run(ctx context.Context) {
	if s.sink == nil {
		go s.poll(ctx)
	}
	s.Run(ctx)
}

// denied says that listing or watching is forbidden: then objects are polled.
func (s *stream) denied() error { return s.State().Denied }

// list reads everything once and returns the version to watch from. What a page has is
// stored before the next one is read: nobody knows how many there are.
func (s *stream) list(ctx context.Context) (string, error) {
	opts := metav1.ListOptions{LabelSelector: s.key.labels, FieldSelector: s.key.fields, Limit: pageSize}
	r := s.reading()
	for {
		page, err := s.client.List(ctx, opts)
		if less, ok := paging.Smaller(err, opts.Limit); ok {
			opts.Limit = less
			continue
		}
		if err != nil {
			return "", err
		}
		r.page(page.Items)
		if opts.Continue = page.GetContinue(); opts.Continue == "" {
			r.end()
			return page.GetResourceVersion(), nil
		}
	}
}

// reading is one LIST on its way into the store.
type reading struct {
	*stream

	seen  map[objectKey]struct{} // members
	stale map[types.UID]struct{} // of what explains them: not seen yet
}

func (s *stream) reading() *reading {
	r := &reading{stream: s, seen: map[objectKey]struct{}{}, stale: map[types.UID]struct{}{}}
	if s.sink == nil {
		return r
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	for _, uid := range s.sink.begin(s.store, s.key.namespace) {
		r.stale[uid] = struct{}{}
	}
	return r
}

func (r *reading) page(items []unstructured.Unstructured) {
	if r.sink == nil {
		for i := range items {
			if key := r.memberKey(&items[i]); r.store.keeps(key) {
				r.seen[key] = struct{}{}
				r.store.setMember(key, member{obj: &items[i]})
			}
		}
		return
	}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for i := range items {
		delete(r.stale, items[i].GetUID())
		r.store.putRelated(r.sink, &items[i])
	}
}

// end asks for members that were not seen, and forgets what else was not.
func (r *reading) end() {
	if r.sink == nil {
		for _, key := range r.store.membersOf(r.key) {
			if _, ok := r.seen[key]; !ok {
				r.check(key)
			}
		}
		return
	}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for uid := range r.stale {
		r.store.removeRelated(r.sink, uid)
	}
}

func (s *stream) memberKey(obj *unstructured.Unstructured) objectKey {
	return objectKey{s.key.GroupVersionResource, obj.GetNamespace(), obj.GetName()}
}

func (s *stream) handle(kind watch.EventType, obj *unstructured.Unstructured) {
	if s.sink == nil {
		key := s.memberKey(obj)
		if kind == watch.Deleted {
			// It may only have left the selector: ask.
			s.store.lastSeen(key, obj)
			s.check(key)
			return
		}
		s.store.setMember(key, member{obj: obj})
		return
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if kind == watch.Deleted {
		s.store.removeRelated(s.sink, obj.GetUID())
		return
	}
	s.store.putRelated(s.sink, obj)
}
