package health

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	contract "github.com/seed-428f4edd/evenkeel/schema"
)

// tooLong is how long the judgement of one object may take, on a slow machine that
// does other things as well: a gate judges it once a second.
const tooLong = 20 * time.Second

// TestForged gives every rule of the table, and the general ones, statuses that no
// controller writes, at each place that the rule reads: it answers, soon, with one
// of the four states and a message of bounded length, and changes nothing.
func TestForged(t *testing.T) {
	files, err := RuleFiles()
	if err != nil {
		t.Fatal(err)
	}
	small, large := forgeries(), largeForgeries()
	judged := 0
	for _, f := range files {
		for _, r := range f.Rules {
			obj := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "x", "namespace": "dev", "generation": int64(1)}}}
			if e := r.Examples[Healthy]; len(e) > 0 {
				obj = exampleOf(t, r, e[0])
			}
			obj.SetGroupVersionKind(schema.GroupVersionKind{
				Group: strings.ReplaceAll(r.Groups(), "*", "some"), Version: "v1", Kind: strings.ReplaceAll(r.Kinds[0], "*", "Some"),
			})
			judged += forge(t, obj, r.places(), small)
			if places := r.places(); len(places) > 0 && judged%7 == 0 { // of some rules: they take long
				judged += forge(t, obj, places[:1], large)
			}
		}
	}
	unknownKind := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Thing", "metadata": map[string]any{"name": "x", "generation": int64(1)},
		"spec": map[string]any{"replicas": int64(3)}, "status": map[string]any{"observedGeneration": int64(1)},
	}}
	general := []string{"status.phase", "status.ready", "status.replicas", "status.readyReplicas", "spec.replicas", "status.parents", "status.result", "status.desired", "status.message", "status.a.b"}
	judged += forge(t, unknownKind, general, small) + forge(t, unknownKind, general, large)
	t.Logf("%d forged objects", judged)
	if judged < 10_000 {
		t.Errorf("only %d forged objects", judged)
	}
}

