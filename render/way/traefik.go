package way

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

const annotation = "traefik.ingress.kubernetes.io/router."

// traefikIngress are the routers that Traefik makes of an Ingress.
func (m *Model) traefikIngress(c *controller, o *object, provider string) []*router {
	nginx := provider == "kubernetesingressnginx"
	newer := !c.before(7)
	notes := o.annotations()
	strict := c.options["providers.kubernetesingress.strictprefixmatching"] == "true" || nginx
	var all []*router
	base := router{object: o, provider: provider}
	if nginx {
		base.tls = len(tree.List(o.spec()["tls"])) > 0
		base.redirect = base.tls && tree.Text(notes["nginx.ingress.kubernetes.io/ssl-redirect"]) != "false" ||
			tree.Text(notes["nginx.ingress.kubernetes.io/force-ssl-redirect"]) == "true"
	} else {
		base.tls = tree.Text(notes[annotation+"tls"]) == "true"
		if names := tree.Text(notes[annotation+"entrypoints"]); names != "" {
			base.points = strings.Split(names, ",")
		}
		for _, name := range strings.FieldsFunc(tree.Text(notes[annotation+"middlewares"]), func(r rune) bool { return r == ',' || r == ' ' }) {
			base.middlewares = append(base.middlewares, middlewareRef{full: name, path: []any{"metadata", "annotations", annotation + "middlewares"}})
		}
	}
	if spec := tree.Map(o.spec()["defaultBackend"]); spec != nil && len(tree.List(o.spec()["rules"])) == 0 {
		one := base
		one.setRule(m, c, `PathPrefix("/")`)
		one.priority, one.path, one.prefix = math.MinInt32, []any{"spec", "defaultBackend"}, []string{"/"}
		one.backends = ingressBackend(o, spec, one.path)
		all = append(all, &one)
	}
	eachPath(o, func(host, path, pathType string, spec map[string]any, at []any) {
		one := base
		one.path = at
		one.hosts, one.prefix, one.exact = []string{host}, []string{path}, pathType == "Exact"
		var parts []string
		if host != "" {
			parts = append(parts, ingressHost(host, newer))
		}
		if path != "" {
			regex := ""
			if nginx {
				regex = m.nginxRegex(c, host, notes)
			}
			parts = append(parts, pathRule(path, pathType, tree.Text(notes[annotation+"pathmatcher"]), strict, regex))
		}
		one.setRule(m, c, strings.Join(parts, " && "))
		if n, err := strconv.Atoi(tree.Text(notes[annotation+"priority"])); err == nil && n != 0 && !nginx {
			one.priority = n
		}
		if nginx && newer { // others read neither
			one.leftOut = m.notLiteral(c, path, pathType)
			m.rewriteTarget(&one, notes, true)
		}
		one.backends = ingressBackend(o, tree.Map(spec["backend"]), append(at, "backend"))
		all = append(all, &one)
	})
	if nginx && (base.tls || newer) {
		all = bothSchemes(all)
	}
	return all
}

// bothSchemes are the routers for requests with TLS, and beside each one for those
// without, on the entry points that do not end TLS themselves.
func bothSchemes(routers []*router) []*router {
	var all []*router
	for _, r := range routers {
		plain, secure := *r, *r
		plain.tls, plain.plain, secure.tls, secure.unasked = false, true, true, !r.tls
		all = append(all, &plain, &secure)
	}
	return all
}

