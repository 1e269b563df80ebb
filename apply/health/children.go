package health

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

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
