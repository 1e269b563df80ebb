package health

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

// member is an object of the ApplySet as last seen.
type member struct {
	obj   *unstructured.Unstructured // nil: the API server says that it is gone
	last  *unstructured.Unstructured // of a gone object: what it was
	note  string                     // how it is read, where that is not by a watch
	err   error                      // why it cannot be read
	wrote *Write                     // who wrote it last

	weight int64 // of obj
}

// errTooMuch is why an object is not judged: whoever may write the others wrote too much.
var errTooMuch = errors.New("the objects of its environment take too much memory: look for large ones, and for what others wrote into them")

// slim drops the managed fields where no rule reads them (they are half of many
// objects), and the values of Secrets.
func (m member) slim() {
	if m.obj == nil {
		return
	}
	paused, _, _ := unstructured.NestedBool(m.obj.Object, "spec", "paused") // by whom is told
	if _, ok := builtin(m.obj.GroupVersionKind().GroupKind()); ok && !paused {
		m.obj.SetManagedFields(nil)
	}
	if data, ok := m.obj.Object["data"].(map[string]any); ok && m.obj.GetKind() == "Secret" {
		for key := range data {
			data[key] = ""
		}
	}
}

// lean drops what of a ConfigMap no rule reads: it is there, and that is all.
func (s *store) lean(m member) {
	if m.obj == nil || m.obj.GetKind() != "ConfigMap" || s.whole == nil || s.whole[m.obj.GetName()] {
		return
	}
	delete(m.obj.Object, "data")
	delete(m.obj.Object, "binaryData")
}

// expect keeps objects of a name, whole where a rule of the user's may read all of them.
func (s *store) expect(name string, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected[name] = true
	if whole && s.whole != nil {
		s.whole[name] = true
	}
}

// keeps says whether an object may be asked about. Whoever may write in the namespace can
// put the label on any number of others.
func (s *store) keeps(key objectKey) bool {
	if s.named == nil || s.named(key.name) {
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.expected[key.name]
}

// setMember stores what is known of a member.
func (s *store) setMember(key objectKey, m member) {
	if !s.keeps(key) {
		return
	}
	if m.obj != nil {
		m.wrote = lastWriter(m.obj)
		s.clock.saw(m.obj, time.Now())
	}
	m.slim()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, m)
}

// setUnchanged stores the answer to a GET, unless a watch has brought something
// since it was sent.
func (s *store) setUnchanged(key objectKey, before *unstructured.Unstructured, m member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.obj != nil {
		m.wrote = lastWriter(m.obj)
	}
	m.slim()
	if s.members[key].obj == before {
		s.put(key, m)
	}
}

// put stores a member and marks it with the waits. The caller holds mu.
func (s *store) put(key objectKey, m member) {
	s.lean(m)
	if old := s.members[key]; m.obj == nil {
		m.last = old.last
		if m.last == nil {
			m.last = old.obj
		}
	}
	s.weight -= s.members[key].weight
	if s.most > 0 && m.obj != nil {
		if m.weight = paging.Weight(m.obj.Object); s.weight+m.weight > s.most {
			m = member{err: errTooMuch}
		}
		s.weight += m.weight
	}
	s.members[key] = m
	for sub := range s.waits {
		if _, ok := sub.keys[key]; !ok {
			continue
		}
		if m.obj != nil {
			sub.mu.Lock()
			sub.uids[m.obj.GetUID()] = key
			sub.mu.Unlock()
		}
		sub.mark(key)
	}
}

func (s *store) member(key objectKey) (member, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, ok := s.members[key]
	return m, ok
}

// membersOf lists the members that a stream answers for.
func (s *store) membersOf(key streamKey) []objectKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []objectKey
	for k, m := range s.members {
		if k.GroupVersionResource == key.GroupVersionResource && k.namespace == key.namespace && m.obj != nil {
			out = append(out, k)
		}
	}
	return out
}

// lastSeen keeps the state of an object at its deletion: a Job may be deleted
// because it is done.
func (s *store) lastSeen(key objectKey, obj *unstructured.Unstructured) {
	if !s.keeps(key) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[key]
	m.last = obj
	s.members[key] = m
}

// forget drops a member that nobody waits for.
func (s *store) forget(key objectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.weight -= s.members[key].weight
	delete(s.members, key)
}
