package way

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

const classOfGateway = "traefik.io/gateway-controller"

// routeKinds are the kinds of routes of the Gateway API that lead requests of HTTP.
func routeKinds() []string { return []string{"HTTPRoute", "GRPCRoute"} }

// gatewayRoute are the routers that a controller makes of an HTTPRoute or a GRPCRoute:
// one for each match, where the order is the specification's also for each host name.
func (m *Model) gatewayRoute(c *controller, o *object) []*router {
	var all []*router
	a := m.attached(c, o, tree.Texts(o.spec()["hostnames"]))
	perHost := [][]string{a.hosts}
	if c.kind == unknownKind && len(a.hosts) > 1 {
		perHost = nil
		for _, host := range a.hosts {
			perHost = append(perHost, []string{host})
		}
	}
	tree.Each(o.spec()["rules"], func(i int, rule map[string]any) {
		matches := tree.List(rule["matches"])
		if len(matches) == 0 {
			matches = []any{map[string]any{}}
		}
		for j, match := range matches {
			for _, hosts := range perHost {
				r := &router{object: o, provider: "kubernetesgateway", path: []any{"spec", "rules", i}, hosts: hosts, points: a.points, tls: a.tls, secret: a.secret, leftOut: a.fault, at: a.at}
				if len(tree.List(rule["matches"])) > 0 {
					r.path = append(r.path, "matches", j)
				}
				r.matches(m, c, tree.Map(match))
				if a.fault != nil {
					r.leftOut = a.fault
				}
				r.filters(m, rule, r.prefix[0])
				r.leads(i, rule)
				all = append(all, r)
			}
		}
	})
	return all
}

// leads notes where a rule of a route leads.
func (r *router) leads(i int, rule map[string]any) {
	tree.Each(rule["backendRefs"], func(k int, ref map[string]any) {
		namespace := tree.Text(ref["namespace"])
		if namespace == "" {
			namespace = r.object.Namespace
		}
		r.backends = append(r.backends, backend{
			kind: "Service", namespace: namespace, name: tree.Text(ref["name"]), port: ref["port"],
			weight: number(ref["weight"], 1), at: r.object.at("spec", "rules", i, "backendRefs", k),
		})
	})
}

// matches notes what a match takes, and how much it comes before others.
func (r *router) matches(m *Model, c *controller, match map[string]any) {
	var own string
	var priority int
	if r.object.Kind == "GRPCRoute" {
		own, r.prefix, r.exact = grpcRule(match)
		priority = len(own) // which is what Traefik adds for it
	} else {
		own, priority = gatewayRule(match)
		r.prefix = []string{"/"}
		if value := tree.Text(tree.At(match, "path", "value")); value != "" {
			r.prefix, r.exact = []string{value}, tree.Text(tree.At(match, "path", "type")) == "Exact"
		}
	}
	rule := own
	if hosts := hostsRule(r.hosts); hosts != "" {
		rule = hosts + " && " + own
	}
	r.setRule(m, c, rule)
	r.priority = priority + longest(r.hosts)
	if c.kind == unknownKind {
		r.priority, r.host = specified(r.object.Kind, longest(r.hosts), match), exactness(r.hosts)
	}
}

// exactness orders the host name of a route: exact, wildcard, any.
func exactness(hosts []string) int {
	switch {
	case len(hosts) == 0 || hosts[0] == "":
		return 0
	case strings.HasPrefix(hosts[0], "*."):
		return 1
	}
	return 2
}

func longest(hosts []string) int {
	most := 0
	for _, host := range hosts {
		most = max(most, len(host))
	}
	return most
}

// specified is the precedence of a match among those of hosts of one sort (exact before
// wildcard) by the specification of the Gateway API: the longer host name; for HTTP an
// exact path, the longer path, a method, more headers, more queries; for gRPC the longer
// service, the longer method, more headers (HTTPRouteRule.matches, GRPCRouteRule.matches).
// The bounds of the fields are those of the definitions.
func specified(kind string, host int, match map[string]any) int {
	headers, queries := len(tree.List(match["headers"])), len(tree.List(match["queryParams"]))
	of := host // below 256
	if kind == "GRPCRoute" {
		of = of<<11 + len(tree.Text(tree.At(match, "method", "service")))
		of = of<<11 + len(tree.Text(tree.At(match, "method", "method")))
		return of<<5 + headers
	}
	value := tree.Text(tree.At(match, "path", "value"))
	of <<= 1
	if tree.Text(tree.At(match, "path", "type")) == "Exact" {
		of++
	}
	of = of<<11 + max(len(value), 1)
	of <<= 1
	if tree.Text(match["method"]) != "" {
		of++
	}
	return (of<<5+headers)<<5 + queries
}

// attachment is what a route has by the listeners that it attaches to.
type attachment struct {
	points, hosts []string // entry points of Traefik; host names
	tls           bool
	secret        []secretRef // the certificates of the listeners
	fault         *Break      // no listener takes the route
	at            *Place
}

