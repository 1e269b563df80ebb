package health

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

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
		return childSink[corev1.Pod, *corev1.Pod]{in: func(s *store) children[*corev1.Pod] { return s.pods }}
	case replicaSetsResource():
		return childSink[appsv1.ReplicaSet, *appsv1.ReplicaSet]{in: func(s *store) children[*appsv1.ReplicaSet] { return s.replicaSets }}
	case revisionsResource():
		return childSink[appsv1.ControllerRevision, *appsv1.ControllerRevision]{in: func(s *store) children[*appsv1.ControllerRevision] { return s.revisions }}
	case eventsResource():
		return eventSink{}
	case claimsResource():
		return claimSink{}
	case classesResource():
		return classSink{}
	}
	return nil
}

// slimRelated drops of an object that explains others what no rule reads: above all the
// values of env, and what anybody may write into annotations.
func slimRelated(obj *unstructured.Unstructured) {
	obj.SetManagedFields(nil)
	annotations := obj.GetAnnotations()
	maps.DeleteFunc(annotations, func(name, _ string) bool { return name != revisionAnnotation && name != defaultClassAnnotation })
	obj.SetAnnotations(annotations)
	delete(obj.Object, "data") // of a ControllerRevision
	spec, _ := obj.Object["spec"].(map[string]any)
	for _, field := range []string{"template", "affinity", "tolerations", "ephemeralContainers"} {
		delete(spec, field)
	}
	for _, field := range []string{"initContainers", "containers"} {
		list, _ := spec[field].([]any)
		for _, c := range list {
			container, _ := c.(map[string]any)
			for _, field := range []string{"env", "envFrom", "volumeMounts", "command", "args"} {
				delete(container, field)
			}
		}
	}
}

// putRelated stores what explains others, as far as there is room: whoever may write in a
// namespace can make any number of pods there. The caller holds mu.
func (s *store) putRelated(to sink, obj *unstructured.Unstructured) {
	slimRelated(obj)
	uid := obj.GetUID()
	weight := relatedLeast + paging.Weight(obj.Object)
	left := s.related.weight - s.related.of[uid] + weight
	// What does not fit its type cannot explain anything; the state of the object that it
	// belongs to is judged without it.
	if s.most > 0 && left > s.most || to.put(s, obj) != nil {
		s.related.full = s.related.full || s.most > 0 && left > s.most
		s.removeRelated(to, uid)
		return
	}
	s.related.weight, s.related.of[uid] = left, weight
}

// removeRelated forgets what explained others. The caller holds mu.
func (s *store) removeRelated(from sink, uid types.UID) {
	if weight, kept := s.related.of[uid]; kept {
		from.remove(s, uid)
		s.related.weight -= weight
		delete(s.related.of, uid)
		s.related.full = s.related.full && s.related.weight > s.most/2
	}
}

// unexplained says that there was no room for all that explains others.
func (s *store) unexplained() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.related.full {
		return ""
	}
	return "the pods and events beside it take too much memory: the cause may be unknown"
}

// beside counts what is kept of objects that explain others.
type beside struct {
	of     map[types.UID]int64
	weight int64
	full   bool // some was not kept
}

// relatedLeast is about what a typed object takes that says nothing.
const relatedLeast = 2 << 10

// object is a pointer to a typed object.
type object[T any] interface {
	*T
	metav1.Object
}

type childSink[T any, P object[T]] struct {
	in func(*store) children[P]
}

func (c childSink[T, P]) put(s *store, obj *unstructured.Unstructured) error {
	typed, err := as[T](obj)
	if err != nil {
		return err
	}
	p := P(typed)
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
	s.about[e.UID] = about
	s.touch(about)
	return nil
}

func (eventSink) remove(s *store, uid types.UID) {
	about := s.about[uid]
	delete(s.about, uid)
	delete(s.events[about], uid)
	if len(s.events[about]) == 0 {
		delete(s.events, about)
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
