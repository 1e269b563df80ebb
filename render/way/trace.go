package way

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// maxRedirects bounds how often a client is sent elsewhere.
const maxRedirects = 3

// Trace follows the request for a URL, a host, or a host with a path.
func (m *Model) Trace(url string) (*Way, error) {
	r, err := parse(url)
	if err != nil {
		return nil, err
	}
	w := m.follow(r)
	m.locate(w, true)
	return w, nil
}

func (m *Model) follow(r request) *Way {
	t := &tracer{Model: m, way: m.newWay(r.text())}
	for range maxRedirects + 1 {
		next := t.arrive(r)
		if next == nil {
			return t.way
		}
		if next.text() == r.text() {
			t.way.Hops[len(t.way.Hops)-1].Break = &Break{Reason: m.Say("the client is sent to the URL that it asked for, again and again"), Fix: m.Say("take the redirect away, or let the proxy in front say which scheme the client used")}
			return t.way
		}
		next.anyPath = r.anyPath
		r = *next
	}
	t.last().Break = &Break{Reason: m.Say("the client is sent elsewhere too often"), Fix: m.Say("take redirects away")}
	return t.way
}

// tracer follows one request.
type tracer struct {
	*Model
	way     *Way
	asked   string // the last host that DNS was asked for
	arrived bool   // at the VIP
}

func (t *tracer) hop(h Hop) { t.way.Hops = append(t.way.Hops, h) }

func (t *tracer) last() *Hop { return &t.way.Hops[len(t.way.Hops)-1] }

// arrive follows a request up to its answer; where that sends the client
// elsewhere, it returns where.
func (t *tracer) arrive(r request) *request {
	r.forwarded = r.scheme
	if t.front != nil {
		return t.byEdge(r)
	}
	if e := t.site(); e != nil && tree.Text(e.Site["entry"]) == "edge" {
		t.hop(Hop{
			Kind: DNS, Name: r.host, Says: t.leadsToEdge(e), By: e.place(nil, nil, typed.Path{"site", "edge"}),
			Notes: []string{t.Say("no environment of this cluster has the stack edge: what the hosts in front do is not known here")},
		})
		c := t.controllerFor(r)
		return t.atController(c, defaultPoint(c), r, false)
	}
	return t.byLoadBalancer(r)
}

func (m *Model) leadsToEdge(e *Environment) string {
	if vip := tree.Text(tree.At(e.Site, "edge", "vip")); vip != "" {
		return m.Say("leads to the edge hosts, %s", vip)
	}
	return m.Say("leads to the edge hosts")
}

// site is an environment that knows the facts of the site.
func (m *Model) site() *Environment {
	for _, e := range m.envs {
		if len(e.Site) > 0 {
			return e
		}
	}
	return nil
}

