package health

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// nestedParts are the parts of a status that have conditions of their own: a
// route's for each of its parents, a policy's for each of its ancestors, a
// Gateway's for each of its listeners (gateway-api.sigs.k8s.io/geps/gep-1364),
// whoever's kind it is.
func nestedParts() []string { return []string{"parents", "ancestors", "listeners"} }

// judgeNested wants the conditions of each part to be good ones. A part that an
// earlier generation left is passed over, if the same controller has answered for
// another part since.
func judgeNested(s *subject, rule string) (verdict, bool) {
	obj := s.obj
	found := false
	for _, field := range nestedParts() {
		list, _, err := unstructured.NestedSlice(obj.Object, "status", field)
		if err != nil {
			continue
		}
		parts := readParts(list)
		for i := range parts {
			found = true
			if v, bad := parts[i].judge(s, parts, rule); bad {
				return v, true
			}
		}
	}
	if !found {
		return verdict{}, false
	}
	return healthy(rule, ""), true
}

// part is one parent, ancestor or listener.
type part struct {
	name, controller string
	conditions       []condition
}

func readParts(list []any) []part {
	var out []part
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		conditions, ok, err := unstructured.NestedSlice(m, "conditions")
		if err != nil || !ok {
			continue
		}
		out = append(out, part{name: partName(m), controller: text(m["controllerName"]), conditions: readConditions(conditions)})
	}
	return out
}

func (p *part) stale(generation int64) bool {
	for _, c := range p.conditions {
		if c.stale(generation) {
			return true
		}
	}
	return false
}

func (p *part) judge(s *subject, all []part, rule string) (verdict, bool) {
	generation := s.obj.GetGeneration()
	if p.stale(generation) {
		for i := range all {
			if other := &all[i]; other != p && other.controller == p.controller && other.controller != "" && !other.stale(generation) {
				return verdict{}, false
			}
		}
	}
	accepted := false
	for _, kind := range []string{"Accepted", "Programmed", "ResolvedRefs", "Attached", "Ready"} {
		c, ok := find(p.conditions, kind)
		if !ok {
			continue
		}
		accepted = true
		if v, stale := staleStatus(s.obj, c); stale {
			return v, true
		}
		if c.Status != "True" {
			return s.lasting(progressing(rule, join(p.name, kind+" is "+c.Status, c.Reason, oneLine(c.Message, 400))+sinceWords(c, s.now)), c), true
		}
	}
	for _, kind := range []string{"Conflicted", "PartiallyInvalid"} {
		if c, ok := find(p.conditions, kind); ok && c.Status == "True" && !c.stale(generation) {
			return s.lasting(progressing(rule, join(p.name, kind, c.Reason, oneLine(c.Message, 400))+sinceWords(c, s.now)), c), true
		}
	}
	if !accepted {
		return progressing(rule, join(p.name, "not accepted yet")), true
	}
	return verdict{}, false
}

func partName(m map[string]any) string {
	for _, ref := range []string{"parentRef", "ancestorRef"} {
		if name, _, _ := unstructured.NestedString(m, ref, "name"); name != "" {
			return "parent " + name
		}
	}
	if name := text(m["name"]); name != "" {
		return "listener " + name
	}
	return ""
}

// judgeCounts judges replicas as those of a Deployment; not where the object does
// not count them, or where nothing says that it counts those of the present spec.
func judgeCounts(s *subject, rule string) (verdict, bool) {
	number := func(path ...string) (int, bool) {
		n, ok, err := unstructured.NestedInt64(s.obj.Object, path...)
		return int(n), ok && err == nil
	}
	desired, ok := number("spec", "replicas")
	if !ok {
		if desired, ok = number("status", "desiredNumberScheduled"); !ok {
			if desired, ok = number("status", "replicas"); !ok {
				return verdict{}, false
			}
		}
	}
	ready, found := 0, false
	for i, field := range []string{"readyReplicas", "availableReplicas", "updatedReplicas", "numberReady", "numberAvailable", "updatedNumberScheduled", "updatedReadyReplicas"} {
		n, ok := number("status", field)
		if !ok {
			continue
		}
		if i < 2 || field == "numberReady" || !found {
			ready = n
		}
		found = found || i != 2 && i != 5
		if n < desired {
			v := progressing(rule, fmt.Sprintf("%s is %d of %d", field, n, desired))
			v.ready, v.desired = n, desired
			return v, true
		}
	}
	total, counted := number("status", "replicas")
	switch {
	case !found && desired == 0 && counted && total == 0:
	case !found && counted:
		return progressing(rule, ofReady(0, desired)), true
	case !found:
		return verdict{}, false
	case counted && total > desired:
		return progressing(rule, fmt.Sprintf("%d %s still to end", total-desired, plural(total-desired, "pod"))), true
	}
	v := healthy(rule, "")
	v.ready, v.desired = ready, desired
	return v, true
}

// uncounted says that all replicas that a spec wants are there, but none is counted
// as ready: because none is yet, or because its kind counts no more than that.
func uncounted(s *subject) bool {
	number := func(path ...string) (int64, bool) {
		n, ok, err := unstructured.NestedInt64(s.obj.Object, path...)
		return n, ok && err == nil
	}
	for _, field := range []string{"readyReplicas", "availableReplicas", "numberReady", "numberAvailable", "updatedReadyReplicas"} {
		if _, ok := number("status", field); ok {
			return false
		}
	}
	desired, wanted := number("spec", "replicas")
	there, counted := number("status", "replicas")
	updated, tells := number("status", "updatedReplicas")
	return wanted && counted && there == desired && (!tells || updated == desired)
}

// lastWrite is when a spec was last written, as far as the API server tells.
func lastWrite(obj *unstructured.Unstructured) time.Time {
	spec, _ := writtenAndReported(obj)
	return spec
}
