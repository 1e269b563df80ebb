package way

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// route finds the route of the request and follows it.
func (t *tracer) route(c *controller, e *entryPoint, r request, secure bool) *request {
	found := t.choose(c, e, r, secure)
	if secure {
		t.way.TLS = "controller"
	}
	chosen := found.router
	if chosen == nil {
		if len(found.leftOut) == 0 {
			t.noRoute(c, e, r, secure)
			return nil
		}
		chosen = found.leftOut[0] // its hops say what is missing
	}
	t.way.route = chosen
	h := Hop{Kind: Route, Name: chosen.object.ref(), Says: t.Say("matches %s", chosen.text), By: chosen.object.at(chosen.path...), Break: chosen.leftOut}
	if chosen.at != nil {
		h.By = *chosen.at
	}
	for _, other := range found.leftOut {
		if other != chosen {
			h.Notes = append(h.Notes, t.Say("%s would come first, but the controller leaves it out: %s", other.object.ref(), t.why(c, other)))
		}
	}
	for _, other := range found.conditional {
		if other.object != chosen.object {
			h.Notes = append(h.Notes, t.Say("%s comes first for requests that fulfil %s", other.object.ref(), other.text))
		}
	}
	if len(found.tied) > 0 {
		var names []string
		for _, other := range found.tied {
			names = append(names, other.object.ref())
		}
		h.Break = &Break{
			Reason: t.Say("%s takes it just as well: which of them answers is left to chance", strings.Join(slices.Compact(names), ", ")),
			Fix:    t.Say("give each its own host or path, or a priority"), Named: chosen.object.Kind == "Ingress" && found.tied[0].object.Kind == "Ingress",
		}
	}
	if len(chosen.points) > 0 && c.kind == traefik {
		h.Says += t.Say(", on %s", strings.Join(slices.Compact(chosen.points), ", "))
	}
	if secure {
		if t.way.Certificate = t.shown(chosen, r); t.way.Certificate != "" {
			h.Says += t.Say(", with the certificate of %s", t.way.Certificate)
		}
	}
	if broken := t.certificate(c, chosen, r, secure); broken != nil && h.Break == nil {
		h.Break = broken.Break
		h.By = broken.By
	}
	t.hop(h)
	if chosen.leftOut != nil {
		return nil
	}
	if chosen.redirect && !secure && r.forwarded != "https" {
		to := r.secured()
		t.hop(Hop{Kind: Redirect, Name: chosen.object.ref(), Says: t.Say("sends the client to %s (%d)", to.text(), http.StatusPermanentRedirect), By: chosen.object.at("spec", "tls")})
		return &to
	}
	r, to, ok := t.rewrites(chosen, r)
	if to != nil || !ok {
		return to
	}
	t.backends(c, chosen, r)
	return nil
}

// why a controller leaves a route out.
func (t *tracer) why(c *controller, r *router) string {
	if r.leftOut != nil {
		return r.leftOut.Reason
	}
	if broken := t.missing(c, r); broken != nil {
		return broken.Reason
	}
	return t.Say("it does not fit")
}

// rewrites are the hops of what changes the request on its way to the Service.
func (t *tracer) rewrites(chosen *router, r request) (changed request, redirect *request, ok bool) {
	path := r.path()
	apply := func(name string, by Place, e effect) {
		t.hop(Hop{Kind: Middleware, Name: name, Says: e.says, By: by})
		if e.path != "" {
			r = r.withPath(e.path)
		}
		redirect = e.redirect
	}
	for _, ref := range chosen.middlewares {
		object, other, broken := t.middleware(chosen.object, ref)
		by := chosen.object.at(ref.path...)
		switch {
		case broken != nil:
			t.hop(Hop{Kind: Middleware, Name: ref.name + ref.full, Says: t.Say("is not there"), By: by, Break: broken})
			return r, nil, false
		case object == nil:
			t.hop(Hop{Kind: Middleware, Name: other, Says: t.Say("passes it on"), By: by})
			continue
		}
		effects, broken := t.effects(object, r, 0)
		if broken != nil {
			t.hop(Hop{Kind: Middleware, Name: object.ref(), Says: t.Say("names others"), By: object.at("spec"), Break: broken})
			return r, nil, false
		}
		for _, e := range effects {
			apply(object.ref(), object.at("spec"), e)
			if redirect != nil {
				return r, redirect, true
			}
		}
	}
	for _, w := range chosen.rewrites {
		apply(chosen.object.ref(), w.at, w.do(r))
		if redirect != nil {
			return r, redirect, true
		}
	}
	if r.path() != path {
		t.way.Rewritten = r.path()
	}
	return r, nil, true
}

