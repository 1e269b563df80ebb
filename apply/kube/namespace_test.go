package kube

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// TestEachOf looks at more of a namespace than is kept of one, without an end by that.
func TestEachOf(t *testing.T) {
	t.Parallel()
	const pages = mostOfNamespace/(20<<20) + 1
	large := fmt.Sprintf(`{"metadata":{"name":"a","namespace":"a"},"data":{"x":%q}}`, strings.Repeat("a", 20<<20))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, next := "", len(r.FormValue("continue"))
		switch r.URL.Path {
		case "/api":
			answer = `{"kind":"APIVersions","versions":["v1"]}`
		case "/apis":
			answer = `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`
		case "/api/v1":
			answer = `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true,"verbs":["list"]}]}`
		case "/api/v1/namespaces/a":
			answer = `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"a"}}`
		default:
			more := strings.Repeat("+", next+1)
			if len(more) == pages {
				more = ""
			}
			answer = fmt.Sprintf(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"continue":%q},"items":[%s]}`, more, large)
		}
		_, _ = fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	c, err := Connect(&rest.Config{Host: server.URL}, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	if _, err := c.EachOf(t.Context(), "a", func(*unstructured.Unstructured) error { seen++; return nil }); err != nil || seen != pages+1 {
		t.Errorf("%d objects, %v", seen, err)
	}
}
