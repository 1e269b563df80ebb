package health

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
