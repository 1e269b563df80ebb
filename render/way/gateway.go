package way

import (
	"fmt"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

const classOfGateway = "traefik.io/gateway-controller"

// httpRoute are the routers that Traefik makes of an HTTPRoute: one for each match
// and listener of a Gateway that it attaches to.
func (m *Model) httpRoute(c *controller, o *object) []*router {
	var all []*router
	hostnames := tree.Texts(o.spec()["hostnames"])
	points, hosts, tls, fault, faultAt := m.attached(c, o, hostnames)
	tree.Each(o.spec()["rules"], func(i int, rule map[string]any) {
		matches := tree.List(rule["matches"])
		if len(matches) == 0 {
			matches = []any{map[string]any{}}
		}
		for j, match := range matches {
			r := &router{object: o, path: []any{"spec", "rules", i}, hosts: hosts, points: points, tls: tls, leftOut: fault, at: faultAt}
			if len(tree.List(rule["matches"])) > 0 {
				r.path = append(r.path, "matches", j)
			}
			text, priority := gatewayRule(hosts, tree.Map(match))
			r.prefix = []string{"/"}
			if value := tree.Text(tree.At(match, "path", "value")); value != "" {
				r.prefix, r.exact = []string{value}, tree.Text(tree.At(match, "path", "type")) == "Exact"
			}
			r.setRule(text)
			if fault != nil {
				r.leftOut = fault
			}
			r.priority = priority
			r.filters(rule, r.prefix[0])
			tree.Each(rule["backendRefs"], func(k int, ref map[string]any) {
				namespace := tree.Text(ref["namespace"])
				if namespace == "" {
					namespace = o.Namespace
				}
				r.backends = append(r.backends, backend{
					kind: "Service", namespace: namespace, name: tree.Text(ref["name"]), port: ref["port"],
					weight: number(ref["weight"], 1), at: o.at("spec", "rules", i, "backendRefs", k),
				})
			})
			all = append(all, r)
		}
	})
	return all
}

// attached are the entry points and host names that an HTTPRoute has by the
// listeners of its Gateways.
func (m *Model) attached(c *controller, o *object, hostnames []string) (points, hosts []string, tls bool, fault *Break, at *Place) {
	refuse := func(field []any, format string, args ...any) {
		place := o.at(field...)
		fault, at = &Break{Reason: fmt.Sprintf(format, args...), Fix: "let the route name a Gateway, and a listener of it, that takes its host names"}, &place
	}
	if len(tree.List(o.spec()["parentRefs"])) == 0 {
		refuse([]any{"spec", "parentRefs"}, "the route names no Gateway")
	}
	tree.Each(o.spec()["parentRefs"], func(i int, ref map[string]any) {
		namespace := tree.Text(ref["namespace"])
		if namespace == "" {
			namespace = o.Namespace
		}
		name := tree.Text(ref["name"])
		gateway := m.byID[id{"Gateway", namespace, name}]
		if gateway == nil {
			refuse([]any{"spec", "parentRefs", i, "name"}, "no Gateway %q in namespace %s%s", name, namespace, didYouMean(name, m.names("Gateway", namespace)))
			return
		}
		class := m.byID[id{"GatewayClass", "", tree.Text(gateway.spec()["gatewayClassName"])}]
		if class != nil && tree.Text(class.spec()["controllerName"]) != classOfGateway {
			refuse([]any{"spec", "parentRefs", i, "name"}, "%s is of another controller", gateway.ref())
			return
		}
		attached := false
		tree.Each(gateway.spec()["listeners"], func(_ int, l map[string]any) {
			if section := tree.Text(ref["sectionName"]); section != "" && section != tree.Text(l["name"]) {
				return
			}
			point := c.point(int(number(l["port"], 0)))
			from := tree.Text(tree.At(l, "allowedRoutes", "namespaces", "from"))
			if point == nil || (from == "" || from == "Same") && namespace != o.Namespace {
				return
			}
			common := intersect(tree.Text(l["hostname"]), hostnames)
			if common == nil {
				return
			}
			attached = true
			points = append(points, point.name)
			for _, host := range common {
				if host != "" {
					hosts = append(hosts, host)
				}
			}
			tls = tls || tree.Text(l["protocol"]) == "HTTPS"
		})
		if !attached {
			refuse([]any{"spec", "parentRefs", i}, "no listener of %s takes the route: its port is not an entry point of Traefik, its host name is another, or it allows no routes of namespace %s", gateway.ref(), o.Namespace)
		}
	})
	if len(points) > 0 {
		fault, at = nil, nil
	}
	if hosts == nil {
		hosts = hostnames
	}
	return points, hosts, tls, fault, at
}

// intersect are the host names of a route that a listener takes; nil where there
// are none, and an empty name where both take any.
func intersect(listener string, hostnames []string) []string {
	if len(hostnames) == 0 {
		return []string{listener}
	}
	if listener == "" {
		return hostnames
	}
	var common []string
	for _, host := range hostnames {
		switch {
		case host == listener, below(host, listener):
			common = append(common, host)
		case below(listener, host):
			common = append(common, listener)
		}
	}
	return common
}

// below says whether a host name is below a wildcard.
func below(host, wildcard string) bool {
	return strings.HasPrefix(wildcard, "*.") && strings.HasSuffix(host, wildcard[1:]) && host != wildcard
}

// gatewayRule is a match of an HTTPRoute as a rule of Traefik with its priority.
func gatewayRule(hosts []string, match map[string]any) (string, int) {
	var names []string
	priority := 0
	for _, host := range hosts {
		priority = max(priority, len(host))
		names = append(names, hostRule(host, `[a-z0-9-\.]+\.`))
	}
	parts := []string{}
	switch len(names) {
	case 0:
	case 1:
		parts = append(parts, names[0])
	default:
		parts = append(parts, "("+strings.Join(names, " || ")+")")
	}
	value := tree.Text(tree.At(match, "path", "value"))
	if value == "" {
		value = "/"
	}
	switch kind := tree.Text(tree.At(match, "path", "type")); {
	case kind == "Exact":
		parts, priority = append(parts, fmt.Sprintf("Path(%q)", value)), priority+100000
	case kind == "RegularExpression":
		parts, priority = append(parts, fmt.Sprintf("PathRegexp(%q)", value)), priority+10000+len(value)*100
	case value == "/":
		parts, priority = append(parts, `PathPrefix("/")`), priority+1
	default:
		parts, priority = append(parts, strictPrefix(value)), priority+10000+len(value)*100
	}
	if method := tree.Text(match["method"]); method != "" {
		parts, priority = append(parts, fmt.Sprintf("Method(%q)", method)), priority+1000
	}
	tree.Each(match["headers"], func(_ int, h map[string]any) {
		name := map[bool]string{true: "HeaderRegexp", false: "Header"}[tree.Text(h["type"]) == "RegularExpression"]
		parts, priority = append(parts, fmt.Sprintf("%s(%q,%q)", name, tree.Text(h["name"]), tree.Text(h["value"]))), priority+100
	})
	tree.Each(match["queryParams"], func(_ int, q map[string]any) {
		name := map[bool]string{true: "QueryRegexp", false: "Query"}[tree.Text(q["type"]) == "RegularExpression"]
		parts, priority = append(parts, fmt.Sprintf("%s(%q,%q)", name, tree.Text(q["name"]), tree.Text(q["value"]))), priority+10
	})
	return strings.Join(parts, " && "), priority
}
