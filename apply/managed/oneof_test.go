package managed

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestUnite takes the words of the API server for a union of which two sides are set,
// and what stands beside it for what it is.
func TestUnite(t *testing.T) {
	for _, test := range []struct {
		name, live, desired string
		field, message      string
		want                []string
	}{
		{
			name: "at one of the sides", field: "spec.livenessProbe.tcpSocket", message: "Forbidden: may not specify more than 1 handler type",
			live: "livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 7}", desired: "livenessProbe: {httpGet: {port: 80}}",
			want: []string{"spec.livenessProbe.tcpSocket"},
		},
		{
			name: "both named, at what has them", field: "spec",
			message: `Invalid value: {"MinAvailable":1,"MaxUnavailable":1,"selector":{}}: minAvailable and maxUnavailable cannot be both set`,
			live:    "{minAvailable: 1, selector: {a: b}}", desired: "{maxUnavailable: 1}",
			want: []string{"spec.minAvailable"},
		},
		{
			name: "both named, at what is far above", field: "spec.backend", message: `Invalid value: "": cannot set both port name & port number`,
			live: "backend: {service: {name: s, port: {name: http}}, other: {name: x}}", desired: "backend: {service: {name: s, port: {number: 80}}}",
			want: []string{"spec.backend.service.port.name"},
		},
		{
			name: "the other side named", field: "spec.insecureSkipTLSVerify", message: "Invalid value: true: may not be true if caBundle is present",
			live: "{caBundle: Cg==, group: g}", desired: "{insecureSkipTLSVerify: true}",
			want: []string{"spec.caBundle"},
		},
		{
			name: "none named", field: "spec.valueFrom", message: `Invalid value: "": may not have more than one field specified at a time`,
			live: "valueFrom: {configMapKeyRef: {name: a}}", desired: "valueFrom: {fieldRef: {fieldPath: f}}",
			want: []string{"spec.valueFrom.configMapKeyRef"},
		},
		{
			name: "none named, by a schema", field: "<nil>", message: `Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives`,
			live: "{inline: x}", desired: "{from: y}",
			want: []string{"spec.inline"},
		},
		{
			name: "none named, and several that may be meant", field: "<nil>", message: `Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives`,
			live: "{inline: x, beside: z}", desired: "{from: y}",
		},
		{
			name: "too many", field: "spec.provider", message: "Too many: 2: must have at most 1 item",
			live: "provider: {vault: {server: v}}", desired: "provider: {aws: {region: r}}",
			want: []string{"spec.provider.vault"},
		},
		{
			name: "otherwise spelled", field: "spec.LoadBalancerSourceRanges", message: "Forbidden: may only be used when `type` is 'LoadBalancer'",
			live: `loadBalancerSourceRanges: ["10.0.0.0/8"]`, desired: "{type: ClusterIP}",
			want: []string{"spec.loadBalancerSourceRanges"},
		},
		{
			name: "something else", field: "spec.size", message: `Invalid value: {"beside":1,"size":2}: must be smaller`,
			live: "{beside: 1}", desired: "{size: 2}",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			object := func(spec string) *unstructured.Unstructured {
				u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Thing"}}
				var content any
				if err := yaml.Unmarshal([]byte(spec), &content); err != nil {
					t.Fatal(err)
				}
				u.Object["spec"] = content
				return u
			}
			united := Unite(object(test.desired), object(test.live), []metav1.StatusCause{{Field: test.field, Message: test.message}})
			var got []string
			for _, d := range united.Stale {
				got = append(got, d.Path.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("taken out (-want +got):\n%s", diff)
			}
		})
	}
}