// places are the paths that a rule reads, and those that are read of any object.
func (r *Rule) places() []string {
	out := slices.Clone(r.Words)
	for _, tests := range slices.Concat(r.Enough, r.Failed, r.Lasting, r.Progressing, r.Healthy) {
		for key := range tests {
			if isPath(key) {
				out = append(out, key)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func forge(t *testing.T, obj *unstructured.Unstructured, places []string, forgeries map[string]any) (judged int) {
	t.Helper()
	for _, place := range append([]string{"status", "status.conditions", "status.observedGeneration"}, places...) {
		for name, value := range forgeries {
			forged := obj.DeepCopy()
			path := strings.Split(place, ".")
			if unstructured.SetNestedField(forged.Object, map[string]any{}, path[:max(1, len(path)-1)]...) != nil && len(path) > 1 {
				continue
			}
			put(forged.Object, value, path)
			judged++
			start := time.Now()
			got := Judge(forged, nil, Related{}, judgedAt())
			where := fmt.Sprintf("%s with %s at %s", obj.GroupVersionKind().GroupKind(), name, place)
			if took := time.Since(start); took > tooLong {
				t.Errorf("%s: took %s", where, took)
			}
			if !slices.Contains([]State{Healthy, Progressing, Failed, Unknown}, got.State) || got.Rule == "" {
				t.Errorf("%s: %+v", where, got)
			}
			if len(got.Message) > 4000 || got.State != Healthy && got.Message == "" {
				t.Errorf("%s: %s by rule %s, with a message of %d bytes", where, got.State, got.Rule, len(got.Message))
			}
		}
	}
	return judged
}

// put sets a value at a path without a copy: some of them are large.
func put(in map[string]any, value any, path []string) {
	for _, key := range path[:len(path)-1] {
		next, ok := in[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			in[key] = next
		}
		in = next
	}
	in[path[len(path)-1]] = value
}

// forgeries are what may stand anywhere in a custom resource whose schema keeps
// unknown fields.
func forgeries() map[string]any {
	return map[string]any{
		"null": nil, "text": "Ready", "empty text": "", "a bool": true, "a number": int64(-1 << 63), "a fraction": 0.5,
		"a list of null": []any{nil}, "a list of texts": []any{"Ready", "True"}, "a list of lists": []any{[]any{}},
		"a map of null":         map[string]any{"type": nil, "status": nil},
		"conditions of numbers": []any{map[string]any{"type": int64(1), "status": int64(1), "observedGeneration": "1", "lastTransitionTime": int64(5)}},
		"a condition of maps":   []any{map[string]any{"type": map[string]any{}, "status": []any{}, "reason": map[string]any{}}},
		"odd times":             []any{map[string]any{"type": "Ready", "status": "False", "reason": "Error", "lastTransitionTime": "9999-99-99T99:99:99Z"}},
		"a generation to come":  []any{map[string]any{"type": "Ready", "status": "True", "observedGeneration": int64(1 << 62)}},
		"control characters":    "\x00\x1b[31m\u202e" + strings.Repeat("e\u0301", 50),
		"a path of dots":        map[string]any{"": map[string]any{"..": "x"}},
	}
}

// largeForgeries are larger than anything that a controller writes.
func largeForgeries() map[string]any {
	deep := map[string]any{}
	at := deep
	for range 2000 {
		next := map[string]any{}
		at["status"], at = next, next
	}
	return map[string]any{
		"maps below one another": deep,
		"a long text":            strings.Repeat("Ready failed ", 5000),
		"a long word":            strings.Repeat("aB", 20_000),
		"many conditions": repeated(500, func(i int) any {
			return map[string]any{"type": fmt.Sprintf("Ready%d", i), "status": "False", "reason": "Error"}
		}),
		"one condition often": repeated(500, func(int) any { return map[string]any{"type": "Ready", "status": "Unknown", "message": "x"} }),
	}
}

func repeated(n int, item func(int) any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = item(i)
	}
	return out
}

// TestForgedSize gives rules with loops, and the general ones, statuses as large as
// the API server stores.
func TestForgedSize(t *testing.T) {
	numbers := map[string]any{}
	for i := range 30_000 {
		numbers[fmt.Sprintf("desired%dnumber", i)] = int64(2)
		numbers[fmt.Sprintf("status%d", i)] = "Fine"
	}
	parts := repeated(20_000, func(i int) any {
		return map[string]any{"name": fmt.Sprint(i), "type": "Ready", "status": "True", "conditions": []any{map[string]any{"type": "Accepted", "status": "True"}}}
	})
	sets := repeated(5000, func(int) any { return map[string]any{"name": "a", "count": int64(1 << 31)} })
	for name, obj := range map[string]map[string]any{
		"fields":     {"apiVersion": "example.com/v1", "kind": "Thing", "status": numbers},
		"fields two": {"apiVersion": "example.com/v1", "kind": "Thing", "status": map[string]any{"a": numbers, "b": numbers}},
		"conditions": {"apiVersion": "example.com/v1", "kind": "Thing", "status": map[string]any{"conditions": parts}},
		"parents":    {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "status": map[string]any{"parents": parts}},
		"ranges": {
			"apiVersion": "elasticsearch.k8s.elastic.co/v1", "kind": "Elasticsearch", "spec": map[string]any{"nodeSets": sets},
			"status": map[string]any{"phase": "Ready", "health": "green", "availableNodes": int64(1)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			obj["metadata"] = map[string]any{"name": "x", "generation": int64(1)}
			start := time.Now()
			got := Judge(&unstructured.Unstructured{Object: obj}, nil, Related{}, judgedAt())
			if took := time.Since(start); took > tooLong {
				t.Errorf("took %s", took)
			}
			if len(got.Message) > 4000 {
				t.Errorf("a message of %d bytes", len(got.Message))
			}
			t.Logf("%s in %s: %s by rule %s (%.80s)", name, time.Since(start), got.State, got.Rule, got.Message)
		})
	}
}

// TestExpensiveExpressions holds a rule of a site to the cost of one expression of
// Kubernetes: it ends, and says why nothing is known.
func TestExpensiveExpressions(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Thing", "metadata": map[string]any{"name": "x", "generation": int64(1)},
		"status": map[string]any{"big": strings.Repeat("a", 500_000), "list": repeated(20_000, func(i int) any { return int64(i) })},
	}}
	const limit = "cost limit|longer than"
	for source, want := range map[string]string{
		"self.status.list.all(a, self.status.list.all(b, self.status.list.all(c, a + b + c >= 0)))":                                    limit,
		"self.status.list.map(a, self.status.list.map(b, a + b)).size() > 0":                                                           limit,
		"[self.status.big].map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).size() > 0": limit,
		"lists.range(2147483647).size() > 0":                            "exceeds maximum",
		"sets.contains(self.status.list, self.status.list)":             "too long",
		"self.status.list.distinct().size() > 0":                        "too long",
		"self.status.big.replace('a', self.status.big).size() > 0":      "replace is not there",
		"self.status.list.map(a, self.status.big).join('').size() > 0":  "join is not there",
		"'%s'.format([self.status.list.map(a, self.status.big)]) != ''": "format is not there",
	} {
		start := time.Now()
		got := Judge(obj, &contract.ReadyRule{CEL: source}, Related{}, judgedAt())
		if took := time.Since(start); took > tooLong {
			t.Errorf("%s: took %s", source, took)
		}
		if got.State == Healthy || !regexp.MustCompile(want).MatchString(got.Message) || len(got.Message) > 4000 {
			t.Errorf("%s: %s by rule %s: %s, want %q", source, got.State, got.Rule, oneLine(got.Message, 300), want)
		}
		t.Logf("%s: %s in %s", source, got.State, time.Since(start))
	}
}
