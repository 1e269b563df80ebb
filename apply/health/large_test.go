package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// TestStrangersAreNotKept has others put the label on objects of theirs, and write much into
// those of the environment: what is kept of them is bounded.
func TestStrangersAreNotKept(t *testing.T) {
	t.Parallel()
	s := newStore(Options{Named: func(name string) bool { return strings.HasPrefix(name, "web") }, Most: 1 << 20})
	put := func(kind, name, field string, size int) objectKey {
		key := objectKey{schema.GroupVersionResource{Version: "v1", Resource: strings.ToLower(kind) + "s"}, "a", name}
		s.setMember(key, member{obj: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": "a"},
			field: map[string]any{"x": strings.Repeat("a", size)},
		}}})
		return key
	}
	if m, ok := s.member(put("ConfigMap", "junk", "data", 1)); ok {
		t.Errorf("what nobody asks about is kept: %v", m.obj)
	}
	s.expect("late", false)
	if m, _ := s.member(put("Service", "late", "spec", 1)); m.obj == nil {
		t.Error("what is asked about later is not kept")
	}
	s.whole = map[string]bool{}
	s.expect("web-rule", true)
	for name, kept := range map[string]bool{"web": false, "web-rule": true} {
		config, _ := s.member(put("ConfigMap", name, "data", 64<<10))
		if config.obj == nil || (config.obj.Object["data"] != nil) != kept {
			t.Errorf("%s: the content of a ConfigMap is kept where no rule reads it, or gone where one does", name)
		}
	}
	for i := range 3 {
		put("Service", fmt.Sprint("web-", i), "spec", 300<<10)
	}
	if m, _ := s.member(put("Service", "web-3", "spec", 300<<10)); m.obj != nil || !errors.Is(m.err, errTooMuch) {
		t.Errorf("more than there is room for is kept: %v", m.err)
	}
	if s.weight > 1<<20 {
		t.Errorf("%d bytes are kept", s.weight)
	}
	put("Service", "web-0", "spec", 1) // it is mended
	if m, _ := s.member(put("Service", "web-3", "spec", 300<<10)); m.obj == nil {
		t.Errorf("there is room again: %v", m.err)
	}
}

// TestManyPodsOfOthers has others make pods, warnings and claims, many and large: what is
// kept of them is bounded, those of the environment are explained as long as there is room,
// and that there is none is said.
func TestManyPodsOfOthers(t *testing.T) {
	t.Parallel()
	for resource, object := range map[schema.GroupVersionResource]string{
		podsResource():        `{"kind": "Pod", "apiVersion": "v1", "spec": {"containers": [{"name": "a", "image": %[2]q, "env": [{"name": "A", "value": %[1]q}]}]}}`,
		eventsResource():      `{"kind": "Event", "apiVersion": "v1", "involvedObject": {"uid": %[3]q}, "message": %[2]q}`,
		claimsResource():      `{"kind": "PersistentVolumeClaim", "apiVersion": "v1", "spec": {"volumeName": %[2]q}}`,
		replicaSetsResource(): `{"kind": "ReplicaSet", "apiVersion": "apps/v1", "spec": {"template": {"spec": {"nodeName": %[1]q}}}, "status": {"conditions": [{"message": %[2]q}]}}`,
		revisionsResource():   `{"kind": "ControllerRevision", "apiVersion": "apps/v1", "data": {"a": %[1]q}, "metadata": {"finalizers": [%[2]q]}}`,
	} {
		t.Run(resource.Resource, func(t *testing.T) {
			t.Parallel()
			s := newStore(Options{Most: 1 << 20})
			st := &stream{store: s, key: streamKey{GroupVersionResource: resource, namespace: "a"}}
			st.sink = sinkOf(st.key)
			object := func(n, size int) unstructured.Unstructured {
				text := fmt.Sprintf(object, strings.Repeat("unread ", 500), strings.Repeat("read", size/4), fmt.Sprint("of-", n))
				var u unstructured.Unstructured
				if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
					t.Fatal(err)
				}
				u.SetNamespace("a")
				u.SetName(fmt.Sprint("n-", n))
				u.SetUID(types.UID(fmt.Sprint("u-", n)))
				u.SetAnnotations(map[string]string{"x": strings.Repeat("a", 5_000), revisionAnnotation: "7"})
				return u
			}
			page := func(from, to, size int) (all []unstructured.Unstructured) {
				for n := from; n < to; n++ {
					all = append(all, object(n, size))
				}
				return all
			}
			list := func(pages ...[]unstructured.Unstructured) int {
				r := st.reading()
				for _, p := range pages {
					r.page(p)
				}
				r.end()
				return len(st.sink.begin(s, "a"))
			}
			if n := list(page(0, 50, 4), page(50, 100, 4)); n != 100 || s.unexplained() != "" {
				t.Errorf("of 100 small ones %d are kept: %s", n, s.unexplained())
			}
			if n := list(page(0, 50, 100<<10)); n >= 20 || s.unexplained() == "" || s.related.weight > 1<<20 {
				t.Errorf("of 50 large ones %d are kept, with %d bytes: %q", n, s.related.weight, s.unexplained())
			}
			if n := list(page(100, 110, 4)); n != 10 || s.unexplained() != "" {
				t.Errorf("%d are kept where there is room again: %s", n, s.unexplained())
			}
			late := object(100, 100<<10)
			st.handle(watch.Modified, &late)
			st.handle(watch.Deleted, &late)
			if n := len(st.sink.begin(s, "a")); n != 9 || len(s.related.of) != 9 {
				t.Errorf("%d are kept after one was deleted, and weighed %d", n, len(s.related.of))
			}
			for n := range 10 {
				gone := object(100+n, 4)
				st.handle(watch.Deleted, &gone)
			}
			if s.related.weight != 0 || len(s.events)+len(s.about)+len(s.pods.byUID)+len(s.claims) != 0 {
				t.Errorf("something is left: %d bytes", s.related.weight)
			}
		})
	}
}
