package way

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// registry is where an app registers and looks for others.
type registry struct {
	kind      string // zookeeper or nacos; empty where the app has none
	servers   []string
	namespace string // of Nacos
	group     string
	by        Place
}

// registryText is a registry in words.
func (m *Model) registryText(r registry) string {
	text := r.kind + " " + strings.Join(r.servers, ",")
	if r.namespace != "" {
		text += m.Say(", namespace %s", r.namespace)
	}
	if r.group != "" {
		text += m.Say(", group %s", r.group)
	}
	return text
}

func (r registry) same(other registry) bool {
	return r.kind == other.kind && r.namespace == other.namespace && r.group == other.group && slices.Equal(r.servers, other.servers)
}

// meets says whether two apps find each other.
func (r registry) meets(other registry) bool {
	return r.kind == other.kind && r.namespace == other.namespace && r.group == other.group &&
		slices.ContainsFunc(r.servers, func(server string) bool { return slices.Contains(other.servers, server) })
}

// registryOf reads the registry of an app from the environment variables of its
// pods, which is what runs; an app whose configuration is a file has that of its
// environment.
func (m *Model) registryOf(in *instance) registry {
	declared := declaredRegistry(in.env)
	found := declared
	for _, p := range in.pods {
		p.containers(func(c map[string]any, path []any) {
			tree.Each(c["env"], func(i int, v map[string]any) {
				name, value := tree.Text(v["name"]), tree.Text(v["value"])
				if found.set(name, value) && !found.same(declared) {
					found.by = p.at(append(slices.Clip(path), "env", i, "value")...)
				}
			})
		})
	}
	return found
}

func declaredRegistry(env *Environment) registry {
	for _, kind := range []string{"zookeeper", "nacos"} {
		if spec := tree.Map(env.Registry[kind]); spec != nil {
			return registry{
				kind: kind, servers: tree.Texts(spec["servers"]), namespace: tree.Text(spec["namespace"]), group: tree.Text(spec["group"]),
				by: env.place(nil, nil, typed.Path{"registry", kind}),
			}
		}
	}
	return registry{}
}

// set takes what an environment variable says of the registry.
func (r *registry) set(name, value string) bool {
	switch name {
	case "SPRING_CLOUD_NACOS_DISCOVERY_SERVER_ADDR":
		r.kind, r.servers = "nacos", strings.Split(value, ",")
	case "SPRING_CLOUD_NACOS_DISCOVERY_NAMESPACE":
		r.namespace = value
	case "SPRING_CLOUD_NACOS_DISCOVERY_GROUP", "DUBBO_REGISTRY_GROUP":
		r.group = value
	case "DUBBO_REGISTRY_ADDRESS":
		r.address(value)
	default:
		said := false
		for option := range strings.FieldsSeq(value) {
			if text, ok := strings.CutPrefix(option, "-Ddubbo.registry.address="); ok {
				r.address(text)
				said = true
			}
			if text, ok := strings.CutPrefix(option, "-Ddubbo.registry.group="); ok {
				r.group = text
				said = true
			}
		}
		return said
	}
	return true
}

// address is a registry as Dubbo writes it: zookeeper://a:2181?backup=b:2181.
func (r *registry) address(text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return
	}
	if r.kind != u.Scheme {
		r.namespace, r.group = "", ""
	}
	r.kind, r.servers = u.Scheme, []string{u.Host}
	if backup := u.Query().Get("backup"); backup != "" {
		r.servers = append(r.servers, strings.Split(backup, ",")...)
	}
	r.namespace = cmp.Or(u.Query().Get("namespace"), r.namespace)
	r.group = cmp.Or(u.Query().Get("group"), r.group)
}

// calls are the hops behind an app: what it calls, and what that calls.
func (t *tracer) calls(in *instance, r request) {
	c := &caller{tracer: t, seen: map[string]bool{in.name(): true}}
	c.from(in, 1, &r)
}

