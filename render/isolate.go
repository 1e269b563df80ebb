package render

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// policyField is the field of an environment that closes its namespace, and the key of what
// is made of it.
const policyField = "networkPolicy"

// isolate adds the NetworkPolicies of an environment that closes its namespace: one
// that closes it, and one for each app that opens what the app says it needs. Who
// consumes an app stands in the others, so that no definition of an app can make them.
func isolate(h header, units []*unit) {
	if len(h.NetworkPolicy) == 0 {
		return
	}
	c := closed{header: h, policy: h.NetworkPolicy, apps: map[string]*unit{}, callers: map[string][]*unit{}}
	for _, u := range units {
		if u.group == "apps" {
			c.apps[u.data.Name] = u
		}
	}
	for _, u := range units {
		for _, name := range called(u) {
			if callee := c.apps[name]; callee != nil {
				c.callers[name] = append(c.callers[name], u)
			}
		}
	}
	for _, u := range units {
		switch {
		case u.group == "base":
			u.objs = append(u.objs, c.rest())
		case c.apps[u.data.Name] == u:
			if o := c.open(u); o != nil {
				u.objs = append(u.objs, o)
			}
		}
	}
}

// closed is a namespace that is closed.
type closed struct {
	header  header
	policy  map[string]any
	apps    map[string]*unit
	callers map[string][]*unit // by the name of the app that they call
}

// called are the apps that a unit calls: by way of the registry, or by a route.
func called(u *unit) []string {
	names := slices.Clone(u.data.Consumes)
	for _, route := range tree.Map(u.data.fields["routes"]) {
		if to := tree.Text(tree.At(route, "to")); to != "" {
			names = append(names, to)
		}
	}
	return names
}

// directions are the types of the policies.
func (c closed) directions() []any {
	var types []any
	if c.policy["ingress"] == "deny" {
		types = append(types, "Ingress")
	}
	if c.policy["egress"] == "deny" {
		types = append(types, "Egress")
	}
	return types
}

// rest closes the namespace, but to those that the environment names for all pods, and
// lets all pods ask for names.
func (c closed) rest() *object {
	var in, out []any
	if from := tree.List(c.policy["from"]); len(from) > 0 {
		in = append(in, map[string]any{"from": from})
	}
	out = append(out, ways(nil, []any{transport(int64(53), "UDP"), transport(int64(53), "TCP")}))
	if to := tree.List(c.policy["to"]); len(to) > 0 {
		out = append(out, map[string]any{"to": to})
	}
	return c.object("environment", map[string]any{}, in, out)
}

// open opens what an app needs; nil where it needs nothing.
func (c closed) open(u *unit) *object {
	pods := c.selectorOf(u)
	if pods == nil {
		return nil
	}
	in, out := c.ingress(u), c.egress(u)
	if c.policy["ingress"] != "deny" {
		in = nil
	}
	if c.policy["egress"] != "deny" {
		out = nil
	}
	if len(in)+len(out) == 0 {
		return nil
	}
	return c.object(u.data.Name, pods, in, out)
}

func (c closed) object(name string, selector map[string]any, in, out []any) *object {
	spec := map[string]any{"podSelector": selector, "policyTypes": c.directions()}
	for field, rules := range map[string][]any{"ingress": in, "egress": out} {
		if len(rules) > 0 && c.policy[field] == "deny" {
			spec[field] = rules
		}
	}
	return &object{key: policyField, maker: policyField, Unstructured: unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": map[string]any{"name": name, "namespace": c.header.Namespace},
		"spec":     runtime.DeepCopyJSON(spec), // labels are those of other objects, which are made normal at the same time
	}}}
}

// selectorOf selects the pods of an app, and those of its canary where these have another
// label than the app's; nil where it runs none that others could select.
func (c closed) selectorOf(u *unit) map[string]any {
	pods := podsOf(u)
	if pods == nil {
		return nil
	}
	canary := u.canary(c.header)
	if canary == nil || len(canary.Routes) == 0 {
		return map[string]any{"matchLabels": pods}
	}
	same, either := map[string]any{}, []any{}
	for _, key := range slices.Sorted(maps.Keys(pods)) {
		if slices.ContainsFunc(canary.Routes, func(r schema.CanaryRoute) bool { return r.Label == key }) {
			either = append(either, map[string]any{"key": key, "operator": "In", "values": []any{pods[key], tree.Text(pods[key]) + canarySuffix}})
		} else {
			same[key] = pods[key]
		}
	}
	selector := map[string]any{"matchExpressions": either}
	if len(same) > 0 {
		selector["matchLabels"] = same
	}
	return selector
}

// podsOf are the labels that select the pods of an app; nil where it runs none that
// others could select.
func podsOf(u *unit) map[string]any {
	for _, o := range u.objs {
		if template, _ := tree.PodTemplate(o.Object); template != nil {
			labels := tree.Map(tree.At(o.Object, "spec", "selector", "matchLabels"))
			if len(labels) == 0 {
				labels = tree.Map(tree.At(template, "metadata", "labels"))
			}
			return labels
		}
	}
	return nil
}

