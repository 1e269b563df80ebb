// Package typed holds objects of the built-in kinds against their Go types: it
// finds unknown fields and wrong types, and rewrites values to the form that the
// API server stores. It walks the types by reflection instead of decoding, so
// that every problem has its path and nothing that the source does not say
// appears.
package typed

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	admissionregistrationv1alpha1 "k8s.io/api/admissionregistration/v1alpha1"
	admissionregistrationv1beta1 "k8s.io/api/admissionregistration/v1beta1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kinds knows the built-in kinds. The zero value is ready; it is safe for
// concurrent use.
type Kinds struct {
	once   sync.Once
	scheme *runtime.Scheme

	structs sync.Map // reflect.Type -> *structInfo
}

// New returns the kinds of the k8s.io/api module that is linked in.
func New() *Kinds { return &Kinds{} }

// Type is the Go type of a built-in kind.
func (k *Kinds) Type(gvk schema.GroupVersionKind) (reflect.Type, bool) {
	k.once.Do(k.build)
	t, ok := k.scheme.AllKnownTypes()[gvk]
	return t, ok
}

// Groups is the set of API groups whose kinds are built in.
func (k *Kinds) Groups() map[string]bool {
	k.once.Do(k.build)
	groups := map[string]bool{}
	for _, gv := range k.scheme.PrioritizedVersionsAllGroups() {
		groups[gv.Group] = true
	}
	return groups
}

// Versions lists the versions of a group-kind that are known, best first.
func (k *Kinds) Versions(gk schema.GroupKind) []string {
	k.once.Do(k.build)
	var versions []string
	for _, gv := range k.scheme.VersionsForGroupKind(gk) {
		versions = append(versions, gv.Version)
	}
	return versions
}

// Served are the versions, as apps/v1, and the kinds, as apps/v1/Deployment, that a
// cluster of a minor version of Kubernetes serves by itself.
func (k *Kinds) Served(minor int) []string {
	k.once.Do(k.build)
	served := []string{
		"apiregistration.k8s.io/v1", "apiregistration.k8s.io/v1/APIService",
		"authentication.k8s.io/v1", "authentication.k8s.io/v1/TokenReview",
		"authorization.k8s.io/v1", "authorization.k8s.io/v1/SubjectAccessReview",
	}
	for gvk, t := range k.scheme.AllKnownTypes() {
		came := Since(t)
		if strings.Contains(gvk.Version, "alpha") || strings.Contains(gvk.Version, "beta") || gvk.Version == runtime.APIVersionInternal || came > minor && minor > 0 {
			continue
		}
		gv := gvk.GroupVersion().String()
		served = append(served, gv, gv+"/"+gvk.Kind)
	}
	slices.Sort(served)
	return slices.Compact(served)
}

// All are the kinds that objects may have, in no order.
func (k *Kinds) All() []schema.GroupVersionKind {
	k.once.Do(k.build)
	var all []schema.GroupVersionKind
	for gvk := range k.scheme.AllKnownTypes() {
		if gvk.Version != runtime.APIVersionInternal && gvk.Kind != "WatchEvent" && !strings.HasSuffix(gvk.Kind, "Options") && !strings.HasSuffix(gvk.Kind, "List") {
			all = append(all, gvk)
		}
	}
	return all
}

// KindsOf lists the kinds of a group-version in lexical order.
func (k *Kinds) KindsOf(gv schema.GroupVersion) []string {
	k.once.Do(k.build)
	kinds := slices.Collect(maps.Keys(k.scheme.KnownTypes(gv)))
	slices.Sort(kinds)
	return kinds
}