type caller struct {
	*tracer
	seen map[string]bool
}

func (c *caller) from(in *instance, depth int, r *request) {
	own := c.registryOf(in)
	if !in.unit.Registers() && own.same(declaredRegistry(in.env)) {
		own = registry{} // it knows none: it calls others by their Services
	}
	var targets []target
	for i, name := range in.unit.Consumes {
		targets = append(targets, target{name: name, by: in.at("consumes", i)})
	}
	routes, broken := c.gatewayRoutes(in, r)
	for _, t := range routes {
		if i := slices.IndexFunc(targets, func(other target) bool { return other.name == t.name && t.name != "" }); i >= 0 {
			targets[i].says, targets[i].by = t.says, t.by
			continue
		}
		targets = append(targets, t)
	}
	if broken != nil {
		c.hop(Hop{Kind: Route, Name: c.Say("routes of %s", in.unit.Name), Says: c.Say("the gateway answers 404"), By: in.at("routes"), Break: broken, Calls: depth})
	} else if r != nil && !r.anyPath && len(routes) > 0 { // the request takes one route: the others are not on its way
		targets = routes
	}
	registered := slices.ContainsFunc(targets, func(t target) bool { return t.name != "" })
	if registered && own.kind != "" {
		c.hop(c.registryHop(in, own, depth))
	}
	for _, t := range targets {
		if t.name == "" {
			c.toHost(in, t, depth)
			continue
		}
		c.toProvider(in, own, t, depth)
	}
	if len(routes) == 0 || r == nil || r.anyPath {
		c.addresses(in, own, depth)
	}
}

// target is what an app calls: another app by name, or a host.
type target struct {
	name string
	host string // with port
	says string
	by   Place
}

// registryHop is the hop of the registry: whether it is there.
func (c *caller) registryHop(in *instance, own registry, depth int) Hop {
	h := Hop{Kind: Registry, Name: own.kind + " " + strings.Join(own.servers, ", "), By: own.by, Calls: depth}
	h.Says = c.Say("is where %s looks, in group %s", in.unit.Name, own.group)
	if own.namespace != "" {
		h.Says = c.Say("is where %s looks, in namespace %s, group %s", in.unit.Name, own.namespace, own.group)
	}
	for _, server := range own.servers {
		service, port, inside, err := c.resolve(server, in.env.Namespace)
		switch {
		case err != nil:
			h.Break = &Break{Reason: err.Error(), Fix: c.Say("name the Service of the registry, with its namespace: NAME.NAMESPACE:PORT")}
		case inside && service != nil:
			sub := &tracer{Model: c.Model, way: &Way{}}
			spec, _ := servicePort(service, int64(port))
			if spec == nil {
				h.Break = &Break{Reason: c.Say("%s has no port %d", service.ref(), port), Fix: c.Say("name a port of the Service")}
				continue
			}
			sub.throughService(service, spec, depth, from{name: in.unit.Name, pods: first(in.pods)})
			if broken := sub.way.Breaks(); len(broken) > 0 {
				h.Break, h.By = broken[0].Break, broken[0].By
			}
		}
	}
	return h
}

