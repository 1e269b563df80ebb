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
