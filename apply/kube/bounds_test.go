package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

// TestTinyValues reads answers that are small on their way and gigabytes once they are
// decoded: they are refused before that.
func TestTinyValues(t *testing.T) {
	many := func(before, each, after string) string {
		return before + strings.Repeat(each+",", (31<<20)/(len(each)+1)) + each + after
	}
	answers := map[string]string{
		"/api":    `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":   `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
		"/api/v1": `{"kind":"APIResourceList","groupVersion":"v1","resources":[]}`,
	}
	const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	for name, test := range map[string]struct{ path, kind, answer string }{
		"groups":             {"/apis", "application/json", many(`{"kind":"APIGroupList","apiVersion":"v1","groups":[`, "{}", "]}")},
		"aggregated groups":  {"/apis", aggregated, many(`{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[`, "{}", "]}")},
		"aggregated kinds":   {"/apis", aggregated, many(`{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"versions":[{"resources":[`, "{}", "]}]}]}")},
		"kinds":              {"/api/v1", "application/json", many(`{"kind":"APIResourceList","groupVersion":"v1","resources":[`, "{}", "]}")},
		"objects":            {"/api/v1/namespaces/a/pods", "application/json", many(`{"kind":"PodList","apiVersion":"v1","items":[`, `{"kind":"Pod"}`, "]}")},
		"empty objects":      {"/api/v1/namespaces/a/pods", "application/json", many(`{"kind":"PodList","apiVersion":"v1","items":[`, "{}", "]}")},
		"numbers":            {"/api/v1/namespaces/a/pods", "application/json", many(`{"kind":"PodList","apiVersion":"v1","items":[`, "1", "]}")},
		"lists of an object": {"/api/v1/namespaces/a/pods/b", "application/json", many(`{"kind":"Pod","apiVersion":"v1","x":[`, "[]", "]}")},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Path != test.path {
					_, _ = io.WriteString(w, answers[r.URL.Path])
					return
				}
				w.Header().Set("Content-Type", test.kind)
				_, _ = io.WriteString(w, test.answer)
			}))
			defer server.Close()
			c, err := Connect(&rest.Config{Host: server.URL}, nothing{})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if strings.HasPrefix(test.path, "/api/v1/") {
				pods := c.Dynamic.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("a")
				if name == "lists of an object" {
					_, err = pods.Get(t.Context(), "b", metav1.GetOptions{})
				} else {
					err = Each(t.Context(), pods, metav1.ListOptions{}, func(*unstructured.Unstructured) (bool, error) { return true, nil })
				}
			} else {
				var groups []string
				if groups, err = c.Unanswered(t.Context()); len(groups) > 0 {
					err = errDiscovery // of that group alone
				}
			}
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("it is read")
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<30 {
				t.Errorf("it allocated %d MB: %v", grown>>20, err)
			}
		})
	}
}

// TestManyValues counts values, and not what strings hold.
func TestManyValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`[1,2,3]`: 3, `{"a":[{},{}]}`: 5, `["a,b,{[","\",,,\\",1]`: 3, `"` + strings.Repeat(",", 20) + `"`: 0, `["\\",",",2]`: 3,
	} {
		if manyValues([]byte(text), want) || want > 0 && !manyValues([]byte(text), want-1) {
			t.Errorf("%s does not have %d values", text, want)
		}
	}
}

// TestEndlessEvent watches what never ends its event: whoever reads it would keep all of it.
func TestEndlessEvent(t *testing.T) {
	t.Parallel()
	honest := strings.Repeat(`{"type":"ADDED","object":{"a":"}]\"{","b":[[]]}}`+"\n", 400_000) // 19 MB of events
	for name, test := range map[string]struct {
		body string
		err  error
	}{
		"honest":      {honest, nil},
		"a string":    {`{"type":"` + strings.Repeat("}", 20<<20), errEvent},
		"a list":      {`{"x":[` + strings.Repeat("[],", 7<<20), errEvent},
		"a number":    {strings.Repeat("1", 20<<20), errEvent},
		"after some":  {honest + `{"type":"` + strings.Repeat(`\"`, 10<<20), errEvent},
		"line breaks": {`{"x":` + strings.Repeat("\n", 20<<20), errEvent},
	} {
		_, err := io.Copy(io.Discard, &events{ReadCloser: io.NopCloser(strings.NewReader(test.body))})
		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDiscovered knows the paths of discovery from those of objects.
func TestDiscovered(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/api": true, "/apis": true, "/api/v1": true, "/apis/apps/v1": true, "/k8s/clusters/c-1/apis/apps/v1": true,
		"/api/v1/pods": false, "/api/v1/namespaces/a/pods": false, "/apis/apps/v1/deployments": false, "/apis/apps/v1/namespaces/apis/deployments": false,
	} {
		if got := discovered.MatchString(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if err := bounded("/apis", http.StatusOK, []byte(strings.Repeat("{},", 2<<20))); !errors.Is(err, errDiscovery) {
		t.Error(err)
	}
	if err := bounded("/api/v1/pods", http.StatusOK, []byte(strings.Repeat("{},", 1<<20))); err != nil {
		t.Error(err)
	}
	for size, want := range map[int]error{mostRefusal: nil, mostRefusal + 1: errRefusal} {
		if err := bounded("/api/v1/pods", http.StatusInternalServerError, make([]byte, size)); !errors.Is(err, want) {
			t.Errorf("a refusal of %d bytes: %v", size, err)
		}
	}
	if err := fmt.Errorf("x: %w", bounded("/api/v1/pods", http.StatusOK, make([]byte, paging.Most+1))); !errors.Is(err, paging.TooLarge{}) {
		t.Error(err)
	}
}

// TestManyWarnings keeps the newest of warnings, as a server may send others with each
// answer for as long as a daemon lives.
func TestManyWarnings(t *testing.T) {
	t.Parallel()
	var w warnings
	for i := range 3 * mostWarnings {
		w.HandleWarningHeader(299, "", "the same")
		w.HandleWarningHeader(299, "", fmt.Sprint(i, strings.Repeat("x", 10_000)))
	}
	all := w.list()
	if len(all) != mostWarnings || len(all[0]) > mostWarning+3 || !strings.HasPrefix(all[len(all)-1], fmt.Sprint(3*mostWarnings-1)) {
		t.Errorf("%d warnings are kept, the last is %.10s", len(all), all[len(all)-1])
	}
}

// lists are pages without an end.
type lists struct{ dynamic.ResourceInterface }

func (lists) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	l := &unstructured.UnstructuredList{Object: map[string]any{}, Items: []unstructured.Unstructured{{Object: map[string]any{}}}}
	l.SetContinue("again")
	return l, nil
}

// TestEndlessList reads a list of which each page says that there is another one.
func TestEndlessList(t *testing.T) {
	t.Parallel()
	err := Each(t.Context(), lists{}, metav1.ListOptions{}, func(*unstructured.Unstructured) (bool, error) { return true, nil })
	if !errors.Is(err, errPages) {
		t.Error(err)
	}
}