// shown is the certificate that the controller shows for a route, as Secret/namespace/name;
// empty where the source does not say.
func (t *tracer) shown(chosen *router, r request) string {
	o := chosen.object
	secret := func(namespace, name string) string {
		if name == "" {
			return ""
		}
		return "Secret/" + namespace + "/" + name
	}
	switch o.Kind {
	case "HTTPRoute", "GRPCRoute":
		for _, s := range chosen.secret {
			if s.hosts == "" || s.hosts == r.host || below(r.host, s.hosts) {
				return secret(s.namespace, s.name)
			}
		}
	case "IngressRoute":
		if name := tree.Text(tree.At(o.spec(), "tls", "secretName")); name != "" {
			return secret(o.Namespace, name)
		}
	}
	for _, ingress := range append([]*object{o}, t.byKind["Ingress"]...) { // it is shown for every route of the host
		for _, item := range tree.List(ingress.spec()["tls"]) {
			entry := tree.Map(item)
			if slices.ContainsFunc(tree.Texts(entry["hosts"]), func(name string) bool { return name != "" && hostMatches(name, r.host) }) {
				return secret(ingress.Namespace, tree.Text(entry["secretName"]))
			}
		}
	}
	return ""
}

// certificate says why a client that speaks TLS with the controller would not trust
// its certificate; nil where there is nothing to say.
func (t *tracer) certificate(c *controller, chosen *router, r request, secure bool) *Hop {
	if !secure || c.kind == unknownKind && len(tree.List(chosen.object.spec()["tls"])) == 0 && len(chosen.secret) == 0 {
		return nil
	}
	o := chosen.object
	fault := func(fix, reason string, named bool, at ...any) *Hop {
		return &Hop{By: o.at(at...), Break: &Break{Reason: reason, Fix: fix, Named: named}}
	}
	secret := func(name string, at ...any) *Hop {
		if t.declared("Secret", o.Namespace, name) {
			return nil
		}
		return fault(t.Say("make the Secret, or declare it: external: secrets: %q: {}", name),
			t.Say("no Secret %q in namespace %s%s: the controller shows a certificate of its own", name, o.Namespace, t.didYouMean(name, t.names("Secret", o.Namespace))), true, at...)
	}
	switch o.Kind {
	case "Ingress":
		for key := range o.annotations() {
			if strings.HasPrefix(key, "cert-manager.io/") {
				return nil
			}
		}
		for i, item := range tree.List(o.spec()["tls"]) {
			entry := tree.Map(item)
			hosts := tree.Texts(entry["hosts"])
			if len(hosts) > 0 && !slices.ContainsFunc(hosts, func(name string) bool { return hostMatches(name, r.host) }) {
				continue
			}
			if name := tree.Text(entry["secretName"]); name != "" {
				return secret(name, "spec", "tls", i, "secretName")
			}
			return nil
		}
		return t.anyCertificate(o, r, fault)
	case "HTTPRoute", "GRPCRoute":
		for _, s := range chosen.secret {
			if (s.hosts == "" || s.hosts == r.host || below(r.host, s.hosts)) && !t.declared("Secret", s.namespace, s.name) {
				return &Hop{By: s.at, Break: &Break{
					Reason: t.Say("no Secret %q in namespace %s%s: the Gateway has no certificate for %s", s.name, s.namespace, t.didYouMean(s.name, t.names("Secret", s.namespace)), r.host),
					Fix:    t.Say("make the Secret, or declare it: external: secrets: %q: {}", s.name),
				}}
			}
		}
	case "IngressRoute":
		spec := tree.Map(o.spec()["tls"])
		if name := tree.Text(spec["secretName"]); name != "" {
			return secret(name, "spec", "tls", "secretName")
		}
		if tree.Text(spec["certResolver"]) == "" {
			return t.anyCertificate(o, r, fault)
		}
	}
	return nil
}

