package health

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// subscription is where one wait hears of changes.
type subscription struct {
	mu     sync.Mutex
	keys   map[objectKey]struct{} // all that it waits for
	uids   map[types.UID]objectKey
	dirty  map[objectKey]struct{}
	signal chan struct{}
}

func (s *store) subscribe(keys []objectKey) *subscription {
	sub := &subscription{keys: map[objectKey]struct{}{}, uids: map[types.UID]objectKey{}, dirty: map[objectKey]struct{}{}, signal: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		sub.keys[k] = struct{}{}
		sub.dirty[k] = struct{}{}
		if m := s.members[k]; m.obj != nil {
			sub.uids[m.obj.GetUID()] = k
		}
	}
	sub.signal <- struct{}{}
	s.waits[sub] = struct{}{}
	return sub
}

func (s *store) unsubscribe(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waits, sub)
}

// take returns the targets that something has happened to since the last call.
func (sub *subscription) take() map[objectKey]struct{} {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	dirty := sub.dirty
	sub.dirty = map[objectKey]struct{}{}
	return dirty
}

func (sub *subscription) mark(key objectKey) {
	sub.mu.Lock()
	sub.dirty[key] = struct{}{}
	sub.mu.Unlock()
	sub.wake()
}

func (sub *subscription) wake() {
	select {
	case sub.signal <- struct{}{}:
	default:
	}
}

// wake has all waits look at the streams.
func (s *store) wake() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for sub := range s.waits {
		sub.wake()
	}
}

// wanted says whether some wait has the object as its target.
func (s *store) wanted(key objectKey) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for sub := range s.waits {
		if _, ok := sub.keys[key]; ok {
			return true
		}
	}
	return false
}

// touch marks the targets that stand above an object: itself, its controller,
// and the controller of that. The caller holds mu.
func (s *store) touch(uids ...types.UID) {
	for range 2 {
		for _, uid := range uids {
			if rs, ok := s.replicaSets.byUID[uid]; ok {
				uids = append(uids, controller(rs))
			}
			if pod, ok := s.pods.byUID[uid]; ok {
				uids = append(uids, controller(pod))
			}
		}
	}
	for sub := range s.waits {
		for _, uid := range uids {
			sub.mu.Lock()
			key, ok := sub.uids[uid]
			sub.mu.Unlock()
			if ok {
				sub.mark(key)
			}
		}
	}
}

// wantedOf lists the targets that a stream should answer for.
func (s *store) wantedOf(key streamKey) []objectKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []objectKey
	for sub := range s.waits {
		for k := range sub.keys {
			if k.GroupVersionResource == key.GroupVersionResource && k.namespace == key.namespace {
				out = append(out, k)
			}
		}
	}
	return out
}