func first(list []*pods) *pods {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// serviceOf is the Service of an app, nil where it has none.
func serviceOf(in *instance) *object {
	for i := range in.unit.Objects {
		if o := (&object{Object: in.unit.Objects[i], unit: in.unit, env: in.env}); o.Kind == "Service" {
			return o
		}
	}
	return nil
}

// toProvider is the hop of an app that is found in the registry.
func (c *caller) toProvider(in *instance, own registry, t target, depth int) {
	provider := c.provider(in.env, t.name, own)
	h := Hop{Kind: Provider, Name: t.name, By: t.by, Calls: depth}
	if provider == nil {
		h.Says = c.Say("is not there")
		h.Break = &Break{
			Reason: c.Say("no app %q in environment %s%s", t.name, in.env.Name, c.didYouMean(t.name, appNames(in.env))),
			Fix:    c.Say("correct the name, or add the app"), Named: true,
		}
		c.hop(h)
		return
	}
	theirs := c.registryOf(provider)
	p := first(provider.pods)
	ref := c.ref(provider)
	if provider.env != in.env {
		h.Name = provider.name()
	}
	h.pods = provider.pods
	h.Says = c.Say("runs %s", c.podCount(ref.Pods, ref.PodsMax))
	port := 0
	if p != nil {
		port = providerPort(p)
		if port != 0 {
			h.Says += c.Say(" on port %d", port)
		}
	}
	if t.says != "" {
		h.Says += c.Say(", %s", t.says)
	}
	switch {
	case own.kind == "" && !in.unit.Registers():
		if service := serviceOf(provider); service != nil {
			h.Says += c.Say(", by %s", service.ref())
			break
		}
		h.Break = &Break{
			Reason: c.Say("%s looks in no registry, and %s has no Service", in.unit.Name, t.name),
			Fix:    c.Say("give %s a Service, or let an app of a type with a registry call it", t.name),
		}
	case own.kind == "":
		h.Break = &Break{Reason: c.Say("%s has no registry to find it in", in.unit.Name), Fix: c.Say("give the environment a registry: zookeeper or nacos"), Named: true}
	case !own.meets(theirs):
		h.By = theirs.by
		h.Break = &Break{
			Reason: c.Say("%s registers in %s, and %s looks in %s", t.name, c.registryText(theirs), in.unit.Name, c.registryText(own)),
			Fix:    c.Say("give both the same registry, namespace and group"),
		}
	case p != nil && ref.Pods == 0 && ref.PodsMax == 0:
		_, _, h.By = c.count(p)
		h.Break = &Break{Reason: c.Say("there are no pods: replicas is 0"), Fix: c.Say("set replicas to 1 or more")}
	}
	c.hop(h)
	if p != nil && port != 0 && first(in.pods) != nil {
		if policy := c.policy(from{name: in.unit.Name, pods: first(in.pods)}, p, port); policy != nil {
			policy.Calls = depth
			c.hop(*policy)
		}
	}
	if !c.seen[provider.name()] {
		c.seen[provider.name()] = true
		c.from(provider, depth+1, nil)
	}
}

// provider finds the app of a name: in the environment, else in another one of the
// cluster that registers in the same place.
func (m *Model) provider(env *Environment, name string, own registry) *instance {
	var there *instance
	for _, e := range m.envs {
		for i := range e.Units {
			in := m.registered[e.Name+"/"+e.Units[i].Name]
			if !e.Units[i].App || applicationName(in) != name && e.Units[i].Name != name {
				continue
			}
			if e == env {
				return in
			}
			if there == nil && m.registryOf(in).meets(own) {
				there = in
			}
		}
	}
	return there
}

// applicationName is what an app registers as.
func applicationName(in *instance) string {
	name := in.unit.Name
	for _, p := range in.pods {
		p.containers(func(c map[string]any, _ []any) {
			tree.Each(c["env"], func(_ int, v map[string]any) {
				if tree.Text(v["name"]) == "SPRING_APPLICATION_NAME" && tree.Text(v["value"]) != "" {
					name = tree.Text(v["value"])
				}
			})
		})
	}
	return name
}

func appNames(env *Environment) []string {
	var names []string
	for _, u := range env.Units {
		if u.App {
			names = append(names, u.Name)
		}
	}
	return names
}

// providerPort is the port that consumers connect to.
func providerPort(p *pods) int {
	port := 0
	p.containers(func(c map[string]any, _ []any) {
		tree.Each(c["ports"], func(_ int, cp map[string]any) {
			name := tree.Text(cp["name"])
			if port == 0 || name == "dubbo" || name == "tri" || name == "http" {
				port = int(number(cp["containerPort"], 0))
			}
		})
	})
	return port
}

// gatewayRoutes are the routes of a Spring Cloud Gateway: of a request the first
// that takes its path, else all.
func (m *Model) gatewayRoutes(in *instance, r *request) ([]target, *Break) {
	if in.unit.Type != "Gateway" {
		return nil, nil
	}
	routes := tree.Map(tree.At(in.unit.Fields, "routes"))
	if len(routes) == 0 {
		return nil, nil
	}
	var all []target
	var paths []string
	for _, name := range m.inOrder(in, routes) {
		spec := tree.Map(routes[name])
		patterns := tree.Texts(spec["path"])
		paths = append(paths, patterns...)
		t := target{name: tree.Text(spec["to"]), by: in.at("routes", name), says: m.Say("by route %s (%s)", name, strings.Join(patterns, ", "))}
		if uri := tree.Text(spec["uri"]); uri != "" {
			if service, ok := strings.CutPrefix(uri, "lb://"); ok {
				t.name = service
			} else if u, err := url.Parse(uri); err == nil {
				t.host = withPort(u)
			}
		}
		if r == nil || r.anyPath {
			all = append(all, t)
			continue
		}
		if slices.ContainsFunc(patterns, func(p string) bool { return patternMatches(p, r.url.Path) }) {
			if n := int(number(spec["stripPrefix"], 0)); n > 0 {
				t.says += m.Say(" as %s", stripped(r.url.Path, n))
			}
			return []target{t}, nil
		}
	}
	if r != nil && !r.anyPath {
		return nil, &Break{
			Reason: m.Say("no route of %s has the path %s: there are %s", in.unit.Name, r.url.Path, strings.Join(paths, ", ")),
			Fix:    m.Say("correct the path, or add a route"),
		}
	}
	return all, nil
}

// inOrder are the names of routes as the gateway reads them: the first that fits
// takes the request.
func (m *Model) inOrder(in *instance, routes map[string]any) []string {
	var text strings.Builder
	for _, o := range in.unit.Objects {
		if o.Kind == "ConfigMap" {
			data := tree.Map(o.Content["data"])
			for _, key := range sortedKeys(data) {
				text.WriteString(tree.Text(data[key]) + "\n")
			}
		}
	}
	names := sortedKeys(routes)
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(strings.Index(text.String(), "- id: "+a+"\n"), strings.Index(text.String(), "- id: "+b+"\n"))
	})
	return names
}