// build is not done at start-up: it costs milliseconds that "evenkeel version"
// has no use for.
func (k *Kinds) build() {
	k.scheme = runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionregistrationv1.AddToScheme,
		admissionregistrationv1beta1.AddToScheme,
		admissionregistrationv1alpha1.AddToScheme,
		appsv1.AddToScheme,
		autoscalingv2.AddToScheme,
		autoscalingv1.AddToScheme,
		batchv1.AddToScheme,
		certificatesv1.AddToScheme,
		certificatesv1beta1.AddToScheme,
		coordinationv1.AddToScheme,
		corev1.AddToScheme,
		discoveryv1.AddToScheme,
		eventsv1.AddToScheme,
		flowcontrolv1.AddToScheme,
		networkingv1.AddToScheme,
		nodev1.AddToScheme,
		policyv1.AddToScheme,
		rbacv1.AddToScheme,
		resourcev1.AddToScheme,
		schedulingv1.AddToScheme,
		storagev1.AddToScheme,
		apiextensionsv1.AddToScheme,
	} {
		if err := add(k.scheme); err != nil {
			panic(err) // two packages of k8s.io/api claim one kind: a broken build
		}
	}
}

// OwnGroup says whether an API group is one of Kubernetes' own, of today or of a former
// version: no definition of a custom resource brings it.
func OwnGroup(group string) bool {
	switch strings.TrimSuffix(group, ".k8s.io") {
	case "", "apps", "autoscaling", "batch", "extensions", "policy":
		return !strings.HasSuffix(group, ".k8s.io")
	case "admissionregistration", "apiextensions", "apiregistration", "auditregistration", "authentication", "authorization",
		"certificates", "coordination", "discovery", "events", "flowcontrol.apiserver", "imagepolicy", "internal.apiserver", "networking",
		"node", "rbac.authorization", "resource", "scheduling", "settings", "storage", "storagemigration":
		return strings.HasSuffix(group, ".k8s.io")
	}
	return false
}

// Meant is the API version of a built-in kind that was probably meant by one that has no
// such kind: apps/v1 for app/v1, or for v1. It is "" where the kind may be a custom one.
func (k *Kinds) Meant(gvk schema.GroupVersionKind) string {
	var groups []string
	for _, known := range k.All() {
		if known.Kind == gvk.Kind && !slices.Contains(groups, known.Group) {
			groups = append(groups, known.Group)
		}
	}
	if len(groups) == 0 {
		return ""
	}
	slices.Sort(groups)
	meant := groups[0]
	short := strings.TrimSuffix(gvk.Group, ".k8s.io")
	switch near := Closest(gvk.Group, groups); {
	case slices.Contains(groups, short):
		meant = short
	case near != "":
		meant = near
	case strings.Contains(gvk.Group, ".") && !OwnGroup(gvk.Group) && (short != "core" || meant != ""):
		return "" // as groups of custom resources have a dot
	}
	return schema.GroupVersion{Group: meant, Version: k.Versions(schema.GroupKind{Group: meant, Kind: gvk.Kind})[0]}.String()
}

// ClusterScoped says whether objects of a built-in kind live outside namespaces.
func ClusterScoped(gk schema.GroupKind) bool {
	switch gk.Group {
	case "":
		switch gk.Kind {
		case "Namespace", "Node", "PersistentVolume", "ComponentStatus":
			return true
		}
	case "rbac.authorization.k8s.io":
		return gk.Kind == "ClusterRole" || gk.Kind == "ClusterRoleBinding"
	case "networking.k8s.io":
		return gk.Kind == "IngressClass" || gk.Kind == "IPAddress" || gk.Kind == "ServiceCIDR"
	case "storage.k8s.io":
		return gk.Kind != "CSIStorageCapacity"
	case "certificates.k8s.io":
		return gk.Kind == "CertificateSigningRequest" || gk.Kind == "ClusterTrustBundle"
	case "resource.k8s.io":
		return gk.Kind == "DeviceClass" || gk.Kind == "ResourceSlice"
	case "apiextensions.k8s.io", "apiregistration.k8s.io", "admissionregistration.k8s.io",
		"scheduling.k8s.io", "node.k8s.io", "flowcontrol.apiserver.k8s.io":
		return true
	}
	return false
}
