package way

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// service finds the Service and the port that a route leads to; a Break where one
// of them is not there.
func (m *Model) service(b backend) (*object, map[string]any, *Break) {
	if b.kind != "Service" {
		return nil, nil, nil
	}
	o := m.byID[id{"Service", b.namespace, b.name}]
	if o == nil {
		return nil, nil, &Break{
			Reason: m.Say("no Service %q in namespace %s%s", b.name, b.namespace, m.didYouMean(b.name, m.names("Service", b.namespace))),
			Fix:    m.Say("correct the name, or make the Service"), Named: true,
		}
	}
	port, _ := servicePort(o, b.port)
	if port == nil {
		var have, names []string
		tree.Each(o.spec()["ports"], func(_ int, p map[string]any) {
			have = append(have, strings.TrimSpace(fmt.Sprintf("%s %d", tree.Text(p["name"]), number(p["port"], 0))))
			names = append(names, tree.Text(p["name"]))
		})
		asked := fmt.Sprint(b.port)
		return o, nil, &Break{
			Reason: m.Say("%s has no port %s: it has %s%s", o.ref(), asked, strings.Join(have, ", "), m.didYouMean(asked, names)),
			Fix:    m.Say("name a port of the Service, or add it there"), Named: true,
		}
	}
	return o, port, nil
}

// servicePort finds a port of a Service by name or number.
func servicePort(o *object, asked any) (map[string]any, int) {
	var found map[string]any
	at := 0
	only := 0
	tree.Each(o.spec()["ports"], func(i int, p map[string]any) {
		only++
		if found != nil {
			return
		}
		switch a := asked.(type) {
		case int64:
			if number(p["port"], 0) != a {
				return
			}
		case string:
			if a == "" || tree.Text(p["name"]) != a && itoa(int(number(p["port"], 0))) != a {
				return
			}
		default:
			if i > 0 {
				return
			}
		}
		found, at = p, i
	})
	if asked == nil && only != 1 {
		return nil, 0
	}
	return found, at
}

// containerPort is the port of the pods that a port of a Service leads to.
func (m *Model) containerPort(p *pods, port map[string]any) (int, *Break) {
	target := port["targetPort"]
	if target == nil {
		target = port["port"]
	}
	var names []string
	numbered := map[int]string{}
	byName := map[string]int{}
	p.containers(func(c map[string]any, _ []any) {
		tree.Each(c["ports"], func(_ int, cp map[string]any) {
			n := int(number(cp["containerPort"], 0))
			name := tree.Text(cp["name"])
			numbered[n] = name
			if name != "" {
				byName[name] = n
				names = append(names, name)
			}
		})
	})
	switch t := target.(type) {
	case string:
		if n, ok := byName[t]; ok {
			return n, nil
		}
		return 0, &Break{
			Reason: m.Say("no container port of %s has the name %q%s", p.ref(), t, m.didYouMean(t, names)),
			Fix:    m.Say("let targetPort name a port of the container"), Named: true,
		}
	case int64:
		if _, ok := numbered[int(t)]; !ok && len(numbered) > 0 {
			var have []string
			for n := range numbered {
				have = append(have, itoa(n))
			}
			slices.Sort(have)
			return int(t), &Break{
				Reason: m.Say("no container of %s declares port %d: it has %s", p.ref(), t, strings.Join(have, ", ")),
				Fix:    m.Say("let targetPort lead to a port that the container listens on, or declare the port"), Named: true,
			}
		}
		return int(t), nil
	}
	return 0, nil
}

// backends follows the request to each Service that the route leads to.
func (t *tracer) backends(c *controller, chosen *router, r request) {
	if len(chosen.backends) == 0 {
		t.hop(Hop{Kind: Service, Name: t.Say("none"), Says: t.Say("the route leads nowhere"), By: chosen.object.at(chosen.path...), Break: &Break{Reason: t.Say("the route names no Service"), Fix: t.Say("name one")}})
		return
	}
	var sum int64
	for _, b := range chosen.backends {
		sum += b.weight
	}
	for i, b := range chosen.backends {
		share := ""
		if len(chosen.backends) > 1 {
			if b.weight == 0 && sum > 0 {
				continue
			}
			share = t.Say("%d of %d requests", b.weight, sum)
			if sum == 0 {
				share = t.Say("%d of %d Services", i+1, len(chosen.backends))
			}
		}
		from := len(t.way.Hops)
		t.toService(c, b, r)
		for j := from; j < len(t.way.Hops); j++ {
			t.way.Hops[j].Share = share
		}
	}
}

