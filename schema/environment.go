// Package schema is the contract between the parts of evenkeel: the CUE
// definitions that an environment is written in, and the Go types that a
// rendered environment is handed on as. It imports nothing else of this module:
// render fills these types, apply reads them, and neither knows the other.
package schema

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Environment is a rendered environment: what one cluster is to hold, unit by
// unit. Its objects are exactly what is applied; nothing is added later.
type Environment struct {
	Name      string
	Namespace string // holds the ApplySet parent, the lock and the revisions
	Cluster   Cluster

	// After names the environments that are applied before this one.
	After []string
	// Protected environments ask for their name before a write, refuse a dirty
	// tree and always wait for health.
	Protected bool
	// KubernetesVersion is the minor version that the objects are checked
	// against, such as "1.37".
	KubernetesVersion string
	// Controllers are field managers whose values are theirs: not drift, not
	// foreign additions; writing over one is a conflict.
	Controllers []string
	// Was is the environment's former name, whose ApplySet this one takes over.
	Was string

	// Disabled are the names of units that the environment leaves out: enabled: false.
	Disabled []string

	// Freezes are the times in which nothing new is applied.
	Freezes []Freeze

	// External is what others make and must be there before an apply.
	External []External

	// Withheld are the values of marked fields as the source has them, where the objects
	// have what was made of them: what others say must not quote them either. They are
	// written nowhere.
	Withheld []string `json:"-"`

	// Units are in dependency order: a unit stands behind all that it needs.
	Units []Unit
}

// External is an object that the environment needs and does not make.
type External struct {
	Kind      string // Secret, ConfigMap, PersistentVolumeClaim or ServiceAccount
	Namespace string
	Name      string
	// Keys are those of a Secret or ConfigMap that must be there.
	Keys []string
}

// Cluster says which cluster an environment belongs to.
type Cluster struct {
	Context string `json:"context,omitempty"` // kubeconfig context
	UID     string `json:"uid,omitempty"`     // uid of the Namespace kube-system: the pin
	Server  string `json:"server,omitempty"`  // API server URL, a weaker pin
}

// Unit is one stack or app of an environment: what is selected, ordered, gated
// and reported on its own.
type Unit struct {
	Name  string
	Type  string   // the CUE type, such as "DubboProvider"
	After []string // units of the same environment that must be healthy first
	// Timeout bounds the wait for health; zero means the run's own timeout.
	Timeout time.Duration
	// Canary says how a new version comes in; nil: at once.
	Canary *Canary `json:"-"`
	// Objects are in apply order: Namespaces and CRDs first, webhooks last.
	Objects []Object
}

// Object is one Kubernetes object with what the environment says about the
// handling of it.
type Object struct {
	*unstructured.Unstructured

	// Key is the object's key in the unit's objects map; patches and error
	// messages name it.
	Key string
	// Stage orders the objects of a unit: those of a lower one are written first, and
	// are healthy before the next. Zero is the unit itself, less comes before it.
	Stage int
	// Recreate allows deletion and creation where an immutable field changes.
	Recreate bool
	// Ignore lists JSON pointers (RFC 6901) of fields that are left to others:
	// no drift, and never written over once the object exists.
	Ignore []string
	// Ready replaces the health rule of the object's kind; nil means the kind's.
	Ready *ReadyRule
	// Secret lists JSON pointers (RFC 6901) of fields whose values are not shown.
	// The content of a Secret never is.
	Secret []string
	// Sealed objects are Secrets whose values are still encrypted: they can be
	// compared, and must not be applied.
	Sealed bool
}

// ReadyRule says when an object counts as healthy. Exactly one field is set.
type ReadyRule struct {
	// Condition is a status condition that must be "True", with its
	// observedGeneration, where it has one, not behind metadata.generation.
	Condition string `json:"condition,omitempty"`
	// CEL is an expression over "self", the live object, that yields a bool.
	CEL string `json:"cel,omitempty"`
}

// Unit returns the unit of that name, or nil.
func (e *Environment) Unit(name string) *Unit {
	for i := range e.Units {
		if e.Units[i].Name == name {
			return &e.Units[i]
		}
	}
	return nil
}