// byEdge follows a request through the hosts in front of the cluster.
func (t *tracer) byEdge(r request) *request {
	c, e := t.front, t.frontEnv
	unit := func(path ...any) Place { return e.place(e.unit(t.frontUnit), nil, path) }
	if _, err := netip.ParseAddr(r.host); err != nil && r.host != t.asked {
		t.asked = r.host
		t.dns(r, unit)
	}
	if !t.arrived { // a client that is sent elsewhere comes back the same way
		t.hop(Hop{Kind: VIP, Name: c.VIP, Says: strings.TrimSpace(t.Say("is") + " " + t.heldBy(c.Holders())), By: t.siteFact(unit("hosts"), "edge", "hosts")})
	}
	t.arrived = true
	if c.L4.Enabled && r.port == c.L4.Listen {
		t.hop(Hop{Kind: Edge, Name: t.Say("nginx on port %d", r.port), Says: t.Say("passes the connection through, TLS and all (layer 4)"), By: unit("l4")})
		t.hop(Hop{Kind: APIServer, Name: strings.Join(c.L4.Backends, ", "), Says: t.Say("answers"), By: unit("l4", "backends")})
		return nil
	}
	server := c.Server(r.host, r.port)
	switch {
	case !slices.Contains(c.Ports(), r.port):
		t.hop(Hop{Kind: Edge, Name: t.Say("nginx on port %d", r.port), Says: t.Say("does not listen"), By: unit(), Break: &Break{
			Reason: t.Say("nginx listens on %s only", numbers(c.Ports())), Fix: t.edgeFix(r),
		}})
		return nil
	case server.Name == "" && r.scheme == "https":
		t.hop(Hop{Kind: Edge, Name: t.Say("nginx: the default server on port 443"), Says: t.Say("refuses the handshake"), By: unit("l7", "tls"), Break: &Break{
			Reason: t.Say("the edge has no certificate for %s", r.host), Fix: t.edgeFix(r),
		}})
		return nil
	case server.Name == "":
		t.hop(Hop{Kind: Edge, Name: t.Say("nginx: the default server"), Says: t.Say("closes the connection (444)"), By: unit("l7", "domain"), Break: &Break{
			Reason: t.Say("no server block of the edge has the name %s: it serves %s", r.host, strings.Join(c.Served(), ", ")),
			Fix:    t.Say("add it: stacks: edge: l7: names: [%q]", r.host),
			Named:  true,
		}})
		return nil
	}
	name := t.Say("nginx: server %s, port %d", server.Name, r.port)
	if r.climbs() {
		t.hop(Hop{Kind: Edge, Name: name, Says: t.Say("answers 400"), By: unit(), Break: &Break{
			Reason: t.Say("the path leads above the root"), Fix: t.Say("ask for a path with fewer .."),
		}})
		return nil
	}
	says := t.Say("passes on to %s, port %d", strings.Join(c.L7.Nodes, t.Say(" or ")), c.L7.Port)
	by := t.siteFact(unit("l7", "nodes"), "nodes")
	switch {
	case server.Redirect:
		to := r.secured()
		t.hop(Hop{Kind: Edge, Name: t.Say("nginx: server %s, port %d", server.Name, 80), Says: t.Say("sends the client to %s (%d)", to.text(), http.StatusMovedPermanently), By: unit("l7", "tls", server.Name)})
		return &to
	case server.Certificate != "":
		t.way.TLS, t.way.Certificate = "edge", server.Certificate
		says = t.Say("ends TLS with %s, %s", server.Certificate, says)
		by = unit("l7", "tls", server.Name)
	}
	t.hop(Hop{Kind: Edge, Name: name, Says: says, By: by})
	return t.fromEdge(r)
}

func numbers(ports []int) string {
	var texts []string
	for _, p := range ports {
		texts = append(texts, itoa(p))
	}
	return strings.Join(texts, ", ")
}

// edgeFix is what lets the edge answer on HTTPS.
func (m *Model) edgeFix(r request) string {
	if r.scheme == "https" {
		return m.Say("let TLS end at the edge: stacks: edge: l7: tls: %q: {}", r.host)
	}
	return m.Say("ask on port 80")
}

// dns is the hop of the name.
func (t *tracer) dns(r request, unit func(path ...any) Place) {
	c := t.front
	h := Hop{Kind: DNS, Name: r.host, Says: t.Say("is %s", c.VIP), By: t.siteFact(unit("vip"), "edge", "vip")}
	recorded := slices.ContainsFunc(c.IngressHosts, func(name string) bool { return name == r.host || hostMatches(name, r.host) && name != "" })
	switch {
	case !recorded && c.Covers(r.host):
		h.Notes = append(h.Notes, t.Say("evenkeel edge writes no record for it: no Ingress has this host"))
	case !c.Covers(r.host):
		h.Notes = append(h.Notes, t.Say("outside of %s: its record stands in another zone", c.L7.Domain))
	case len(c.DNSServers) > 0:
		h.Says += t.Say(", in the zone %s on %s", c.L7.Domain, strings.Join(c.DNSServers, ", "))
	}
	t.hop(h)
}

func (m *Model) heldBy(hosts []string) string {
	switch len(hosts) {
	case 0:
		return m.Say("held by nobody")
	case 1:
		return m.Say("held by %s", hosts[0])
	}
	return m.Say("held by %s, else by %s", hosts[0], strings.Join(hosts[1:], ", "))
}

// siteFact is where the site says something that the edge takes over from it, or the
// other place where it does not.
func (t *tracer) siteFact(other Place, path ...string) Place {
	if tree.At(t.frontEnv.Site, path...) == nil {
		return other
	}
	at := typed.Path{"site"}
	for _, step := range path {
		at = append(at, step)
	}
	return t.frontEnv.place(nil, nil, at)
}

