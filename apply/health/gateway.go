package health

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// gateway returns the rules of the Gateway API
// (gateway-api.sigs.k8s.io/geps/gep-1364).
func gateway(kind string) (kindRule, bool) {
	switch {
	case kind == "Gateway":
		return judgeGateway, true
	case kind == "GatewayClass":
		return allConditions("gateway-accepted", "Accepted"), true
	case strings.HasSuffix(kind, "ListenerSet"):
		return allConditions("gateway-programmed", "Accepted", "Programmed"), true
	case strings.HasSuffix(kind, "Route"):
		return func(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
			return parents(obj, "parents", "route-accepted", "Accepted", "ResolvedRefs")
		}, true
	case strings.HasSuffix(kind, "Policy"):
		return func(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
			return parents(obj, "ancestors", "policy-accepted", "Accepted")
		}, true
	case kind == "ReferenceGrant":
		return configOnly("gateway-config"), true
	}
	return nil, false
}

func judgeGateway(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	v := allConditions("gateway-programmed", "Accepted", "Programmed")(obj, related, now)
	if v.State != Healthy {
		return v
	}
	listeners, _, err := unstructured.NestedSlice(obj.Object, "status", "listeners")
	if err != nil {
		return unreadable(err)
	}
	for _, item := range listeners {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		found, _, _ := unstructured.NestedSlice(m, "conditions")
		for _, kind := range []string{"Programmed", "ResolvedRefs"} {
			c, ok := find(readConditions(found), kind)
			if ok && c.Status == "False" {
				return progressing("gateway-programmed", join("listener "+text(m["name"]), kind+" is False", c.Reason, oneLine(c.Message, 300)))
			}
		}
	}
	return v
}

// allConditions wants each of the conditions True and of the present generation.
func allConditions(rule string, kinds ...string) kindRule {
	return func(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
		conditions := conditionsOf(obj)
		for _, kind := range kinds {
			c, ok := find(conditions, kind)
			if v, stale := staleStatus(obj, c); stale {
				return v
			}
			switch {
			case !ok || c.Status == "Unknown":
				return progressing(rule, join(kind+" not reported yet", c.Message))
			case c.Status != "True":
				return progressing(rule, join(kind+" is "+c.Status, c.Reason, oneLine(c.Message, 400)))
			}
		}
		return healthy(rule, "")
	}
}

// parents judges the parts of a status that hold conditions of their own, as
// the routes of the Gateway API have one for each Gateway.
func parents(obj *unstructured.Unstructured, field, rule string, kinds ...string) verdict {
	list, _, err := unstructured.NestedSlice(obj.Object, "status", field)
	if err != nil {
		return unreadable(err)
	}
	if len(list) == 0 {
		return progressing(rule, "no controller has answered yet")
	}
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		found, _, err := unstructured.NestedSlice(m, "conditions")
		if err != nil {
			return unreadable(err)
		}
		conditions := readConditions(found)
		for _, kind := range kinds {
			c, ok := find(conditions, kind)
			switch {
			case !ok:
				return progressing(rule, parentName(m)+kind+" not reported yet")
			case c.stale(obj.GetGeneration()):
				return progressing("observed-generation", fmt.Sprintf("condition %s is of generation %d of %d", kind, c.observed, obj.GetGeneration()))
			case c.Status != "True":
				return progressing(rule, join(parentName(m)+kind+" is "+c.Status, c.Reason, oneLine(c.Message, 400)))
			}
		}
	}
	return healthy(rule, "")
}

func parentName(m map[string]any) string {
	for _, ref := range []string{"parentRef", "ancestorRef"} {
		if name, _, _ := unstructured.NestedString(m, ref, "name"); name != "" {
			return "parent " + name + ": "
		}
	}
	return ""
}
