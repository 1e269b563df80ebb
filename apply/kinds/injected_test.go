package kinds

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestInjected(t *testing.T) {
	for _, test := range []struct {
		name, object string
		want         []string
	}{
		{"webhooks, one with a placeholder", `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {annotations: {cert-manager.io/inject-ca-from: ns/c}}, webhooks: [{name: a, clientConfig: {url: "https://a"}}, {name: b, clientConfig: {caBundle: Cg==}}]}`, []string{"/webhooks/1/clientConfig/caBundle"}},
		{"webhooks that nobody is asked to fill", `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {annotations: {a: b}}, webhooks: [{name: b, clientConfig: {caBundle: Cg==}}]}`, nil},
		{"a conversion", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {annotations: {cert-manager.io/inject-ca-from-secret: ns/c}}, spec: {conversion: {webhook: {clientConfig: {caBundle: Cg==}}}}}`, []string{"/spec/conversion/webhook/clientConfig/caBundle"}},
		{"an APIService of OpenShift", `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {annotations: {service.beta.openshift.io/inject-cabundle: "true"}}, spec: {caBundle: Cg==}}`, []string{"/spec/caBundle"}},
		{"a conversion without a bundle", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {annotations: {cert-manager.io/inject-ca-from: ns/c}}, spec: {conversion: {strategy: None}}}`, nil},
		{"another kind", `{apiVersion: v1, kind: ConfigMap, metadata: {annotations: {cert-manager.io/inject-ca-from: ns/c}}, spec: {caBundle: Cg==}}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(test.object), &u.Object); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, Injected(u)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
