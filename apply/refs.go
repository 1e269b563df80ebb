package apply

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

func refOf(u *unstructured.Unstructured) ObjectRef {
	return ObjectRef{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

// objectID tells objects apart whatever version they are written in.
type objectID struct {
	kschema.GroupKind
	namespace, name string
}

func idOf(u *unstructured.Unstructured) objectID {
	return objectID{GroupKind: u.GroupVersionKind().GroupKind(), namespace: u.GetNamespace(), name: u.GetName()}
}

func (r ObjectRef) gvk() kschema.GroupVersionKind {
	return kschema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
}

func (r ObjectRef) id() objectID {
	return objectID{GroupKind: r.gvk().GroupKind(), namespace: r.Namespace, name: r.Name}
}