// secretRef is a Secret that a field names.
type secretRef struct {
	namespace, name string
	hosts           string // the host name that it is for, empty is any
	at              Place
}

// attached is what a route has by the Gateways, and sets of listeners, that it names.
func (m *Model) attached(c *controller, o *object, hostnames []string) attachment {
	var a attachment
	found, anyHost := false, false
	refuse := func(field []any, reason string) {
		place := o.at(field...)
		a.fault, a.at = &Break{Reason: reason, Fix: m.Say("let the route name a Gateway, and a listener of it, that takes its host names")}, &place
	}
	if len(tree.List(o.spec()["parentRefs"])) == 0 {
		refuse([]any{"spec", "parentRefs"}, m.Say("the route names no Gateway"))
	}
	tree.Each(o.spec()["parentRefs"], func(i int, ref map[string]any) {
		here := []any{"spec", "parentRefs", i}
		parent, why := m.parentOf(c, o, ref)
		switch {
		case why != "" && a.fault != nil && tree.Text(ref["kind"]) == "ListenerSet": // it follows from its Gateway
			return
		case why != "":
			refuse(append(here, "name"), why)
			return
		case parent == nil: // made by others, who say what its listeners take
			found = true
			a.hosts = append(a.hosts, hostnames...)
			return
		}
		attached := false
		tree.Each(parent.spec()["listeners"], func(k int, l map[string]any) {
			if section := tree.Text(ref["sectionName"]); section != "" && section != tree.Text(l["name"]) {
				return
			}
			from := tree.Text(tree.At(l, "allowedRoutes", "namespaces", "from"))
			if (from == "" || from == "Same") && parent.Namespace != o.Namespace || !takes(l, o.Kind) {
				return
			}
			common := intersect(tree.Text(l["hostname"]), hostnames)
			if common == nil {
				return
			}
			if c.kind == traefik {
				point := c.point(int(number(l["port"], 0)))
				if point == nil {
					return
				}
				a.points = append(a.points, point.name)
			}
			attached = true
			for _, host := range common {
				anyHost = anyHost || host == ""
				if !slices.Contains(a.hosts, host) {
					a.hosts = append(a.hosts, host)
				}
			}
			if tree.Text(l["protocol"]) == "HTTPS" {
				a.tls = true
				m.certificates(&a, parent, l, k)
			}
		})
		if !attached {
			why := m.Say("no listener of %s takes the route: its host name is another, or it allows no routes of kind %s or namespace %s", parent.ref(), o.Kind, o.Namespace)
			if c.kind == traefik {
				why = m.Say("no listener of %s takes the route: its port is not an entry point of Traefik, its host name is another, or it allows no routes of kind %s or namespace %s", parent.ref(), o.Kind, o.Namespace)
			}
			refuse(here, why)
		}
		found = found || attached
	})
	if found {
		a.fault, a.at = nil, nil
	}
	if a.hosts == nil || anyHost {
		a.hosts = hostnames
	}
	return a
}

// certificates notes the Secrets of a listener.
func (m *Model) certificates(a *attachment, parent *object, l map[string]any, k int) {
	tree.Each(tree.At(l, "tls", "certificateRefs"), func(n int, ref map[string]any) {
		if kind := tree.Text(ref["kind"]); kind != "" && kind != "Secret" {
			return
		}
		s := secretRef{namespace: tree.Text(ref["namespace"]), name: tree.Text(ref["name"]), hosts: tree.Text(l["hostname"])}
		if s.namespace == "" {
			s.namespace = parent.Namespace
		}
		s.at = parent.at("spec", "listeners", k, "tls", "certificateRefs", n, "name")
		a.secret = append(a.secret, s)
	})
}

// takes says whether a listener takes routes of a kind.
func takes(listener map[string]any, kind string) bool {
	if protocol := tree.Text(listener["protocol"]); protocol != "" && protocol != "HTTP" && protocol != "HTTPS" {
		return false
	}
	kinds := tree.List(tree.At(listener, "allowedRoutes", "kinds"))
	return len(kinds) == 0 || slices.ContainsFunc(kinds, func(k any) bool { return tree.Text(tree.Map(k)["kind"]) == kind })
}