// unit finds a unit by name.
func (e *Environment) unit(name string) *lint.Unit {
	for i := range e.Units {
		if e.Units[i].Name == name {
			return &e.Units[i]
		}
	}
	return nil
}

// fromEdge goes from the edge to the controller behind the port that it sends to.
func (t *tracer) fromEdge(r request) *request {
	port := t.front.L7.Port
	var others []string
	for _, c := range t.controllers {
		if c.pods == nil {
			return t.atController(c, &c.points[0], r, false)
		}
		for _, taken := range c.hostPorts() {
			if taken.node == port {
				return t.atController(c, c.point(taken.container), r, false)
			}
			others = append(others, t.Say("%s takes port %d", c.pods.ref(), taken.node))
		}
	}
	c := t.controllers[0]
	reason := t.Say("no ingress controller takes port %d of the nodes", port)
	fix := t.Say("give the controller that port of the nodes: hostPort: %d", port)
	if len(others) > 0 {
		reason += ": " + strings.Join(others, ", ")
		fix = t.Say("give both the same port: hostPort of the controller, l7: port of the edge")
	}
	t.hop(Hop{Kind: Controller, Name: t.nameOf(c), Says: t.Say("is not asked"), By: c.pods.at(c.pods.below("spec", "containers")...), Break: &Break{Reason: reason, Fix: fix, Named: len(others) > 0}})
	return t.route(c, defaultPoint(c), r, false)
}

// defaultPoint is where requests without TLS arrive, as far as names tell.
func defaultPoint(c *controller) *entryPoint {
	for _, name := range []string{"web", "http"} {
		if e := c.named(name); e != nil {
			return e
		}
	}
	for i := range c.points {
		if !c.points[i].tls && !c.points[i].notDefault {
			return &c.points[i]
		}
	}
	return &c.points[0]
}

type nodePort struct{ node, container int }

// hostPorts are the ports of its nodes that a controller takes.
func (c *controller) hostPorts() []nodePort {
	var all []nodePort
	network := c.pods.podSpec()["hostNetwork"] == true
	c.pods.containers(func(container map[string]any, _ []any) {
		tree.Each(container["ports"], func(_ int, p map[string]any) {
			n := number(p["hostPort"], 0)
			if n == 0 && network {
				n = number(p["containerPort"], 0)
			}
			if n != 0 {
				all = append(all, nodePort{int(n), int(number(p["containerPort"], 0))})
			}
		})
	})
	return all
}

// hostPortAt is the field of the port of the nodes that leads to an entry point.
func (c *controller) hostPortAt(e *entryPoint) (at []any) {
	c.pods.containers(func(container map[string]any, path []any) {
		tree.Each(container["ports"], func(i int, p map[string]any) {
			if at == nil && e != nil && p["hostPort"] != nil && int(number(p["containerPort"], 0)) == e.port {
				at = append(slices.Clip(path), "ports", i, "hostPort")
			}
		})
	})
	return at
}

