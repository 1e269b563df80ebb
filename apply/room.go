package apply

import (
	"fmt"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/paging"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Whoever may write in the namespace of an environment can make its objects large, and put
// its label on any number of others. What is kept of a cluster is bounded by what is
// rendered: a live object has, beside that, its status and who set which field.
const (
	roomLeast  = 128 << 20
	roomFactor = 16
)

// roomOf is how much may be kept of the objects of an environment, as paging.Weight counts.
func roomOf(env *schema.Environment) int64 {
	n := int64(0)
	for _, o := range env.Objects() {
		n += paging.Weight(o.Object)
	}
	return roomLeast + roomFactor*n
}

// room is what is left of it.
type room struct {
	env  *schema.Environment
	most int64
	left atomic.Int64
}

func (r *room) open(env *schema.Environment) {
	r.env, r.most = env, roomOf(env)
	r.left.Store(r.most)
}

// take is false where there is not so much.
func (r *room) take(weight int64) bool { return r.left.Add(-weight) >= 0 }

func (r *room) give(weight int64) { r.left.Add(weight) }

// full says that there is too much of a kind.
func (r *room) full(resource, namespace string) error {
	where := ""
	if namespace != "" {
		where = " -n " + namespace
	}
	return &hint.Error{
		Err: fmt.Errorf("list %s: what the cluster has of environment %s takes more than %d MiB, far more than what is rendered", resource, r.env.Name, r.most>>20),
		Hint: fmt.Sprintf("look for large objects, and for what others wrote into them: kubectl get %s%s -l %s=%s",
			resource, where, schema.LabelPartOf, schema.ApplySetID(r.env.Name, r.env.Namespace)),
	}
}

// headOf is of an object that is none of the environment's, and stays, what is said of it.
func headOf(live *unstructured.Unstructured) *unstructured.Unstructured {
	head := &unstructured.Unstructured{Object: map[string]any{}}
	head.SetGroupVersionKind(live.GroupVersionKind())
	head.SetNamespace(live.GetNamespace())
	head.SetName(live.GetName())
	head.SetUID(live.GetUID())
	labels := map[string]string{}
	for _, name := range []string{schema.LabelPartOf, schema.LabelUnit} {
		if value, ok := live.GetLabels()[name]; ok {
			labels[name] = value
		}
	}
	head.SetLabels(labels)
	if owner := metav1.GetControllerOf(live); owner != nil {
		head.SetOwnerReferences([]metav1.OwnerReference{*owner})
	}
	return head
}