// ingress are the rules for requests to an app.
func (c closed) ingress(u *unit) []any {
	var rules []any
	ports := containerPorts(u)
	if len(c.callers[u.data.Name]) > 0 {
		var from []any
		for _, caller := range c.callers[u.data.Name] {
			if pods := c.selectorOf(caller); pods != nil {
				from = append(from, map[string]any{"podSelector": pods})
			}
		}
		rules = append(rules, map[string]any{"from": from})
	}
	if routed := routedPorts(u, ports); len(routed) > 0 {
		rules = append(rules, map[string]any{"from": c.controller(), "ports": routed})
	}
	if public := publicPorts(u, ports); len(public) > 0 {
		rules = append(rules, map[string]any{"ports": public})
	}
	if scraped := scrapedPorts(u, ports); len(scraped) > 0 {
		rules = append(rules, map[string]any{"from": []any{namespaced(tree.Text(c.policy["monitoring"]), nil)}, "ports": scraped})
	}
	return rules
}

// controller are the pods of the ingress controller.
func (c closed) controller() []any {
	at := tree.Map(c.policy["controller"])
	if at["hostNetwork"] == true {
		return []any{map[string]any{"ipBlock": map[string]any{"cidr": tree.At(c.header.Site, "networks", "nodes")}}}
	}
	return []any{namespaced(tree.Text(at["namespace"]), tree.Map(at["podLabels"]))}
}

func namespaced(namespace string, labels map[string]any) map[string]any {
	peer := map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}}}
	if len(labels) > 0 {
		peer["podSelector"] = map[string]any{"matchLabels": labels}
	}
	return peer
}

// egress are the rules for requests of an app.
func (c closed) egress(u *unit) []any {
	var rules []any
	for _, name := range called(u) {
		if callee := c.apps[name]; callee != nil && podsOf(callee) != nil {
			rules = append(rules, map[string]any{"to": []any{map[string]any{"podSelector": c.selectorOf(callee)}}})
		}
	}
	for _, server := range c.registryServers(u) {
		if host, port, err := net.SplitHostPort(server); err == nil {
			rules = append(rules, reach([]string{host}, port))
		}
	}
	for _, server := range slices.Concat(c.apolloServers(u), c.collectors(u)) {
		if host, port, err := net.SplitHostPort(server); err == nil {
			rules = append(rules, reach([]string{host}, port))
		}
	}
	services := tree.Map(c.header.External["services"])
	for _, name := range slices.Sorted(maps.Keys(services)) {
		ports := tree.Map(tree.At(services[name], "ports"))
		for _, port := range slices.Sorted(maps.Keys(ports)) {
			number, _ := ports[port].(int64)
			rules = append(rules, reach(tree.Texts(tree.At(services[name], "addresses")), strconv.FormatInt(number, 10)))
		}
	}
	if u.data.fields["account"] != nil {
		var hosts []string
		for _, address := range tree.Map(c.header.Site["apiServers"]) {
			hosts = append(hosts, tree.Text(address))
		}
		slices.Sort(hosts)
		rules = append(rules, reach(hosts, "6443"))
	}
	return rules
}

// registryServers are those of the registry that the app registers with.
func (c closed) registryServers(u *unit) []string {
	if u.data.fields["consumes"] == nil && u.data.fields["dubbo"] == nil && u.data.fields["spring"] == nil {
		return nil
	}
	registry := c.header.Registry
	if name := tree.Text(u.data.fields["registry"]); name != "" {
		registry = tree.Map(c.header.Registries[name])
	}
	var servers []string
	for _, kind := range []string{"zookeeper", "nacos"} {
		for _, server := range tree.Texts(tree.At(registry, kind, "servers")) {
			servers = append(servers, server)
			if host, port, err := net.SplitHostPort(server); err == nil && kind == "nacos" {
				if n, err := strconv.Atoi(port); err == nil { // clients of Nacos 2 speak gRPC on the port 1,000 above
					servers = append(servers, net.JoinHostPort(host, strconv.Itoa(n+1000)))
				}
			}
		}
	}
	return servers
}

// apolloServers are the meta servers of an app that reads its configuration from Apollo.
// They send clients on to config services, which are the same servers.
func (c closed) apolloServers(u *unit) []string {
	if u.data.fields["apollo"] == nil {
		return nil
	}
	var servers []string
	for text := range strings.SplitSeq(tree.Text(c.header.Apollo["meta"]), ",") {
		if at, err := url.Parse(text); err == nil {
			port := map[string]string{"http": "80", "https": "443"}[at.Scheme]
			servers = append(servers, net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), port)))
		}
	}
	return servers
}

// collectors are where the files go that an app writes as logs, where its own pods send
// them.
func (c closed) collectors(u *unit) []string {
	if u.data.fields["logs"] == nil {
		return nil
	}
	logs := tree.Map(c.header.Site["logs"])
	if logs["by"] == "agent" {
		return nil
	}
	servers := tree.Texts(tree.At(logs, "kafka", "brokers"))
	if host := tree.Text(tree.At(logs, "elasticsearch", "host")); host != "" {
		servers = append(servers, net.JoinHostPort(host, fmt.Sprint(tree.At(logs, "elasticsearch", "port"))))
	}
	return servers
}