// byLoadBalancer follows a request through a load balancer of the cloud.
func (t *tracer) byLoadBalancer(r request) *request {
	c := t.controllerFor(r)
	if _, err := netip.ParseAddr(r.host); err != nil && r.host != t.asked {
		t.asked = r.host
		h := Hop{Kind: DNS, Name: r.host, Says: t.Say("is the address of the cloud's load balancer, which the Service's status shows")}
		if e := t.site(); e != nil {
			h.By = e.place(nil, nil, typed.Path{"site", "entry"})
		}
		t.hop(h)
	}
	if c.pods == nil {
		point := &c.points[0]
		if r.scheme == "https" && len(c.points) > 1 {
			point = &c.points[1]
		}
		return t.atController(c, point, r, r.scheme == "https")
	}
	var lb *object
	for _, s := range t.byKind["Service"] {
		if tree.Text(s.spec()["type"]) == "LoadBalancer" && s.Namespace == c.pods.Namespace && matches(tree.Map(s.spec()["selector"]), c.pods.labels()) {
			lb = s
			break
		}
	}
	if lb == nil {
		for _, taken := range c.hostPorts() {
			if taken.node == r.port {
				return t.atController(c, c.point(taken.container), r, r.scheme == "https")
			}
		}
		t.hop(Hop{Kind: LoadBalancer, Name: t.Say("none"), Says: t.Say("leads to %s", c.pods.ref()), By: c.pods.at(), Break: &Break{
			Reason: t.Say("no Service of type LoadBalancer selects the pods of the ingress controller"), Fix: t.Say(`set service: type: "LoadBalancer" on its stack`),
		}})
		return t.route(c, defaultPoint(c), r, r.scheme == "https")
	}
	port, i := servicePort(lb, int64(r.port))
	secure := r.scheme == "https"
	h := Hop{Kind: LoadBalancer, Name: lb.ref(), By: lb.at("spec", "ports", i), service: lb}
	if port == nil && secure {
		if plain, j := servicePort(lb, int64(80)); plain != nil {
			port, secure, t.way.TLS = plain, false, "load balancer"
			h.By = lb.at("spec", "ports", j)
			h.Notes = append(h.Notes, t.Say("the Service has no port 443: TLS has to end in the load balancer of the cloud"))
		}
	}
	if port == nil {
		h.Says = t.Say("does not listen")
		h.Break = &Break{Reason: t.Say("the Service has no port %d", r.port), Fix: t.Say("ask on one of its ports, or add the port")}
		t.hop(h)
		return nil
	}
	target, broken := t.containerPort(c.pods, port)
	h.Says, h.Break = t.Say("leads from port %d to port %d of %s", number(port["port"], 0), target, c.pods.ref()), broken
	t.hop(h)
	if broken != nil {
		return nil
	}
	return t.atController(c, c.point(target), r, secure)
}

// controllerFor is the controller that has a route for the request, where there are
// several: each has a load balancer of its own, and the name leads to one.
func (m *Model) controllerFor(r request) *controller {
	for _, c := range m.controllers {
		if slices.ContainsFunc(c.routers, func(one *router) bool { return one.match(r, true) }) {
			return c
		}
	}
	return m.controllers[0]
}

// atController is the hop of the ingress controller.
func (t *tracer) atController(c *controller, e *entryPoint, r request, secure bool) *request {
	h := Hop{Kind: Controller, Name: t.nameOf(c)}
	if c.pods == nil {
		h.Says = t.Say("takes the request")
		h.Notes = []string{t.Say("the environments of this cluster make no ingress controller: routes are chosen as Kubernetes documents Ingress")}
		t.hop(h)
		return t.route(c, e, r, secure)
	}
	least, most, by := t.count(c.pods)
	h.By, h.pods = by, []*pods{c.pods}
	if at := c.hostPortAt(e); at != nil {
		h.By = c.pods.at(at...)
	}
	h.Says = t.Say("takes it")
	if e != nil {
		h.Says = t.Say("takes it on %s", e.name)
	}
	if c.pods.Kind == "DaemonSet" {
		h.Says += t.Say(", on every node")
		if n := len(tree.Map(c.pods.env.Site["nodes"])); n > 0 {
			h.Says += fmt.Sprintf(" (%d)", n)
		}
		if selector := labelSet(tree.Map(c.pods.podSpec()["nodeSelector"])); len(selector) > 0 {
			h.Says += t.Say(" with %s", selector)
		}
	} else {
		h.Says += t.Say(", %s", t.podCount(least, most))
	}
	if least == 0 && most == 0 {
		h.Break = &Break{Reason: t.Say("it has no pods: replicas is 0"), Fix: t.Say("set replicas to 1 or more")}
	}
	t.hop(h)
	if e != nil && e.redirectTo != "" && !secure {
		if to := r.secured(); r.forwarded != "https" {
			to.port = c.redirectPort(e)
			t.hop(Hop{Kind: Redirect, Name: t.Say("entry point %s", e.name), Says: t.Say("sends the client to %s", to.text()), By: h.By})
			return &to
		}
	}
	return t.route(c, e, r, secure)
}

func (m *Model) podCount(least, most int) string {
	switch {
	case most > least:
		return m.Say("%d to %d pods", least, most)
	case least == 1:
		return m.Say("1 pod")
	}
	return m.Say("%d pods", least)
}