// toService is the way from a route to the app.
func (t *tracer) toService(c *controller, b backend, r request) {
	if b.kind != "Service" {
		h := Hop{Kind: Service, Name: b.kind + "/" + b.name, Says: t.Say("is Traefik itself"), By: b.at}
		if !strings.Contains(b.name, "@internal") {
			h.Says = t.Say("is not there")
			h.Break = &Break{Reason: t.Say("no TraefikService %q in namespace %s%s", b.name, b.namespace, t.didYouMean(b.name, t.names("TraefikService", b.namespace))), Fix: t.Say("correct the name")}
		}
		t.hop(h)
		return
	}
	o, port, broken := t.service(b)
	if broken != nil {
		name := "Service/" + b.namespace + "/" + b.name
		says := t.Say("is not there")
		if o != nil {
			says = t.Say("has no such port")
		}
		t.hop(Hop{Kind: Service, Name: name, Says: says, By: b.at, Break: broken, service: o})
		return
	}
	in := t.throughService(o, port, 0, from{name: t.nameOf(c), pods: c.pods})
	if in != nil {
		if t.way.App == nil {
			t.way.App = t.ref(in)
		}
		t.calls(in, r)
	}
}

// from is who sends a request.
type from struct {
	name string
	pods *pods // nil where that is not known
}

// throughService follows a request from a port of a Service to the pods; it returns
// the app, where the request arrives at pods of one.
func (t *tracer) throughService(o *object, port map[string]any, depth int, sender from) *instance {
	_, i := servicePort(o, port["port"])
	h := Hop{Kind: Service, Name: o.ref(), By: o.at("spec", "ports", i), Calls: depth, service: o}
	asked := number(port["port"], 0)
	if tree.Text(o.spec()["type"]) == "ExternalName" {
		name := tree.Text(o.spec()["externalName"])
		h.Says = t.Say("is a name for %s", name)
		h.By = o.at("spec", "externalName")
		t.hop(h)
		if c := sender.pods; c != nil && depth == 0 && t.refusesExternal(sender) {
			t.last().Break = &Break{Reason: t.Say("Traefik follows no Service of type ExternalName unless it is told to"), Fix: t.Say("add the argument --providers.kubernetesingress.allowExternalNameServices=true, or make a Service with an EndpointSlice")}
			return nil
		}
		t.hop(Hop{Kind: External, Name: fmt.Sprintf("%s:%d", name, asked), Says: t.Say("is outside of the cluster"), By: h.By, Calls: depth})
		return nil
	}
	selector := tree.Map(o.spec()["selector"])
	if len(selector) == 0 {
		t.outside(h, o, asked, depth)
		return nil
	}
	found := t.podsOf(o.Namespace, selector)
	if len(found) == 0 {
		h.Says, h.By = t.Say("selects no pods"), o.at("spec", "selector")
		h.Break = &Break{Reason: t.Say("no pod has the labels %s", labelSet(selector)), Fix: t.Say("let the selector name labels of the pods"), Named: true}
		if p, key := t.nearest(o.Namespace, selector); p != nil {
			h.By = o.at("spec", "selector", key)
			h.Break.Reason = t.Say("the selector is off by one label: %s=%s, and the pods of %s have %s", key, tree.Text(selector[key]), p.ref(), t.labelled(key, p.labels()[key]))
			h.Break.Fix = t.Say("correct the label in the selector of the Service")
		}
		t.hop(h)
		return nil
	}
	target, broken := t.containerPort(found[0], port)
	h.Says = t.Say("leads from port %s to port %d of the pods", portName(port), target)
	if broken != nil {
		h.Says, h.Break, h.By = t.Say("leads from port %s to no port of the pods", portName(port)), broken, o.at("spec", "ports", i, "targetPort")
	}
	t.hop(h)
	if broken != nil && target == 0 {
		return nil
	}
	if policy := t.policy(sender, found[0], target); policy != nil {
		policy.Calls = depth
		t.hop(*policy)
	}
	t.podsHop(found, target, depth)
	return t.owner(found[0])
}

func (m *Model) labelled(key string, value any) string {
	if value == nil {
		return m.Say("no label %s", key)
	}
	return key + "=" + tree.Text(value)
}

func portName(port map[string]any) string {
	if name := tree.Text(port["name"]); name != "" {
		return fmt.Sprintf("%s (%d)", name, number(port["port"], 0))
	}
	return fmt.Sprint(number(port["port"], 0))
}

func (t *tracer) refusesExternal(sender from) bool {
	for _, c := range t.controllers {
		if c.pods == sender.pods && c.kind == traefik {
			for key, value := range c.options {
				if strings.HasSuffix(key, ".allowexternalnameservices") && value != "false" {
					return false
				}
			}
			return true
		}
	}
	return false
}

