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

// list reads everything once and returns the version to watch from.
func (s *stream) list(ctx context.Context) (string, error) {
	opts := metav1.ListOptions{LabelSelector: s.key.labels, FieldSelector: s.key.fields, Limit: pageSize}
	var items []unstructured.Unstructured
	for {
		page, err := s.client.List(ctx, opts)
		if less, ok := paging.Smaller(err, opts.Limit); ok {
			opts.Limit = less
			continue
		}
		if err != nil {
			return "", err
		}
		for i := range page.Items {
			if s.sink != nil || s.store.keeps(s.memberKey(&page.Items[i])) {
				items = append(items, page.Items[i])
			}
		}
		if opts.Continue = page.GetContinue(); opts.Continue == "" {
			s.replace(items)
			return page.GetResourceVersion(), nil
		}
	}
}

func (s *stream) replace(items []unstructured.Unstructured) {
	if s.sink == nil {
		s.replaceMembers(items)
	} else {
		s.replaceRelated(items)
	}
}

func (s *stream) replaceMembers(items []unstructured.Unstructured) {
	seen := make(map[objectKey]struct{}, len(items))
	for i := range items {
		key := s.memberKey(&items[i])
		seen[key] = struct{}{}
		s.store.setMember(key, member{obj: &items[i]})
	}
	for _, key := range s.store.membersOf(s.key) {
		if _, ok := seen[key]; !ok {
			s.check(key)
		}
	}
}

func (s *stream) replaceRelated(items []unstructured.Unstructured) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	stale := map[types.UID]struct{}{}
	for _, uid := range s.sink.begin(s.store, s.key.namespace) {
		stale[uid] = struct{}{}
	}
	for i := range items {
		delete(stale, items[i].GetUID())
		// What does not fit its type cannot explain anything; the state of the
		// object that it belongs to is judged without it.
		_ = s.sink.put(s.store, &items[i])
	}
	for uid := range stale {
		s.sink.remove(s.store, uid)
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
		s.sink.remove(s.store, obj.GetUID())
		return
	}
	_ = s.sink.put(s.store, obj) // see replaceRelated
}
