package health

import (
	"maps"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
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
	about       map[types.UID]types.UID // of an event
	related     beside
	logs        map[LogKey]string
	waits       map[*subscription]struct{}
	clock       clock

	named    func(name string) bool // nil: any is kept
	expected map[string]bool        // beside those
	whole    map[string]bool        // of which nothing is dropped; nil: of none
	most     int64                  // of the members, and of what explains them; zero: no bound
	weight   int64                  // of the members
}

func newStore(opts Options) *store {
	return &store{
		named: opts.Named, expected: map[string]bool{}, most: opts.Most,
		members: map[objectKey]member{}, claims: map[types.UID]*corev1.PersistentVolumeClaim{}, events: map[types.UID]map[types.UID]*corev1.Event{},
		replicaSets: newChildren[*appsv1.ReplicaSet](), revisions: newChildren[*appsv1.ControllerRevision](), pods: newChildren[*corev1.Pod](),
		about: map[types.UID]types.UID{}, related: beside{of: map[types.UID]int64{}},
		logs: map[LogKey]string{}, waits: map[*subscription]struct{}{},
	}
}

// relatedTo gathers what belongs to a member.
func (s *store) relatedTo(key objectKey) Related {
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
	r := s.relatedTo(key)
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
