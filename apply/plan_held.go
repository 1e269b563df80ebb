package apply

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
)

// What moves to another name is still held under the former one: pruning comes last,
// so that nothing is missing before its successor is there. A node port, an address
// and a host port can be in one place only; the plan says who holds them, and what to
// type.
var allocated = regexp.MustCompile(`Invalid value: "?([0-9a-fA-F.:]+)"?: .*(?:port|IP|address).* already allocated`)

// sayHeld looks for what new objects want and what is deleted last still holds.
func (p *planner) sayHeld() {
	for _, it := range p.items {
		switch it.change.Action {
		case Rejected:
			if m := allocated.FindStringSubmatch(it.change.Refused); m != nil && it.ref.Kind == "Service" {
				if holder := p.prunedWith(func(live *unstructured.Unstructured) bool { return live.GetKind() == "Service" && serves(live, m[1]) }); holder != nil {
					it.change.Hint = fmt.Sprintf("%s has it, and is deleted last: delete it first: %s", holder.Ref, deletion(holder))
				}
			}
		case Created, UnverifiedCreated:
			for _, port := range hostPorts(it.obj.Unstructured) {
				if holder := p.prunedWith(func(live *unstructured.Unstructured) bool { return slices.Contains(hostPorts(live), port) }); holder != nil {
					p.warn(fmt.Sprintf("%s: %s has host port %s, and is deleted last: the new pods wait for it where they meet; delete it first: %s", it.ref, holder.Ref, port, deletion(holder)))
					break
				}
			}
		}
	}
}

func (p *planner) prunedWith(holds func(*unstructured.Unstructured) bool) *Change {
	for i := range p.pruned {
		if c := &p.pruned[i]; c.Action == Deleted && c.live != nil && holds(c.live) {
			return c
		}
	}
	return nil
}

func deletion(c *Change) string {
	return fmt.Sprintf("kubectl -n %s delete %s %s", c.Namespace, strings.ToLower(c.Kind), c.Name)
}

// serves says whether a Service has a node port or an address.
func serves(service *unstructured.Unstructured, value string) bool {
	for _, path := range [][]string{{"spec", "clusterIP"}, {"spec", "healthCheckNodePort"}} {
		if field, ok, err := unstructured.NestedFieldNoCopy(service.Object, path...); ok && err == nil && fmt.Sprint(field) == value {
			return true
		}
	}
	ports, _, err := unstructured.NestedSlice(service.Object, "spec", "ports")
	if err != nil {
		return false
	}
	for _, item := range ports {
		if port, ok := item.(map[string]any); ok && port["nodePort"] != nil && fmt.Sprint(port["nodePort"]) == value {
			return true
		}
	}
	return false
}

// hostPorts are the ports of the nodes that the pods of a workload take, with their
// protocol where it is not TCP.
func hostPorts(u *unstructured.Unstructured) []string {
	path := []string{"spec", "template", "spec"}
	switch {
	case u.GetKind() == "Pod":
		path = []string{"spec"}
	case kinds.Wave(u.GetKind()) != kinds.WaveWorkload:
		return nil
	}
	containers, _, err := unstructured.NestedSlice(u.Object, append(path, "containers")...)
	if err != nil {
		return nil
	}
	onHost, _, _ := unstructured.NestedBool(u.Object, append(path, "hostNetwork")...)
	var out []string
	for _, item := range containers {
		c, _ := item.(map[string]any)
		ports, _ := c["ports"].([]any)
		for _, item := range ports {
			port, _ := item.(map[string]any)
			number := port["hostPort"]
			if number == nil && onHost {
				number = port["containerPort"]
			}
			if number == nil {
				continue
			}
			name := fmt.Sprint(number)
			if protocol, _ := port["protocol"].(string); protocol != "" && protocol != "TCP" {
				name += "/" + protocol
			}
			out = append(out, name)
		}
	}
	return out
}
