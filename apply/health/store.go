package health

import (
	"maps"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// store holds what the streams have read, and tells the waits which of their
// targets it concerns.
type store struct {
	mu          sync.RWMutex
	members     map[objectKey]member
	replicaSets children[*appsv1.ReplicaSet]
	revisions   children[*appsv1.ControllerRevision]
	pods        children[*corev1.Pod]
	claims      map[types.UID]*corev1.PersistentVolumeClaim
	classes     map[types.UID]*storagev1.StorageClass // nil: not read
	events      map[types.UID]map[types.UID]*corev1.Event
	logs        map[LogKey]string
	waits       map[*subscription]struct{}
	clock       clock
}

// member is an object of the ApplySet as last seen.
type member struct {
	obj  *unstructured.Unstructured // nil: the API server says that it is gone
	last *unstructured.Unstructured // of a gone object: what it was
	note string                     // how it is read, where that is not by a watch
	err  error                      // why it cannot be read
}

// slim drops the managed fields where no rule reads them (they are half of many
// objects), and the values of Secrets.
func (m member) slim() {
	if m.obj == nil {
		return
	}
	if _, ok := builtin(m.obj.GroupVersionKind().GroupKind()); ok {
		m.obj.SetManagedFields(nil)
	}
	if data, ok := m.obj.Object["data"].(map[string]any); ok && m.obj.GetKind() == "Secret" {
		for key := range data {
			data[key] = ""
		}
	}
}

func newStore() *store {
	return &store{
		members: map[objectKey]member{}, claims: map[types.UID]*corev1.PersistentVolumeClaim{}, events: map[types.UID]map[types.UID]*corev1.Event{},
		replicaSets: newChildren[*appsv1.ReplicaSet](), revisions: newChildren[*appsv1.ControllerRevision](), pods: newChildren[*corev1.Pod](),
		logs: map[LogKey]string{}, waits: map[*subscription]struct{}{},
	}
}

// children are objects found by their own uid and by their controller's.
type children[T metav1.Object] struct {
	byUID   map[types.UID]T
	byOwner map[types.UID]map[types.UID]T
}

func newChildren[T metav1.Object]() children[T] {
	return children[T]{byUID: map[types.UID]T{}, byOwner: map[types.UID]map[types.UID]T{}}
}

func (c children[T]) put(obj T) {
	uid := obj.GetUID()
	c.remove(uid)
	c.byUID[uid] = obj
	if owner := controller(obj); owner != "" {
		if c.byOwner[owner] == nil {
			c.byOwner[owner] = map[types.UID]T{}
		}
		c.byOwner[owner][uid] = obj
	}
}

func (c children[T]) remove(uid types.UID) {
	old, ok := c.byUID[uid]
	if !ok {
		return
	}
	delete(c.byUID, uid)
	if owner := controller(old); owner != "" {
		delete(c.byOwner[owner], uid)
		if len(c.byOwner[owner]) == 0 {
			delete(c.byOwner, owner)
		}
	}
}

func (c children[T]) of(owner types.UID) []T {
	return slices.Collect(maps.Values(c.byOwner[owner]))
}

func controller(obj metav1.Object) types.UID {
	if c := metav1.GetControllerOf(obj); c != nil {
		return c.UID
	}
	return ""
}

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
	select {
	case sub.signal <- struct{}{}:
	default:
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

// setMember stores what is known of a member.
func (s *store) setMember(key objectKey, m member) {
	if m.obj != nil {
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
	m.slim()
	if s.members[key].obj == before {
		s.put(key, m)
	}
}

// put stores a member and marks it with the waits. The caller holds mu.
func (s *store) put(key objectKey, m member) {
	if old := s.members[key]; m.obj == nil {
		m.last = old.last
		if m.last == nil {
			m.last = old.obj
		}
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

// related gathers what belongs to a member.
func (s *store) related(key objectKey) Related {
	s.mu.RLock()
	defer s.mu.RUnlock()
	obj := s.members[key].obj
	if obj == nil {
		return Related{}
	}
	uid := obj.GetUID()
	r := Related{ReplicaSets: s.replicaSets.of(uid), Revisions: s.revisions.of(uid), Pods: s.pods.of(uid), Logs: map[LogKey]string{}}
	owners := []types.UID{uid}
	if rs := newestOf(r.ReplicaSets); rs != nil {
		r.Pods = append(r.Pods, s.pods.of(rs.UID)...)
		owners = append(owners, rs.UID)
	}
	for _, p := range r.Pods {
		owners = append(owners, p.UID)
	}
	switch key.Resource {
	case "persistentvolumeclaims":
		for _, p := range s.pods.byUID {
			if p.Namespace == key.namespace {
				r.Pods = append(r.Pods, p)
			}
		}
	default:
		for _, c := range s.claims {
			if c.Namespace == key.namespace && mounted(c, r.Pods) {
				r.Claims = append(r.Claims, c)
				owners = append(owners, c.UID)
			}
		}
	}
	if s.classes != nil {
		r.Classes = append(make([]*storagev1.StorageClass, 0, len(s.classes)), slices.Collect(maps.Values(s.classes))...)
	}
	for _, o := range owners {
		r.Events = slices.AppendSeq(r.Events, maps.Values(s.events[o]))
	}
	pods := make(map[types.UID]bool, len(r.Pods))
	for _, p := range r.Pods {
		pods[p.UID] = true
	}
	for k, log := range s.logs {
		if pods[k.Pod] || k.Pod == uid {
			r.Logs[k] = log
		}
	}
	return r
}

func newestOf(sets []*appsv1.ReplicaSet) *appsv1.ReplicaSet {
	var newest *appsv1.ReplicaSet
	for _, rs := range sets {
		if newest == nil || revisionOf(rs) > revisionOf(newest) {
			newest = rs
		}
	}
	return newest
}

func mounted(claim *corev1.PersistentVolumeClaim, pods []*corev1.Pod) bool {
	return consumer(claim, pods) != nil
}

// mountsClaims says whether a pod of the member waits with a claim.
func (s *store) mountsClaims(key objectKey) bool {
	r := s.related(key)
	for _, p := range r.Pods {
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim != nil && !ready(p) {
				return true
			}
		}
	}
	return false
}

func (s *store) putLog(key LogKey, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs[key] = text
	s.touch(key.Pod)
}

func (s *store) log(key LogKey) (string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	text, ok := s.logs[key]
	return text, ok
}

// The sinks: how each kind of stream stores what it reads.

// sink stores the objects of one stream.
type sink interface {
	put(s *store, obj *unstructured.Unstructured) error
	remove(s *store, uid types.UID)
	// begin is called before a LIST is stored, with the stream's namespace, and
	// returns the uids that are stored now.
	begin(s *store, namespace string) []types.UID
}

func sinkOf(key streamKey) sink {
	switch key.GroupVersionResource {
	case podsResource():
		return childSink[corev1.Pod, *corev1.Pod]{in: func(s *store) children[*corev1.Pod] { return s.pods }, slim: slimPod}
	case replicaSetsResource():
		return childSink[appsv1.ReplicaSet, *appsv1.ReplicaSet]{in: func(s *store) children[*appsv1.ReplicaSet] { return s.replicaSets }}
	case revisionsResource():
		return childSink[appsv1.ControllerRevision, *appsv1.ControllerRevision]{in: func(s *store) children[*appsv1.ControllerRevision] { return s.revisions }, slim: func(r *appsv1.ControllerRevision) {
			r.Data.Raw = nil
		}}
	case eventsResource():
		return eventSink{}
	case claimsResource():
		return claimSink{}
	case classesResource():
		return classSink{}
	}
	return nil
}

// slimPod drops what no rule reads: above all the values of env.
func slimPod(p *corev1.Pod) {
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			c := &list[i]
			c.Env, c.EnvFrom, c.VolumeMounts, c.Command, c.Args = nil, nil, nil, nil, nil
		}
	}
	p.Spec.Affinity, p.Spec.Tolerations, p.Spec.EphemeralContainers = nil, nil, nil
}

// object is a pointer to a typed object.
type object[T any] interface {
	*T
	metav1.Object
}

type childSink[T any, P object[T]] struct {
	in   func(*store) children[P]
	slim func(P)
}

func (c childSink[T, P]) put(s *store, obj *unstructured.Unstructured) error {
	typed, err := as[T](obj)
	if err != nil {
		return err
	}
	p := P(typed)
	if c.slim != nil {
		c.slim(p)
	}
	c.in(s).put(p)
	s.touch(p.GetUID(), controller(p))
	return nil
}

func (c childSink[T, P]) remove(s *store, uid types.UID) {
	old, ok := c.in(s).byUID[uid]
	if !ok {
		return
	}
	s.touch(uid, controller(old))
	c.in(s).remove(uid)
}

func (c childSink[T, P]) begin(s *store, namespace string) []types.UID {
	var out []types.UID
	for uid, obj := range c.in(s).byUID {
		if obj.GetNamespace() == namespace {
			out = append(out, uid)
		}
	}
	return out
}

type eventSink struct{}

func (eventSink) put(s *store, obj *unstructured.Unstructured) error {
	e, err := as[corev1.Event](obj)
	if err != nil {
		return err
	}
	about := e.InvolvedObject.UID
	if s.events[about] == nil {
		s.events[about] = map[types.UID]*corev1.Event{}
	}
	s.events[about][e.UID] = e
	s.touch(about)
	return nil
}

func (eventSink) remove(s *store, uid types.UID) {
	for about, of := range s.events {
		if _, ok := of[uid]; ok {
			delete(of, uid)
			if len(of) == 0 {
				delete(s.events, about)
			}
			return
		}
	}
}

func (eventSink) begin(s *store, namespace string) []types.UID {
	var out []types.UID
	for _, of := range s.events {
		for uid, e := range of {
			if e.Namespace == namespace {
				out = append(out, uid)
			}
		}
	}
	return out
}

type claimSink struct{}

func (claimSink) put(s *store, obj *unstructured.Unstructured) error {
	c, err := as[corev1.PersistentVolumeClaim](obj)
	if err != nil {
		return err
	}
	s.claims[c.UID] = c
	return nil
}

func (claimSink) remove(s *store, uid types.UID) { delete(s.claims, uid) }

func (claimSink) begin(s *store, namespace string) []types.UID {
	var out []types.UID
	for uid, c := range s.claims {
		if c.Namespace == namespace {
			out = append(out, uid)
		}
	}
	return out
}

type classSink struct{}

func (classSink) put(s *store, obj *unstructured.Unstructured) error {
	c, err := as[storagev1.StorageClass](obj)
	if err != nil {
		return err
	}
	s.classes[c.UID] = c
	return nil
}

func (classSink) remove(s *store, uid types.UID) { delete(s.classes, uid) }

func (classSink) begin(s *store, _ string) []types.UID {
	if s.classes == nil {
		s.classes = map[types.UID]*storagev1.StorageClass{}
	}
	return slices.Collect(maps.Keys(s.classes))
}
