package schema

import (
	"crypto/sha256"
	"encoding/base64"
)

// Labels and annotations that evenkeel writes. Those of the ApplySet are from
// KEP-3659; the rest are its own.
const (
	LabelPartOf    = "applyset.kubernetes.io/part-of"
	LabelID        = "applyset.kubernetes.io/id" // on the parent
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelUnit      = "evenkeel.dev/unit"

	// AnnotationConfigHash stands on pod templates and changes with the
	// ConfigMaps and Secrets that the pods read only when they start; on a Job that may
	// be recreated it stands on the Job.
	AnnotationConfigHash = "evenkeel.dev/config-hash"
	// AnnotationPrune with the value "disabled" keeps an object that the
	// environment no longer renders.
	AnnotationPrune = "evenkeel.dev/prune"

	// Manager is the field manager of every apply and the value of
	// LabelManagedBy.
	Manager = "evenkeel"

	// UnitEnvironment is the unit that every environment has: its Namespace
	// and what all other units of the environment stand on.
	UnitEnvironment = "environment"
)

// ParentName is the name of the ConfigMap that is the ApplySet parent of an
// environment.
func ParentName(env string) string { return "evenkeel-" + env }

// ApplySetID is the id of an environment's ApplySet, the value of LabelPartOf
// on every member: "applyset-<base64url(sha256(name.namespace.kind.group))>-v1"
// of the parent (KEP-3659).
func ApplySetID(env, namespace string) string {
	sum := sha256.Sum256([]byte(ParentName(env) + "." + namespace + ".ConfigMap."))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}
