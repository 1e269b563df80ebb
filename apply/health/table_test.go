package health

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Every rule of the table has a project and a source, names each kind once, and
// its examples are judged as they stand: each with a working object, and with one
// that starts or is broken.
func TestTable(t *testing.T) {
	files, err := RuleFiles()
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for _, f := range files {
		seen := map[string]bool{}
		if f.Project == "" || !strings.HasPrefix(f.Source, "https://") {
			t.Errorf("%s: has no project or no source", f.Domain)
		}
		for _, r := range f.Rules {
			kinds += len(r.Kinds)
			for _, kind := range r.Kinds {
				if key := kind + "." + r.Groups(); seen[key] {
					t.Errorf("%s: %s is there twice", f.Domain, key)
				} else {
					seen[key] = true
				}
			}
			t.Run(f.Domain+"/"+r.Kinds[0], func(t *testing.T) { checkRule(t, r) })
		}
	}
	if kinds < 150 {
		t.Errorf("%d kinds, want at least 150", kinds)
	}
}

func checkRule(t *testing.T, r *Rule) {
	t.Helper()
	r.once.Do(r.compile)
	if r.err != nil {
		t.Error(r.err)
	}
	if !glob("*"+r.file.Domain, r.Groups()) && !strings.HasSuffix(r.Groups(), r.file.Domain) {
		t.Errorf("group %s is not below %s", r.Groups(), r.file.Domain)
	}
	if !r.NoStatus && !r.Config && (len(r.Examples[Healthy]) == 0 || len(r.Examples[Progressing])+len(r.Examples[Failed]) == 0) {
		t.Error("lacks examples: a working object, and one that starts or is broken")
	}
	for state, examples := range r.Examples {
		if !slices.Contains([]State{Healthy, Progressing, Failed}, state) {
			t.Errorf("%s is not a state that an example may have", state)
		}
		for _, e := range examples {
			obj := exampleOf(t, r, e)
			if got := judgeKind(obj, Related{}, judgedAt()); got.State != state || got.Rule != r.RuleName() && got.Rule != "observed-generation" {
				t.Errorf("%s is %s by rule %s (%s), want %s by %s", e.keys(), got.State, got.Rule, got.Message, state, r.RuleName())
			} else if state != Healthy && got.Message == "" {
				t.Errorf("%s is %s without a word", e.keys(), state)
			}
			if state == Healthy {
				checkOutdated(t, r, obj)
			}
		}
	}
}

// A status of an earlier generation makes nothing healthy but what needs none.
func checkOutdated(t *testing.T, r *Rule, obj *unstructured.Unstructured) {
	t.Helper()
	if !reports(obj) {
		return
	}
	if _, enough := r.any(&subject{obj: obj, conditions: conditionsOf(obj), now: judgedAt()}, r.Enough); enough {
		return
	}
	obj = obj.DeepCopy()
	obj.SetGeneration(3)
	status, _ := obj.Object["status"].(map[string]any)
	status["observedGeneration"] = int64(2)
	if got := judgeKind(obj, Related{}, judgedAt()); got.State != Progressing {
		t.Errorf("%s: an outdated status is %s by rule %s", r.Kinds[0], got.State, got.Rule)
	}
}

// exampleOf makes an object of the first kind of a rule from the words of its tests.
func exampleOf(t *testing.T, r *Rule, tests Tests) *unstructured.Unstructured {
	t.Helper()
	kind := strings.ReplaceAll(r.Kinds[0], "*", "Some")
	group := strings.ReplaceAll(r.Groups(), "*", "some")
	obj := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "x", "namespace": "dev", "generation": int64(1), "creationTimestamp": "2026-03-02T09:50:00Z"}}}
	obj.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind})
	var conditions []any
	set := func(value any, path string) {
		if err := unstructured.SetNestedField(obj.Object, value, strings.Split(path, ".")...); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	for _, key := range tests.keys() {
		value := strings.Join(tests[key], " ")
		switch {
		case key == "status.parents" || key == "status.ancestors":
			if value != "none" {
				set([]any{examplePart(value)}, key)
			}
		case exampleLists()[key+" "+value] != nil:
			set(exampleLists()[key+" "+value], key)
		case isPath(key):
			set(exampleValue(key, value), key)
		default:
			status, reason, _ := strings.Cut(value, " ")
			conditions = append(conditions, map[string]any{"type": key, "status": status, "reason": reason, "lastTransitionTime": "2026-03-02T09:55:00Z"})
		}
	}
	if conditions != nil {
		set(conditions, "status.conditions")
	}
	return obj
}