// nginxRegex is what stands in front of a path of an Ingress of ingress-nginx where paths
// are regular expressions, and empty where they are none. From v3.7 on those of a host are
// as soon as one Ingress of it says so, as with ingress-nginx itself.
func (m *Model) nginxRegex(c *controller, host string, notes map[string]any) string {
	const useRegex, rewriteTarget = "nginx.ingress.kubernetes.io/use-regex", "nginx.ingress.kubernetes.io/rewrite-target"
	if c.before(7) {
		if tree.Text(notes[useRegex]) == "true" {
			return "^"
		}
		return ""
	}
	for _, o := range m.byKind["Ingress"] {
		if provider, _, ok := m.serves(c, o); !ok || provider != "kubernetesingressnginx" {
			continue
		}
		notes := o.annotations()
		if tree.Text(notes[useRegex]) != "true" && tree.Text(notes[rewriteTarget]) == "" {
			continue
		}
		if slices.ContainsFunc(tree.List(o.spec()["rules"]), func(rule any) bool { return tree.Text(tree.Map(rule)["host"]) == host }) {
			return "(?i)^"
		}
	}
	return ""
}

// literalPath is what a path of the types Prefix and Exact may be where Traefik reads an
// Ingress of ingress-nginx (strictValidatePathType).
var literalPath = regexp.MustCompile(`(?i)^/[[:alnum:]._\-/]*$`)

// notLiteral says why Traefik leaves such an Ingress out.
func (m *Model) notLiteral(c *controller, path, pathType string) *Break {
	if path == "" || pathType == "ImplementationSpecific" || literalPath.MatchString(path) || c.options["providers.kubernetesingressnginx.strictvalidatepathtype"] == "false" {
		return nil
	}
	return &Break{
		Reason: m.Say("Traefik takes no path %s of the type %s from an Ingress of ingress-nginx", path, pathType),
		Fix:    m.Say("give the path the type ImplementationSpecific"),
	}
}

// eachPath calls fn for each path of each rule of an Ingress.
func eachPath(o *object, fn func(host, path, pathType string, spec map[string]any, at []any)) {
	tree.Each(o.spec()["rules"], func(i int, rule map[string]any) {
		tree.Each(tree.At(rule, "http", "paths"), func(j int, path map[string]any) {
			at := []any{"spec", "rules", i, "http", "paths", j}
			fn(tree.Text(rule["host"]), tree.Text(path["path"]), tree.Text(path["pathType"]), path, slices.Clip(at))
		})
	})
}

func ingressBackend(o *object, spec map[string]any, at []any) []backend {
	service := tree.Map(spec["service"])
	if service == nil {
		return nil
	}
	b := backend{kind: "Service", namespace: o.Namespace, name: tree.Text(service["name"]), at: o.at(append(slices.Clip(at), "service")...)}
	port := tree.Map(service["port"])
	b.port = port["number"]
	if b.port == nil {
		b.port = tree.Text(port["name"])
	}
	return []backend{b}
}

// setRule parses the rule; its length is the priority.
func (r *router) setRule(m *Model, c *controller, text string) {
	r.text, r.priority = text, len(text)
	parsed, err := parseRule(text, !c.before(7))
	if err != nil {
		r.leftOut = &Break{Reason: m.Say("Traefik cannot read the rule: %s", err), Fix: m.Say("write the rule as Traefik v3 reads it")}
		r.match = func(request, bool) bool { return false }
		if r.hosts == nil {
			for _, found := range hostRE.FindAllStringSubmatch(text, -1) {
				r.hosts = append(r.hosts, found[1])
			}
		}
		return
	}
	r.match = parsed.match
	if r.hosts == nil {
		r.hosts = parsed.values("Host")
	}
	if r.prefix == nil {
		r.prefix = append(parsed.values("PathPrefix"), parsed.values("Path")...)
		r.exact = len(parsed.values("PathPrefix")) == 0 && len(r.prefix) > 0
	}
}

// hostRE finds the host names in a rule that cannot be read.
var hostRE = regexp.MustCompile("\\bHost\\([`\"]([^`\"]+)[`\"]\\)")

// hostRule is the rule for a host name, of which the first label may be "*".
func hostRule(host, label string) string {
	if strings.HasPrefix(host, "*.") {
		return fmt.Sprintf("HostRegexp(%q)", "^"+strings.Replace(regexp.QuoteMeta(host), `\*\.`, label, 1)+"$")
	}
	return fmt.Sprintf("Host(%q)", host)
}

