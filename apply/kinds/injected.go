package kinds

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Injected are the fields, as JSON pointers, that an object leaves to a controller by
// an annotation: the CA bundle that cert-manager's injector or OpenShift's service CA
// puts there (cert-manager.io/docs/concepts/ca-injector). What is rendered is a
// placeholder, and what somebody injects is no drift.
func Injected(u *unstructured.Unstructured) []string {
	if !asksForBundle(u.GetAnnotations()) {
		return nil
	}
	return Bundles(u)
}

// Bundles are the CA bundles of an object, as JSON pointers.
func Bundles(u *unstructured.Unstructured) []string {
	switch u.GroupVersionKind().GroupKind().String() {
	case "MutatingWebhookConfiguration.admissionregistration.k8s.io", "ValidatingWebhookConfiguration.admissionregistration.k8s.io":
		webhooks, _, err := unstructured.NestedSlice(u.Object, "webhooks")
		if err != nil {
			return nil
		}
		var out []string
		for i, item := range webhooks {
			if w, ok := item.(map[string]any); ok && hasBundle(w, "clientConfig") {
				out = append(out, fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i))
			}
		}
		return out
	case "CustomResourceDefinition.apiextensions.k8s.io":
		if hasBundle(u.Object, "spec", "conversion", "webhook", "clientConfig") {
			return []string{"/spec/conversion/webhook/clientConfig/caBundle"}
		}
	case "APIService.apiregistration.k8s.io":
		if hasBundle(u.Object, "spec") {
			return []string{"/spec/caBundle"}
		}
	}
	return nil
}

func asksForBundle(annotations map[string]string) bool {
	for name := range annotations {
		if strings.HasPrefix(name, "cert-manager.io/inject-") || name == "service.beta.openshift.io/inject-cabundle" {
			return true
		}
	}
	return false
}

func hasBundle(of map[string]any, path ...string) bool {
	_, ok, err := unstructured.NestedFieldNoCopy(of, append(path, "caBundle")...)
	return ok && err == nil
}