// outside follows a Service without a selector to the addresses that somebody has
// written for it.
func (t *tracer) outside(h Hop, o *object, port int64, depth int) {
	h.Says = t.Say("has no selector: its addresses are written by hand")
	h.By = o.at("spec")
	var addresses []string
	var by Place
	for _, s := range t.byKind["EndpointSlice"] {
		labels := tree.Map(tree.At(s.Content, "metadata", "labels"))
		if s.Namespace != o.Namespace || tree.Text(labels["kubernetes.io/service-name"]) != o.Name {
			continue
		}
		by = s.at("endpoints")
		tree.Each(s.Content["endpoints"], func(_ int, e map[string]any) {
			addresses = append(addresses, tree.Texts(e["addresses"])...)
		})
		tree.Each(s.Content["ports"], func(_ int, p map[string]any) { port = number(p["port"], port) })
	}
	if len(addresses) == 0 {
		h.Break = &Break{Reason: t.Say("no EndpointSlice of the environments has addresses for it"), Fix: t.Say("give the Service a selector, or write an EndpointSlice with the label kubernetes.io/service-name")}
		t.hop(h)
		return
	}
	t.hop(h)
	t.hop(Hop{Kind: External, Name: fmt.Sprintf("%s:%d", strings.Join(addresses, ", "), port), Says: t.Say("is outside of the cluster"), By: by, Calls: depth})
}

// podsHop is the hop of the pods.
func (t *tracer) podsHop(found []*pods, port, depth int) {
	p := found[0]
	least, most, by := t.count(p)
	h := Hop{Kind: Pods, Name: p.ref(), Says: t.Say("runs %s", t.podCount(least, most)), By: by, pods: found, Calls: depth, Port: port}
	for _, other := range found[1:] { // a canary, or two workloads behind one Service
		n, m, _ := t.count(other)
		least, most = least+n, most+m
		h.Says += t.Say(", and %s of %s", t.podCount(n, m), other.ref())
	}
	if port != 0 {
		h.Says += t.Say(" on port %d", port)
	}
	says, broken, at := t.readiness(p)
	if says != "" {
		h.Says += t.Say(", ready when %s", says)
	}
	switch {
	case least == 0 && most == 0:
		h.Break = &Break{Reason: t.Say("there are no pods: replicas is 0"), Fix: t.Say("set replicas to 1 or more")}
	case broken != nil:
		h.Break, h.By = broken, p.at(at...)
	}
	t.hop(h)
}

// readiness is when a pod counts as ready.
func (m *Model) readiness(p *pods) (says string, broken *Break, at []any) {
	p.containers(func(c map[string]any, path []any) {
		probe := tree.Map(c["readinessProbe"])
		if probe == nil || says != "" {
			return
		}
		var port any
		switch {
		case probe["httpGet"] != nil:
			get := tree.Map(probe["httpGet"])
			port = get["port"]
			says = m.Say("GET %s on port %v succeeds", tree.Text(get["path"]), port)
			at = append(slices.Clip(path), "readinessProbe", "httpGet", "port")
		case probe["tcpSocket"] != nil:
			port = tree.Map(probe["tcpSocket"])["port"]
			says = m.Say("port %v takes a connection", port)
			at = append(slices.Clip(path), "readinessProbe", "tcpSocket", "port")
		case probe["grpc"] != nil:
			says = m.Say("the gRPC health service says so")
		case probe["exec"] != nil:
			says = m.Say("a command says so")
		}
		name, named := port.(string)
		if !named {
			return
		}
		var names []string
		tree.Each(c["ports"], func(_ int, cp map[string]any) { names = append(names, tree.Text(cp["name"])) })
		if !slices.Contains(names, name) {
			broken = &Break{Reason: m.Say("the readiness probe asks port %q, which the container does not have%s: no pod becomes ready", name, m.didYouMean(name, names)), Fix: m.Say("let the probe name a port of its container")}
		}
	})
	return says, broken, at
}

// owner is the app or stack that makes pods.
func (m *Model) owner(p *pods) *instance { return m.registered[p.env.Name+"/"+p.unit.Name] }

func (m *Model) ref(in *instance) *AppRef {
	ref := &AppRef{Environment: in.env.Name, Unit: in.unit.Name, Type: in.unit.Type}
	for _, p := range in.pods {
		least, most, _ := m.count(p)
		ref.Pods += least
		if most > 0 {
			ref.PodsMax += most
		}
	}
	return ref
}

func (in *instance) at(path ...any) Place { return in.env.place(in.unit, nil, typed.Path(path)) }