// patternMatches compares a path with a pattern of Spring: ? is a character, * a
// part, ** any number of parts, {name} a part.
func patternMatches(pattern, path string) bool {
	var b strings.Builder
	b.WriteString("^")
	for part := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		if part == "**" {
			b.WriteString("(/.*)?")
			continue
		}
		text := variableRE.ReplaceAllString(part, "*")
		text = regexp.QuoteMeta(text)
		text = strings.NewReplacer(`\*`, "[^/]*", `\?`, "[^/]").Replace(text)
		b.WriteString("/" + text)
	}
	b.WriteString("$")
	re, err := regexp.Compile(b.String())
	return err == nil && re.MatchString(path)
}

var variableRE = regexp.MustCompile(`\{[^}]*\}`)

func stripped(path string, parts int) string {
	words := strings.Split(strings.TrimPrefix(path, "/"), "/")
	return "/" + strings.Join(words[min(parts, len(words)):], "/")
}

func withPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" || u.Scheme == "wss" {
		return u.Hostname() + ":443"
	}
	return u.Hostname() + ":80"
}

// resolve finds the Service of a host name as a pod of the namespace sees it. A name
// that only a Service could have, and none has, is an error.
func (m *Model) resolve(address, namespace string) (service *object, port int, inside bool, err error) {
	host, text, _ := strings.Cut(address, ":")
	fmt.Sscan(text, &port) //nolint:errcheck // 0 where there is none
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	at := namespace
	if len(parts) > 1 {
		at = parts[1]
	}
	if o := m.byID[id{"Service", at, parts[0]}]; o != nil && (len(parts) <= 2 || parts[2] == "svc") {
		return o, port, true, nil
	}
	if len(parts) > 2 && parts[len(parts)-1] == "local" { // a pod of a headless Service: POD.SERVICE.NAMESPACE.svc.ZONE
		if o := m.byID[id{"Service", parts[2], parts[1]}]; o != nil {
			return o, port, true, nil
		}
	}
	ours := slices.ContainsFunc(m.envs, func(e *Environment) bool { return e.Namespace == at }) || m.byID[id{"Namespace", "", at}] != nil
	if host != "localhost" && (len(parts) == 1 && host != "" || len(parts) > 2 && parts[2] == "svc") && ours {
		return nil, port, true, errors.New(m.Say("no Service %q in namespace %s%s", parts[0], at, m.didYouMean(parts[0], m.names("Service", at))))
	}
	return nil, port, false, nil
}

