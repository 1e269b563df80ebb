package kube

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPurposeOfRequests(t *testing.T) {
	tests := []struct {
		method, url string
		want        Requests
	}{
		{"GET", "/api", Requests{Discovery: 1}},
		{"GET", "/apis", Requests{Discovery: 1}},
		{"GET", "/apis/apps/v1", Requests{Discovery: 1}},
		{"GET", "/version", Requests{Discovery: 1}},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", Requests{Review: 1}},
		{"GET", "/api/v1/namespaces", Requests{List: 1}},
		{"GET", "/api/v1/namespaces/shop", Requests{Get: 1}},
		{"GET", "/api/v1/namespaces/shop/configmaps?labelSelector=a", Requests{List: 1}},
		{"GET", "/api/v1/namespaces/shop/configmaps/c", Requests{Get: 1}},
		{"GET", "/apis/apps/v1/namespaces/shop/deployments?watch=true", Requests{Watch: 1}},
		{"GET", "/proxy/apis/apps/v1/deployments", Requests{List: 1}},
		{"PATCH", "/apis/apps/v1/namespaces/shop/deployments/web?dryRun=All", Requests{DryRun: 1}},
		{"PATCH", "/apis/apps/v1/namespaces/shop/deployments/web", Requests{Write: 1}},
		{"DELETE", "/api/v1/namespaces/shop", Requests{Write: 1}},
		{"POST", "/apis/coordination.k8s.io/v1/namespaces/shop/leases", Requests{Write: 1}},
	}
	for _, test := range tests {
		req, err := http.NewRequestWithContext(t.Context(), test.method, "https://host"+test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &counter{}
		c.add(req)
		if diff := cmp.Diff(test.want, c.snapshot()); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.url, diff)
		}
	}
}