// anyCertificate looks for the certificate of another object: a controller shows it
// for every route of its host.
func (t *tracer) anyCertificate(o *object, r request, fault func(fix, reason string, named bool, at ...any) *Hop) *Hop {
	for _, other := range t.byKind["Ingress"] {
		for _, item := range tree.List(other.spec()["tls"]) {
			if slices.ContainsFunc(tree.Texts(tree.Map(item)["hosts"]), func(name string) bool { return name != "" && hostMatches(name, r.host) }) {
				return nil
			}
		}
	}
	if len(t.byKind["TLSStore"]) > 0 {
		return nil
	}
	return fault(t.Say("name a Secret with the certificate: tls on the app, spec.tls of the %s", o.Kind),
		t.Say("no certificate for %s: the controller shows one of its own, which browsers refuse", r.host), false, "spec")
}

// noRoute says why no route takes a request.
func (t *tracer) noRoute(c *controller, e *entryPoint, r request, secure bool) {
	h := Hop{Kind: Route, Name: t.nameOf(c), Says: t.Say("has no route for it, and answers 404")}
	fix := t.Say("correct the URL, or add an Ingress for it")
	named := false
	var sameHost, otherPoint []*router
	var hosts []string
	for _, one := range c.routers {
		hosts = append(hosts, one.hosts...)
		if one.match(r, true) {
			otherPoint = append(otherPoint, one)
		}
		if slices.ContainsFunc(one.hosts, func(name string) bool { return name != "" && hostMatches(name, r.host) }) {
			sameHost = append(sameHost, one)
		}
	}
	reason := t.Say("no route has the host %s%s", r.host, t.didYouMean(r.host, hosts))
	switch unserved := t.unserved(r); {
	case len(otherPoint) > 0:
		one := otherPoint[0]
		h.By = one.object.at(one.path...)
		reason, fix = t.wrongPoint(e, one, secure)
	case len(unserved) > 0:
		o := unserved[0]
		h.Name = o.object.ref()
		h.By, reason, fix, named = o.by, o.reason, o.fix, o.named
	case len(sameHost) > 0 && sameHost[0].leftOut != nil:
		one := sameHost[0]
		h.Name, h.Says, h.By = one.object.ref(), t.Say("is not taken by %s", t.nameOf(c)), one.object.at(one.path...)
		reason, fix = one.leftOut.Reason, one.leftOut.Fix
	case len(sameHost) > 0:
		var paths []string
		for _, one := range sameHost {
			paths = append(paths, one.prefix...)
		}
		slices.Sort(paths)
		one := sameHost[0]
		h.By = one.object.at(one.path...)
		reason = t.Say("no route of %s has the path %s: there are %s", r.host, r.path(), strings.Join(slices.Compact(paths), ", "))
	}
	h.Break = &Break{Reason: reason, Fix: fix, Named: named}
	t.hop(h)
}

