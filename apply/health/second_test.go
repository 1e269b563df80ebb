package health

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// secondKind is a kind of testdata/second with statuses by what they mean.
type secondKind struct {
	Kind        string           `json:"kind"` // apiVersion and kind
	Source      string           `json:"source"`
	Healthy     []map[string]any `json:"healthy"`
	Progressing []map[string]any `json:"progressing"`
	Failed      []map[string]any `json:"failed"`
	Suspended   []map[string]any `json:"suspended"`
	Spec        map[string]any   `json:"spec"` // instead of three replicas
}

// TestSecondSet judges objects that the table was not written from: nine of ten as
// their operators mean them, and none healthy that is not.
func TestSecondSet(t *testing.T) {
	kinds := readKinds(t, "testdata/second/objects.yaml")
	total, agree, dangerous, unknown := 0, 0, 0, 0
	for _, k := range kinds {
		for want, statuses := range map[State][]map[string]any{Healthy: k.Healthy, Progressing: k.Progressing, Failed: k.Failed} {
			for _, status := range statuses {
				total++
				got := Judge(k.object(t, status), nil, Related{}, judgedAt())
				switch got.State {
				case want:
					agree++
					continue
				case Healthy:
					dangerous++
				case Unknown:
					unknown++
				}
				t.Logf("%s %v: %s by rule %s (%s), want %s", k.Kind, status, got.State, got.Rule, got.Message, want)
			}
		}
	}
	t.Logf("%d objects of %d kinds: %d agree, %d dangerous, %d unknown", total, len(kinds), agree, dangerous, unknown)
	if total < 200 || agree*10 < total*9 || dangerous > 0 {
		t.Errorf("want at least 200 objects, nine of ten judged as meant, and none dangerous")
	}
}

func (k secondKind) object(t *testing.T, status map[string]any) *unstructured.Unstructured {
	t.Helper()
	apiVersion, kind, ok := strings.Cut(k.Kind, " ")
	if !ok {
		t.Fatalf("%q is no apiVersion and kind", k.Kind)
	}
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": apiVersion, "kind": kind, "spec": map[string]any{"replicas": int64(3)},
		"metadata": map[string]any{"name": "x", "namespace": "dev", "generation": int64(1), "creationTimestamp": "2026-03-02T09:50:00Z"},
	}}
	if k.Spec != nil {
		obj.Object["spec"] = spellOut(t, k.Spec)
	}
	if len(status) > 0 {
		obj.Object["status"] = spellOut(t, status)
	}
	return obj
}

var conditionWords = regexp.MustCompile(`^(True|False|Unknown|Degraded)(?: (\w+))?(?:: (.*))?$`)

// spellOut makes conditions of their words and integers of numbers.
func spellOut(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, item := range v {
			if words, ok := item.(map[string]any); ok && key == "conditions" && allText(words) {
				item = conditionsSpeltOut(t, words)
			}
			out[key] = spellOut(t, item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = spellOut(t, v[i])
		}
		return out
	case float64:
		return int64(v)
	}
	return v
}

// allText tells the words of conditions from conditions of a shape of their own.
func allText(m map[string]any) bool {
	for _, item := range m {
		if _, ok := item.(string); !ok {
			return false
		}
	}
	return true
}

func conditionsSpeltOut(t *testing.T, words map[string]any) []any {
	t.Helper()
	out := []any{}
	for key, item := range words {
		kind, generation, observed := strings.Cut(key, "@")
		text, _ := item.(string)
		m := conditionWords.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("%q is no condition", text)
		}
		c := map[string]any{"type": kind, "status": m[1], "reason": m[2], "message": m[3], "lastTransitionTime": "2026-03-02T09:55:00Z"}
		if observed {
			n, err := strconv.ParseInt(generation, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			c["observedGeneration"] = n
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b any) int {
		return strings.Compare(a.(map[string]any)["type"].(string), b.(map[string]any)["type"].(string))
	})
	return out
}