// exampleLists are the lists that the words of some examples stand for.
func exampleLists() map[string][]any {
	return map[string][]any{
		"status.instances replicas":                 {map[string]any{"replicas": int64(2), "readyReplicas": int64(2)}},
		"status.instances starting":                 {map[string]any{"replicas": int64(2), "readyReplicas": int64(1)}},
		"status.byPod enforced":                     {map[string]any{"enforced": true, "observedGeneration": int64(1)}},
		"status.byPod waiting":                      {map[string]any{"enforced": false, "observedGeneration": int64(1)}},
		"status.byPod broken":                       {map[string]any{"enforced": false, "errors": []any{map[string]any{"code": "ingest_error", "message": "no"}}}},
		"status.environments promoted":              {exampleEnvironment("a1", "a1")},
		"status.environments on its way":            {exampleEnvironment("a1", "b2")},
		"spec.nodeSets three nodes":                 {map[string]any{"name": "master", "count": int64(1)}, map[string]any{"name": "data", "count": int64(2)}},
		"status.podStatus.conditions pod ready":     {map[string]any{"type": "Ready", "status": "True"}},
		"status.podStatus.conditions pod not ready": {map[string]any{"type": "KruisePodReady", "status": "False"}},
		"status.environments passed":                {exampleGate("success"), exampleGate("success")},
		"status.environments waiting":               {exampleGate("success"), exampleGate("pending")},
		"status.environments refused":               {exampleGate("success"), exampleGate("failure")},
		"status.environments apart":                 {exampleEnvironment("a1", "a1"), exampleEnvironment("b2", "b2")},
		"status.applicationsSelected one":           {map[string]any{"phase": "success"}},
		"status.items some":                         {map[string]any{"node": "n", "egressIP": "10.4.7.200"}},
		"status.featureSummaries provisioned":       {map[string]any{"featureID": "Helm", "status": "Provisioned"}},
		"status.featureSummaries provisioning":      {map[string]any{"featureID": "Helm", "status": "Provisioning"}},
		"status.featureSummaries failing":           {map[string]any{"featureID": "Helm", "status": "FailedNonRetriable"}},
		"status.ingress admitted":                   {map[string]any{"conditions": []any{map[string]any{"type": "Admitted", "status": "True"}}}},
		"status.ingress refused":                    {map[string]any{"conditions": []any{map[string]any{"type": "Admitted", "status": "False"}}}},
	}
}

func exampleGate(phase string) any { return map[string]any{"branch": "env/dev", "phase": phase} }

func exampleEnvironment(active, proposed string) any {
	at := func(sha string) any { return map[string]any{"dry": map[string]any{"sha": sha}} }
	return map[string]any{"active": at(active), "proposed": at(proposed)}
}

func examplePart(value string) any {
	status := map[string]string{"accepted": "True", "refused": "False"}[value]
	return map[string]any{"controllerName": "example.com/gateway", "conditions": []any{map[string]any{"type": "Accepted", "status": status, "observedGeneration": int64(1)}}}
}

// exampleValue is a number where the text is one, but for the generation that
// Argo Rollouts writes as text.
func exampleValue(key, value string) any {
	switch {
	case value == "True" || value == "False":
		return value == "True"
	case key == "status.observedGeneration" && value == "1":
		return int64(1)
	}
	if n, ok := plainNumber(value); ok {
		return n
	}
	return value
}

func plainNumber(s string) (int64, bool) {
	var n int64
	for _, r := range s {
		if r < '0' || r > '9' {
			return 0, false
		}
		n = 10*n + int64(r-'0')
	}
	return n, s != ""
}
