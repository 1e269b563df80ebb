package health

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// streamKey names one LIST and watch.
type streamKey struct {
	schema.GroupVersionResource
	namespace      string
	labels, fields string
}

// stream keeps the store level with one LIST and watch, for as long as its
// context lives: it renews watches that end, lists again after 410 Gone, backs
// off from a server that does not answer, and where listing is forbidden, asks
// for the objects that are wanted one by one.
type stream struct {
	client dynamic.ResourceInterface
	store  *store
	key    streamKey
	sink   sink // nil for members of the ApplySet

	mu     sync.Mutex
	synced time.Time // of the first LIST
	denied error
	checks map[objectKey]struct{} // members to GET
}

func newStream(client dynamic.Interface, s *store, key streamKey) *stream {
	st := &stream{store: s, key: key, checks: map[objectKey]struct{}{}}
	st.client = client.Resource(key.GroupVersionResource)
	if key.namespace != "" {
		st.client = client.Resource(key.GroupVersionResource).Namespace(key.namespace)
	}
	if key.labels == "" {
		st.sink = sinkOf(key)
	}
	return st
}

// How long to wait between attempts at a server that does not answer, and
// between GETs of one object that no watch shows.
const (
	backOffLeast = 200 * time.Millisecond
	backOffMost  = 10 * time.Second
	pollEvery    = time.Second
	deniedEvery  = 30 * time.Second
	pageSize     = 2500
)

func (s *stream) run(ctx context.Context) {
	if s.sink == nil {
		go s.poll(ctx)
	}
	wait := backOffLeast
	for ctx.Err() == nil {
		version, err := s.list(ctx)
		switch {
		case err == nil:
			wait = backOffLeast
			s.follow(ctx, version)
		case apierrors.IsForbidden(err):
			s.deny(err)
			pause(ctx, deniedEvery)
		default:
			pause(ctx, wait)
			wait = min(2*wait, backOffMost)
		}
	}
}

// follow watches from a version on until the server forgets it (410) or
// forbids watching.
func (s *stream) follow(ctx context.Context, version string) {
	wait := backOffLeast
	for ctx.Err() == nil {
		last, err := s.watch(ctx, version)
		if last != version {
			version, wait = last, backOffLeast
		}
		switch {
		case err == nil: // the server ends watches after some minutes
		case apierrors.IsGone(err), apierrors.IsResourceExpired(err):
			return
		case apierrors.IsForbidden(err):
			s.deny(err)
			pause(ctx, deniedEvery)
			return
		}
		pause(ctx, wait)
		wait = min(2*wait, backOffMost)
	}
}

// pause sleeps, up to a third less or more so that many streams do not come
// back at once.
func pause(ctx context.Context, d time.Duration) {
	d += time.Duration((rand.Float64() - 0.5) * float64(d) * 2 / 3)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// deny notes that listing or watching is forbidden: then objects are polled.
func (s *stream) deny(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = err
}

func (s *stream) state() (synced time.Time, denied error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced, s.denied
}

// list reads everything once and returns the version to watch from.
func (s *stream) list(ctx context.Context) (string, error) {
	opts := metav1.ListOptions{LabelSelector: s.key.labels, FieldSelector: s.key.fields, Limit: pageSize}
	var items []unstructured.Unstructured
	for {
		page, err := s.client.List(ctx, opts)
		if err != nil {
			return "", err
		}
		items = append(items, page.Items...)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = nil
	if s.synced.IsZero() {
		s.synced = time.Now()
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

// watch follows one watch to its end and returns the version it came to.
func (s *stream) watch(ctx context.Context, version string) (string, error) {
	opts := metav1.ListOptions{LabelSelector: s.key.labels, FieldSelector: s.key.fields, ResourceVersion: version}
	return Follow(ctx, s.client, opts, func() {}, s.handle)
}

// Follow watches from opts.ResourceVersion to the end of one watch, of five to ten
// minutes, and returns the version it came to: begun is called when the server
// has accepted the watch, seen with every event. A watch that the server ended in
// its own time is no error.
func Follow(ctx context.Context, client dynamic.ResourceInterface, opts metav1.ListOptions,
	begun func(), seen func(watch.EventType, *unstructured.Unstructured),
) (string, error) {
	version := opts.ResourceVersion
	opts.AllowWatchBookmarks, opts.TimeoutSeconds = true, new(300+rand.Int64N(300))
	w, err := client.Watch(ctx, opts)
	if err != nil {
		return version, err
	}
	defer w.Stop()
	begun()
	for event := range w.ResultChan() {
		if event.Type == watch.Error {
			return version, apierrors.FromObject(event.Object)
		}
		obj, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		version = obj.GetResourceVersion()
		if event.Type != watch.Bookmark {
			seen(event.Type, obj)
		}
	}
	return version, nil
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
