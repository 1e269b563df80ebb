package health

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Related is what belongs to an object and tells why it is not healthy. It may
// hold more than that: what does not belong is passed over, by ownerReference
// and by the uid that an event is about. All of it may be absent; then causes
// are less exact, states are the same or less certain.
type Related struct {
	ReplicaSets []*appsv1.ReplicaSet
	Revisions   []*appsv1.ControllerRevision
	Pods        []*corev1.Pod
	Events      []*corev1.Event
	Claims      []*corev1.PersistentVolumeClaim
	// Classes are the StorageClasses of the cluster; nil means not known.
	Classes []*storagev1.StorageClass
	// Logs are the last lines of crashed containers.
	Logs map[LogKey]string
	// Since is when the wait began: that creating pods failed before it says
	// nothing about what was just applied. Zero means ten minutes ago.
	Since time.Time
	// NoStatus says that the kind has no status: no subresource, and none in its
	// schema as far as that can be read.
	NoStatus bool
	// Silent says that no object of the kind has ever had a status, though one
	// of them is old enough to have got it.
	Silent bool
	// Lasting is how long a condition must have named the same error before it is
	// a failure: a minute if zero, never if negative.
	Lasting time.Duration
	// Restarts is how often a container must have been restarted before a
	// crash loop counts as failure; zero means two, so that the third run has
	// ended as well.
	Restarts int32
}

// LogKey names one run of one container.
type LogKey struct {
	Pod       types.UID
	Container string
	Restarts  int32
}

// since is the oldest time that warnings about an owner of pods may have.
func (r *Related) since(now time.Time) time.Time {
	if r.Since.IsZero() {
		return now.Add(-10 * time.Minute)
	}
	return r.Since.Add(-5 * time.Second) // timestamps have whole seconds, clocks differ
}

// elapsed is how long something has lasted, of which no more counts than the
// wait has lasted: the local clock may be ahead of the server's, and what was
// just applied may be the cure.
func (r *Related) elapsed(from, now time.Time) time.Duration {
	d := now.Sub(from)
	if !r.Since.IsZero() {
		d = min(d, now.Sub(r.Since))
	}
	return d
}

func (r *Related) restarts() int32 {
	return cmp.Or(r.Restarts, 2)
}

// podsOf returns the pods that owner controls, by name.
func (r *Related) podsOf(owner types.UID) []*corev1.Pod {
	var pods []*corev1.Pod
	for _, p := range r.Pods {
		if controlledBy(p, owner) {
			pods = append(pods, p)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods
}

// newestReplicaSet returns the ReplicaSet of a Deployment's present revision,
// or nil where it has not been seen yet: an older one would tell the cause of
// the last rollout.
func (r *Related) newestReplicaSet(d *appsv1.Deployment) *appsv1.ReplicaSet {
	want, ok := d.Annotations[revisionAnnotation]
	if !ok {
		return nil
	}
	for _, rs := range r.ReplicaSets {
		if controlledBy(rs, d.UID) && rs.Annotations[revisionAnnotation] == want {
			return rs
		}
	}
	return nil
}

// newestRevision returns the controller-revision-hash of a DaemonSet's newest
// ControllerRevision.
func (r *Related) newestRevision(owner types.UID) (hash string, ok bool) {
	var newest int64 = -1
	for _, c := range r.Revisions {
		if controlledBy(c, owner) && c.Revision > newest {
			newest, hash = c.Revision, c.Labels[appsv1.ControllerRevisionHashLabelKey]
		}
	}
	return hash, newest >= 0
}

// events returns the warnings of the last hour about an object with one of the
// given reasons, the newest first. An hour, because recorders hold back warnings
// that repeat.
func (r *Related) events(about types.UID, now time.Time, reasons ...string) []*corev1.Event {
	var out []*corev1.Event
	since := now.Add(-time.Hour)
	for _, e := range r.Events {
		if e.InvolvedObject.UID == about && slices.Contains(reasons, e.Reason) && !eventTime(e).Before(since) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b *corev1.Event) int { return eventTime(b).Compare(eventTime(a)) })
	return out
}

// claim returns the claim of that name in the pod's namespace.
func (r *Related) claim(namespace, name string) *corev1.PersistentVolumeClaim {
	for _, c := range r.Claims {
		if c.Namespace == namespace && c.Name == name {
			return c
		}
	}
	return nil
}

const (
	revisionAnnotation     = "deployment.kubernetes.io/revision"
	defaultClassAnnotation = "storageclass.kubernetes.io/is-default-class"
)

func controlledBy(obj metav1.Object, owner types.UID) bool {
	c := metav1.GetControllerOf(obj)
	return c != nil && c.UID == owner
}

// eventTime is when an event was last seen; old and new recorders write
// different fields.
func eventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

func eventFirst(e *corev1.Event) time.Time {
	switch {
	case !e.FirstTimestamp.IsZero():
		return e.FirstTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

func revisionOf(rs *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(rs.Annotations[revisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
