package schema

import (
	"iter"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// Ref names one object, as Kind/namespace/name.
type Ref struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// RefOf names an object.
func RefOf(u *unstructured.Unstructured) Ref {
	return Ref{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

// String is Kind/namespace/name, or Kind/name for what has no namespace.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + "/" + r.Name
	}
	return r.Kind + "/" + r.Namespace + "/" + r.Name
}

// IsNamespace reports whether it names a Namespace of Kubernetes: other groups have kinds
// of that name.
func (r Ref) IsNamespace() bool { return r.APIVersion == "v1" && r.Kind == "Namespace" }

// GVK is the kind with its group and version.
func (r Ref) GVK() kschema.GroupVersionKind {
	return kschema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
}

// ID is what stays the same when the object is written in another version.
func (r Ref) ID() ID {
	return ID{GroupKind: r.GVK().GroupKind(), Namespace: r.Namespace, Name: r.Name}
}

// ID tells objects apart whatever version they are written in.
type ID struct {
	kschema.GroupKind
	Namespace, Name string
}

// IDOf is the ID of an object.
func IDOf(u *unstructured.Unstructured) ID {
	return ID{GroupKind: u.GroupVersionKind().GroupKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

// Objects yields the objects of an environment with the names of their units. An
// environment that is nil has none.
func (e *Environment) Objects() iter.Seq2[string, *Object] {
	return func(yield func(string, *Object) bool) {
		if e == nil {
			return
		}
		for i := range e.Units {
			for j := range e.Units[i].Objects {
				if !yield(e.Units[i].Name, &e.Units[i].Objects[j]) {
					return
				}
			}
		}
	}
}