// toHost is the hop of a host that an app calls by its address.
func (c *caller) toHost(in *instance, t target, depth int) {
	service, port, _, err := c.resolve(t.host, in.env.Namespace)
	switch {
	case err != nil:
		c.hop(Hop{Kind: External, Name: t.host, Says: c.Say("is not there"), By: t.by, Calls: depth, Break: &Break{Reason: err.Error(), Fix: c.Say("correct the name, or make the Service")}})
	case service != nil:
		spec, _ := servicePort(service, int64(port))
		if spec == nil {
			c.hop(Hop{Kind: Service, Name: service.ref(), Says: c.Say("is called"), By: t.by, Calls: depth, Break: &Break{Reason: c.Say("%s has no port %d", service.ref(), port), Fix: c.Say("name a port of the Service")}})
			return
		}
		next := c.throughService(service, spec, depth, from{name: in.unit.Name, pods: first(in.pods)})
		if next != nil && !c.seen[next.name()] {
			c.seen[next.name()] = true
			c.from(next, depth+1, nil)
		}
	default:
		c.hop(Hop{Kind: External, Name: t.host, Says: c.Say("is outside of the cluster"), By: t.by, Calls: depth})
	}
}

// addressRE finds addresses in environment variables: jdbc:mysql://db:3306/shop.
var addressRE = regexp.MustCompile(`\b[a-z][a-z0-9+.]*://(?:[^@/\s'"]*@)?([A-Za-z0-9][-A-Za-z0-9.]*)(:[0-9]+)?`)

// addresses are the hosts that environment variables of an app name.
func (c *caller) addresses(in *instance, own registry, depth int) {
	var seen []string
	for _, p := range in.pods {
		p.containers(func(container map[string]any, path []any) {
			tree.Each(container["env"], func(i int, v map[string]any) {
				value := tree.Text(v["value"])
				if (&registry{}).set(tree.Text(v["name"]), value) {
					return
				}
				for _, found := range addressRE.FindAllStringSubmatch(value, -1) {
					host := found[1] + found[2]
					if slices.Contains(seen, host) || slices.Contains(own.servers, host) || found[1] == "localhost" || strings.HasPrefix(found[1], "127.") {
						continue
					}
					seen = append(seen, host)
					c.toAddress(in, host, p.at(append(slices.Clip(path), "env", i, "value")...), depth)
				}
			})
		})
	}
}

func (c *caller) toAddress(in *instance, host string, by Place, depth int) {
	service, port, _, err := c.resolve(host, in.env.Namespace)
	if service == nil || port == 0 {
		h := Hop{Kind: External, Name: host, Says: c.Say("is outside of the cluster"), By: by, Calls: depth}
		if err != nil {
			h.Notes = []string{err.Error()}
		}
		if service != nil {
			h.Kind, h.Name, h.Says, h.service = Service, service.ref(), c.Say("is called"), service
		}
		c.hop(h)
		return
	}
	c.toHost(in, target{host: host, says: c.Say("is called"), by: by}, depth)
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