// wrongPoint is about a route that would take the request, but not here.
func (t *tracer) wrongPoint(e *entryPoint, one *router, secure bool) (reason, fix string) {
	switch {
	case e != nil && len(one.points) > 0 && !slices.Contains(one.points, e.name):
		return t.Say("%s takes requests on the entry point %s, this one arrives on %s", one.object.ref(), strings.Join(one.points, ", "), e.name),
			t.Say("let the route name that entry point, or none")
	case secure:
		return t.Say("%s takes no requests by TLS", one.object.ref()), t.Say("give the route tls, or ask by http")
	}
	return t.Say("%s takes requests by TLS only, and this one arrives without", one.object.ref()), t.Say("ask by https, or take tls from the route: TLS has ended before it arrives")
}

// servedClasses are the classes of which a controller of the cluster takes Ingresses.
func (m *Model) servedClasses() []string {
	var known []string
	for _, class := range m.byKind["IngressClass"] {
		of := tree.Text(class.spec()["controller"])
		if slices.ContainsFunc(m.controllers, func(c *controller) bool {
			return c.kind == traefik && (of == classOfTraefik && c.reads("kubernetesingress") || of == classOfNginx && c.reads("kubernetesingressnginx")) ||
				c.kind == ingressNginx && of == cmp.Or(c.options["controller-class"], classOfNginx)
		}) {
			known = append(known, class.Name)
		}
	}
	slices.Sort(known)
	return known
}

// unservedRoute is an object with a route for the request that no controller reads.
type unservedRoute struct {
	object      *object
	by          Place
	reason, fix string
	named       bool // a rule of the checks reports it
}

func (m *Model) unserved(r request) []unservedRoute {
	var all []unservedRoute
	serves := func(o *object) bool {
		return slices.ContainsFunc(m.controllers, func(c *controller) bool {
			_, _, ok := m.serves(c, o)
			return ok
		})
	}
	known := m.servedClasses()
	for _, o := range m.byKind["Ingress"] {
		if serves(o) {
			continue
		}
		one := &router{}
		for _, candidate := range m.nginxIngress(o) {
			if candidate.match(r, true) {
				one = candidate
			}
		}
		if one.object == nil {
			continue
		}
		class, _ := m.class(o)
		u := unservedRoute{object: o, by: o.at("spec", "ingressClassName"), fix: m.Say("name the class of a controller")}
		switch {
		case class == "":
			u.reason, u.named = m.Say("%s names no class, and no class is the default", o.ref()), true
		case m.byID[id{"IngressClass", "", class}] == nil:
			u.reason = m.Say("%s has the class %s, which no environment of the cluster makes%s", o.ref(), class, m.didYouMean(class, known))
			u.named = len(m.byKind["IngressClass"]) > 0
		default:
			u.reason = m.Say("%s has the class %s, whose controller is not there, or does not read it", o.ref(), class)
		}
		if len(known) > 0 {
			u.fix = m.Say("name a class that is served: %s", strings.Join(known, ", "))
		}
		all = append(all, u)
	}
	providers := map[string]string{"IngressRoute": "kubernetescrd", "HTTPRoute": "kubernetesgateway", "GRPCRoute": "kubernetesgateway"}
	for _, kind := range slices.Sorted(maps.Keys(providers)) {
		if slices.ContainsFunc(m.controllers, func(c *controller) bool {
			return c.kind == traefik && c.reads(providers[kind]) || c.kind == unknownKind && kind != "IngressRoute"
		}) {
			continue
		}
		for _, o := range m.byKind[kind] {
			var routes []*router
			if kind == "IngressRoute" {
				routes = m.ingressRoute(&controller{kind: unknownKind}, o)
			} else {
				routes = m.gatewayRoute(&controller{kind: unknownKind}, o)
			}
			if !slices.ContainsFunc(routes, func(one *router) bool { return one.match(r, true) }) {
				continue
			}
			field := "gateway"
			if kind == "IngressRoute" {
				field = "crd"
			}
			all = append(all, unservedRoute{
				object: o, by: o.at(), reason: m.Say("no ingress controller of the cluster reads %s", o.ref()),
				fix: m.Say("set providers: %s: true on the stack traefik", field),
			})
		}
	}
	return all
}
