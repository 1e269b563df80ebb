package kube

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

type counted struct{ names []string }

func (c *counted) Visit(live *unstructured.Unstructured) { c.names = append(c.names, live.GetName()) }
func (c *counted) Restart()                              { c.names = nil }

// TestLargeObjects lists objects of which a page is larger than anything that is read at
// once: they come by smaller pages, each once.
func TestLargeObjects(t *testing.T) {
	t.Parallel()
	const objects = 600
	large := strings.Repeat("a", 80<<10) // 2,500 of them are 195 MiB, all of these 47
	var mu sync.Mutex
	var limits []int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		from, _ := strconv.Atoi(r.FormValue("continue"))
		to, next := min(from+limit, objects), ""
		if to < objects {
			next = strconv.Itoa(to)
		}
		mu.Lock()
		limits = append(limits, limit)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"continue":%q},"items":[`, next)
		for i := from; i < to; i++ {
			comma := ","
			if i == to-1 {
				comma = ""
			}
			if _, err := fmt.Fprintf(w, `{"metadata":{"name":"c%d","namespace":"a"},"data":{"x":%q}}%s`, i, large, comma); err != nil {
				return // it was enough
			}
		}
		_, _ = fmt.Fprint(w, "]}")
	}))
	t.Cleanup(server.Close)
	c, err := Connect(&rest.Config{Host: server.URL}, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	gvk := kschema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	m := &meta.RESTMapping{Resource: gvk.GroupVersion().WithResource("configmaps"), GroupVersionKind: gvk, Scope: meta.RESTScopeNamespace}
	var seen counted
	if err := c.List(t.Context(), m, "a", "x=y", &seen); err != nil {
		t.Fatal(err)
	}
	if len(seen.names) != objects || seen.names[0] != "c0" || seen.names[objects-1] != fmt.Sprint("c", objects-1) {
		t.Errorf("%d objects, from %s on", len(seen.names), seen.names[0])
	}
	if limits[0] != pageSize || limits[1] >= pageSize || limits[1]*len(large) > paging.Most {
		t.Errorf("asked for with the limits %d", limits)
	}
}