// parentOf is what a route attaches to: the Gateway, or the ListenerSet, that has the
// listeners. Where the environments do not make it, it is nil: nothing is known of it but
// that some controller of others has it. why is the reason why it cannot be attached to.
func (m *Model) parentOf(c *controller, o *object, ref map[string]any) (parent *object, why string) {
	kind := tree.Text(ref["kind"])
	if kind == "" {
		kind = "Gateway"
	}
	namespace := tree.Text(ref["namespace"])
	if namespace == "" {
		namespace = o.Namespace
	}
	name := tree.Text(ref["name"])
	parent = m.byID[id{kind, namespace, name}]
	switch {
	case kind != "Gateway" && kind != "ListenerSet":
		return nil, m.Say("%s %s is no Gateway", kind, name)
	case kind == "ListenerSet" && c.kind == traefik && c.before(8):
		return nil, m.Say("Traefik reads ListenerSets from v3.8 on")
	case parent == nil && kind == "Gateway" && c.kind == unknownKind && len(m.byKind["Gateway"]) == 0:
		return nil, ""
	case parent == nil:
		return nil, m.Say("no %s %q in namespace %s%s", kind, name, namespace, m.didYouMean(name, m.names(kind, namespace)))
	}
	gateway := parent
	if kind == "ListenerSet" {
		up := tree.Map(parent.spec()["parentRef"])
		namespace := tree.Text(up["namespace"])
		if namespace == "" {
			namespace = parent.Namespace
		}
		if gateway = m.byID[id{"Gateway", namespace, tree.Text(up["name"])}]; gateway == nil {
			if len(m.byKind["Gateway"]) == 0 {
				return parent, ""
			}
			return nil, m.Say("%s names the Gateway %s, which is not there", parent.ref(), tree.Text(up["name"]))
		}
		from := tree.Text(tree.At(gateway.spec(), "allowedListeners", "namespaces", "from"))
		if from != "All" && from != "Selector" && (from != "Same" || namespace != parent.Namespace) {
			return nil, m.Say("%s takes no listeners of %s: spec.allowedListeners", gateway.ref(), parent.ref())
		}
	}
	class := m.byID[id{"GatewayClass", "", tree.Text(gateway.spec()["gatewayClassName"])}]
	if c.kind == traefik && class != nil && tree.Text(class.spec()["controllerName"]) != classOfGateway {
		return nil, m.Say("%s is of another controller", gateway.ref())
	}
	return parent, ""
}

// before says whether the image of a Traefik is of a release before v3.MINOR; of one whose
// tag says no release it is not known, and taken for new.
func (c *controller) before(minor int) bool {
	old := false
	if c.pods == nil {
		return old
	}
	tree.Each(c.pods.podSpec()["containers"], func(_ int, container map[string]any) {
		if release := traefikRelease.FindStringSubmatch(tree.Text(container["image"])); release != nil {
			of, _ := strconv.Atoi(release[2])
			old = old || release[1] == "2" || of < minor
		}
	})
	return old
}

var traefikRelease = regexp.MustCompile(`/traefik:v?([23])\.([0-9]+)\.`)

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

// hostsRule is a rule of Traefik for host names of a route.
func hostsRule(hosts []string) string {
	var names []string
	for _, host := range hosts {
		if host != "" {
			names = append(names, hostRule(host, `[a-z0-9-\.]+\.`))
		}
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return "(" + strings.Join(names, " || ") + ")"
}

// grpcRule is a match of a GRPCRoute as a rule of Traefik, and the path that it is for. A
// request of gRPC has the path /SERVICE/METHOD.
func grpcRule(match map[string]any) (rule string, prefix []string, exact bool) {
	service, method := tree.Text(tree.At(match, "method", "service")), tree.Text(tree.At(match, "method", "method"))
	rule, prefix = `PathPrefix("/")`, []string{"/"}
	if tree.Map(match["method"]) != nil && service+method != "" {
		part := func(name string) string {
			if name == "" {
				return "[^/]+"
			}
			return name
		}
		rule = fmt.Sprintf("PathRegexp(%q)", "/"+part(service)+"/"+part(method))
		switch {
		case tree.Text(tree.At(match, "method", "type")) == "RegularExpression" || service == "":
		case method == "":
			prefix = []string{"/" + service + "/"}
		default:
			prefix, exact = []string{"/" + service + "/" + method}, true
		}
	}
	parts := append([]string{rule}, headerRules(match)...)
	return strings.Join(parts, " && "), prefix, exact
}

func headerRules(match map[string]any) []string {
	var parts []string
	tree.Each(match["headers"], func(_ int, h map[string]any) {
		name := map[bool]string{true: "HeaderRegexp", false: "Header"}[tree.Text(h["type"]) == "RegularExpression"]
		parts = append(parts, fmt.Sprintf("%s(%q,%q)", name, tree.Text(h["name"]), tree.Text(h["value"])))
	})
	return parts
}

// gatewayRule is a match of an HTTPRoute as a rule of Traefik with its priority, both
// without the host.
func gatewayRule(match map[string]any) (string, int) {
	var parts []string
	priority := 0
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
	headers := headerRules(match)
	parts, priority = append(parts, headers...), priority+100*len(headers)
	tree.Each(match["queryParams"], func(_ int, q map[string]any) {
		name := map[bool]string{true: "QueryRegexp", false: "Query"}[tree.Text(q["type"]) == "RegularExpression"]
		parts, priority = append(parts, fmt.Sprintf("%s(%q,%q)", name, tree.Text(q["name"]), tree.Text(q["value"]))), priority+10
	})
	return strings.Join(parts, " && "), priority
}
