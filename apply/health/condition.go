package health

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// condition is one entry of status.conditions of any kind.
type condition struct {
	Type, Status, Reason, Message string
	severity                      string
	observed                      int64 // observedGeneration; 0 where it has none
	at                            time.Time
}

func conditionsOf(obj *unstructured.Unstructured) []condition {
	value, ok, err := unstructured.NestedFieldNoCopy(obj.Object, "status", "conditions")
	if err == nil && !ok { // Greenhouse has them a level deeper
		value, _, err = unstructured.NestedFieldNoCopy(obj.Object, "status", "statusConditions", "conditions")
	}
	if err != nil {
		return nil
	}
	switch of := value.(type) {
	case []any:
		return readConditions(of)
	case map[string]any:
		return readConditions(byType(of))
	}
	return nil
}

// byType makes a list of conditions that are a map by their types, as some
// controllers write them.
func byType(of map[string]any) []any {
	var out []any
	for _, kind := range slices.Sorted(maps.Keys(of)) {
		c, ok := of[kind].(map[string]any)
		if !ok || statusText(c["status"]) == "" {
			continue
		}
		c = maps.Clone(c)
		c["type"] = kind
		out = append(out, c)
	}
	return out
}

// readConditions passes over what is not shaped like a condition: custom
// resources are free to put anything there.
func readConditions(list []any) []condition {
	out := make([]condition, 0, len(list))
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		c := condition{Type: text(m["type"]), Status: statusText(m["status"]), Reason: text(m["reason"]), Message: text(m["message"]), severity: text(m["severity"])}
		c.observed, _ = m["observedGeneration"].(int64)
		if at, err := time.Parse(time.RFC3339, text(m["lastTransitionTime"])); err == nil {
			c.at = at
		}
		out = append(out, c)
	}
	return out
}

// statusText reads a boolean for what some controllers mean by it.
func statusText(v any) string {
	if b, ok := v.(bool); ok {
		return map[bool]string{true: "True", false: "False"}[b]
	}
	return text(v)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func conditionOf(obj *unstructured.Unstructured, kind string) (condition, bool) {
	return find(conditionsOf(obj), kind)
}

// Condition is the status and the message of a condition of an object, empty where
// it has none of that type.
func Condition(obj *unstructured.Unstructured, kind string) (status, message string) {
	c, _ := conditionOf(obj, kind)
	return c.Status, c.Message
}

// find returns the condition of a type. Where a controller adds instead of
// replacing, there are several: the one that changed last counts, and of equals the
// last.
func find(conditions []condition, kind string) (condition, bool) {
	var out condition
	found := false
	for _, c := range conditions {
		if c.Type == kind && (!found || !c.at.Before(out.at)) {
			out, found = c, true
		}
	}
	return out, found
}

// observedGeneration is the generation that a status is about, where it says
// that; some controllers write it as text.
func observedGeneration(obj *unstructured.Unstructured) (int64, bool) {
	value, ok, err := unstructured.NestedFieldNoCopy(obj.Object, "status", "observedGeneration")
	if err != nil || !ok {
		return 0, false
	}
	return count(value)
}

// stale says that a condition was written for an earlier generation.
func (c condition) stale(generation int64) bool {
	return c.observed != 0 && c.observed < generation
}

// staleStatus answers for a status, or a condition in it, that is older than
// the spec.
func staleStatus(obj *unstructured.Unstructured, c condition) (verdict, bool) {
	generation := obj.GetGeneration()
	if observed, ok := observedGeneration(obj); ok {
		if v, ok := behind(obj, observed); ok {
			return v, true
		}
	}
	if c.stale(generation) {
		return progressing("observed-generation", fmt.Sprintf("condition %s is of generation %d of %d", c.Type, c.observed, generation)), true
	}
	return verdict{}, false
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