// reach opens a port of hosts: by address where they have one, else of everybody, as a
// policy knows no names.
func reach(hosts []string, port string) map[string]any {
	var to []any
	for _, host := range hosts {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			to = nil
			break
		}
		to = append(to, map[string]any{"ipBlock": map[string]any{"cidr": netip.PrefixFrom(addr, addr.BitLen()).String()}})
	}
	number, _ := strconv.ParseInt(port, 10, 64)
	return ways(to, []any{transport(number, "TCP")})
}

func ways(to, ports []any) map[string]any {
	rule := map[string]any{"ports": ports}
	if len(to) > 0 {
		rule["to"] = to
	}
	return rule
}

func transport(port any, protocol string) map[string]any {
	return map[string]any{"port": port, "protocol": protocol}
}

// containerPort is a port that a container of the app listens on.
type containerPort struct {
	name     string
	number   int64
	protocol string
	onNode   bool // it is a port of the pod's node, too
}

func containerPorts(u *unit) []containerPort {
	var ports []containerPort
	for _, o := range u.objs {
		template, _ := tree.PodTemplate(o.Object)
		tree.Each(tree.At(template, "spec", "containers"), func(_ int, container map[string]any) {
			tree.Each(container["ports"], func(_ int, p map[string]any) {
				number, _ := p["containerPort"].(int64)
				ports = append(ports, containerPort{
					name: tree.Text(p["name"]), number: number, protocol: cmp.Or(tree.Text(p["protocol"]), "TCP"), onNode: p["hostPort"] != nil,
				})
			})
		})
	}
	return ports
}

// target is the port of a container that a port of the Service leads to.
func target(ports []containerPort, servicePort map[string]any) (containerPort, bool) {
	to := servicePort["targetPort"]
	if to == nil {
		to = servicePort["port"]
	}
	i := slices.IndexFunc(ports, func(p containerPort) bool { return to == p.name || to == p.number })
	if i < 0 {
		return containerPort{}, false
	}
	return ports[i], true
}

// servicePorts calls fn for each port of the app's Services with that of the container.
func servicePorts(u *unit, ports []containerPort, fn func(service *object, port map[string]any, to containerPort)) {
	for _, o := range u.objs {
		if o.GetKind() != "Service" {
			continue
		}
		tree.Each(tree.At(o.Object, "spec", "ports"), func(_ int, p map[string]any) {
			if to, ok := target(ports, p); ok {
				fn(o, p, to)
			}
		})
	}
}

// routedPorts are those that the ingress controller sends requests to.
func routedPorts(u *unit, ports []containerPort) []any {
	var all numbers
	servicePorts(u, ports, func(_ *object, p map[string]any, to containerPort) {
		for _, o := range u.objs {
			for _, backend := range backends(o) {
				if backend == p["name"] || backend == p["port"] {
					all.add(to)
				}
			}
		}
	})
	return all.ports
}

// backends are the ports of Services, by name or number, that a route leads to.
func backends(o *object) []any {
	var found []any
	switch o.GetKind() {
	case "Ingress":
		tree.Each(tree.At(o.Object, "spec", "rules"), func(_ int, rule map[string]any) {
			tree.Each(tree.At(rule, "http", "paths"), func(_ int, path map[string]any) {
				port := tree.Map(tree.At(path, "backend", "service", "port"))
				found = append(found, cmp.Or(port["name"], port["number"]))
			})
		})
	case "HTTPRoute", "GRPCRoute":
		tree.Each(tree.At(o.Object, "spec", "rules"), func(_ int, rule map[string]any) {
			tree.Each(rule["backendRefs"], func(_ int, ref map[string]any) { found = append(found, ref["port"]) })
		})
	}
	return found
}

// publicPorts are those that nodes or load balancers have for everybody.
func publicPorts(u *unit, ports []containerPort) []any {
	var all numbers
	for _, p := range ports {
		if p.onNode {
			all.add(p)
		}
	}
	servicePorts(u, ports, func(service *object, _ map[string]any, to containerPort) {
		switch tree.Text(tree.At(service.Object, "spec", "type")) {
		case "NodePort", "LoadBalancer":
			all.add(to)
		}
	})
	return all.ports
}

// scrapedPorts are those that Prometheus reads metrics from.
func scrapedPorts(u *unit, ports []containerPort) []any {
	var all numbers
	name := tree.At(u.data.fields["metrics"], "port")
	if u.data.fields["metrics"] == true {
		name = "http" // as #Metrics has it
	}
	for _, p := range ports {
		if name != nil && name == p.name {
			all.add(p)
		}
	}
	return all.ports
}

// numbers are ports of a rule, each once.
type numbers struct{ ports []any }

func (n *numbers) add(p containerPort) {
	one := transport(p.number, p.protocol)
	for _, other := range n.ports {
		if maps.Equal(other.(map[string]any), one) {
			return
		}
	}
	n.ports = append(n.ports, one)
}