// ingressHost is the rule for the host name of an Ingress. A wildcard is one of the
// matcher's own from v3.7 on, and longer than any name of its domain before.
func ingressHost(host string, newer bool) string {
	if newer {
		return fmt.Sprintf("Host(%q)", host)
	}
	return hostRule(host, `[a-zA-Z0-9-]+\.`)
}

func pathRule(path, pathType, matcher string, strict bool, regex string) string {
	switch pathType {
	case "Exact":
		return fmt.Sprintf("Path(%q)", path)
	case "Prefix":
		matcher = "PathPrefix"
	}
	switch {
	case regex != "":
		return fmt.Sprintf("PathRegexp(%q)", regex+path)
	case matcher == "" || matcher == "PathPrefix":
		if strict {
			return strictPrefix(path)
		}
		return fmt.Sprintf("PathPrefix(%q)", path)
	}
	return fmt.Sprintf("%s(%q)", matcher, path)
}

// strictPrefix compares the path part by part, as Kubernetes has it: without it
// /v1 is a prefix of /v12, too.
func strictPrefix(path string) string {
	if path == "/" {
		return `PathPrefix("/")`
	}
	path = strings.TrimSuffix(path, "/")
	return fmt.Sprintf("(Path(%q) || PathPrefix(%q))", path, path+"/")
}

// ingressRoute are the routers of an IngressRoute.
func (m *Model) ingressRoute(c *controller, o *object) []*router {
	var all []*router
	tree.Each(o.spec()["routes"], func(i int, route map[string]any) {
		at := []any{"spec", "routes", i}
		r := &router{object: o, provider: "kubernetescrd", path: append(at, "match"), points: tree.Texts(o.spec()["entryPoints"])}
		_, r.tls = o.spec()["tls"].(map[string]any)
		r.setRule(m, c, tree.Text(route["match"]))
		if n := number(route["priority"], 0); n != 0 {
			r.priority = int(n)
		}
		tree.Each(route["middlewares"], func(j int, ref map[string]any) {
			r.middlewares = append(r.middlewares, middlewareRef{
				namespace: tree.Text(ref["namespace"]), name: tree.Text(ref["name"]), path: []any{"spec", "routes", i, "middlewares", j},
			})
		})
		tree.Each(route["services"], func(j int, s map[string]any) {
			r.backends = append(r.backends, m.traefikBackends(o, s, []any{"spec", "routes", i, "services", j}, 0)...)
		})
		all = append(all, r)
	})
	return all
}

// traefikBackends are the Services that an entry of an IngressRoute or TraefikService
// leads to.
func (m *Model) traefikBackends(o *object, s map[string]any, at []any, depth int) []backend {
	name, namespace := tree.Text(s["name"]), tree.Text(s["namespace"])
	if namespace == "" {
		namespace = o.Namespace
	}
	b := backend{kind: "Service", namespace: namespace, name: name, port: s["port"], weight: number(s["weight"], 1), at: o.at(at...)}
	if kind := tree.Text(s["kind"]); kind == "TraefikService" {
		b.kind = kind
		service := m.byID[id{kind, namespace, name}]
		if strings.Contains(name, "@") || service == nil || depth > 4 {
			return []backend{b}
		}
		var all []backend
		spec := service.spec()
		for _, group := range []string{"weighted", "highestRandomWeight"} {
			tree.Each(tree.At(spec, group, "services"), func(i int, s map[string]any) {
				for _, inner := range m.traefikBackends(service, s, []any{"spec", group, "services", i}, depth+1) {
					inner.weight *= b.weight
					all = append(all, inner)
				}
			})
		}
		if mirrored := tree.Map(spec["mirroring"]); mirrored != nil {
			all = append(all, m.traefikBackends(service, mirrored, []any{"spec", "mirroring"}, depth+1)...)
		}
		return all
	}
	return []backend{b}
}
