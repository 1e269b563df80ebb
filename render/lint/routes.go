package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// hostName is a host that an object answers to.
type hostName struct {
	object located
	host   string
	path   []any    // where the host stands
	class  string   // what sets apart the same host of two controllers
	paths  []string // of URLs
}

// hostNames are those of Ingresses and of the routes of the Gateway API.
func hostNames(w *world) []hostName {
	var all []hostName
	for _, o := range w.byKind["Ingress"] {
		class := tree.Text(tree.At(o.Content, "spec", "ingressClassName")) + canaryMark(o)
		tree.Each(tree.At(o.Content, "spec", "rules"), func(i int, rule map[string]any) {
			one := hostName{object: o, host: tree.Text(rule["host"]), path: []any{"spec", "rules", i, "host"}, class: class}
			tree.Each(tree.At(rule, "http", "paths"), func(_ int, path map[string]any) { one.paths = append(one.paths, tree.Text(path["path"])) })
			all = append(all, one)
		})
	}
	for _, o := range slices.Concat(w.byKind["HTTPRoute"], w.byKind["GRPCRoute"]) {
		class := "Gateway"
		tree.Each(tree.At(o.Content, "spec", "parentRefs"), func(_ int, ref map[string]any) {
			if kind := tree.Text(ref["kind"]); kind == "" || kind == "Gateway" {
				class += " " + tree.Text(ref["namespace"]) + "/" + tree.Text(ref["name"])
			}
		})
		var paths []string
		tree.Each(tree.At(o.Content, "spec", "rules"), func(_ int, rule map[string]any) {
			tree.Each(rule["matches"], func(_ int, match map[string]any) {
				if len(match) == 1 && match["path"] != nil { // another condition makes it another route
					paths = append(paths, tree.Text(tree.At(match, "path", "value")))
				}
			})
			if o.Kind == "GRPCRoute" && len(tree.List(rule["matches"])) == 0 {
				paths = append(paths, "/")
			}
		})
		for i, host := range tree.Texts(tree.At(o.Content, "spec", "hostnames")) {
			all = append(all, hostName{object: o, host: host, path: []any{"spec", "hostnames", i}, class: class, paths: paths})
		}
	}
	return all
}

// checkGatewayRoutes: a route of the Gateway API leads to a port of a Service, its
// host and path are its own, and nobody reads annotations of Ingresses on it.
func checkGatewayRoutes(w *world) {
	type claim struct{ class, host, path string }
	first := map[claim]located{}
	for _, h := range hostNames(w) {
		if h.object.Kind == "Ingress" {
			continue
		}
		for _, path := range h.paths {
			c := claim{h.class, h.host, path}
			other, taken := first[c]
			if !taken {
				first[c] = h.object
				continue
			}
			f := h.object.at("ingress", h.path...)
			f.Message = fmt.Sprintf("%s%s is claimed by %s of unit %s too", h.host, path, other.ref(), other.unit.Name)
			w.report(f)
		}
	}
	for _, o := range slices.Concat(w.byKind["HTTPRoute"], w.byKind["GRPCRoute"]) {
		w.checkAnnotations(o)
		tree.Each(tree.At(o.Content, "spec", "rules"), func(i int, rule map[string]any) {
			tree.Each(rule["backendRefs"], func(j int, ref map[string]any) {
				if kind := tree.Text(ref["kind"]); kind != "" && kind != "Service" || tree.Text(ref["namespace"]) != "" {
					return
				}
				w.checkRouteBackend(o, ref, "spec", "rules", i, "backendRefs", j)
			})
		})
	}
}

func (w *world) checkRouteBackend(o located, ref map[string]any, at ...any) {
	name := tree.Text(ref["name"])
	service, ok := w.byID[id{"Service", o.Namespace, name}]
	if !ok {
		f := o.at("ingress", append(at, "name")...)
		f.Message, f.DidYouMean = fmt.Sprintf("no Service %q in namespace %s", name, o.Namespace), typed.Closest(name, w.names("Service", o.Namespace))
		w.report(f)
		return
	}
	found := false
	tree.Each(tree.At(service.Content, "spec", "ports"), func(_ int, p map[string]any) { found = found || p["port"] == ref["port"] })
	if !found {
		f := o.at("ingress", append(at, "port")...)
		f.Message = service.ref() + " has no such port"
		if ref["port"] != nil {
			f.Found = fmt.Sprint(ref["port"])
		}
		f.Hint = "ingress: port names a port of the app"
		w.report(f)
	}
}

// checkAnnotations: what controllers of Ingresses take from annotations, a route has
// in fields, or its controller has in objects of its own.
func (w *world) checkAnnotations(o located) {
	for _, name := range sortedKeys(tree.Map(tree.At(o.Content, "metadata", "annotations"))) {
		prefix, option, _ := strings.Cut(name, "/")
		if prefix != "nginx.ingress.kubernetes.io" && prefix != "traefik.ingress.kubernetes.io" && name != "kubernetes.io/ingress.class" {
			continue
		}
		f := o.at("ingress", "metadata", "annotations", name)
		f.Message = fmt.Sprintf("no controller reads %s: the site leads requests by the Gateway API", name)
		f.Hint = inPlaceOf(option)
		w.report(f)
	}
}

// inPlaceOf says what to write in place of an annotation of an Ingress.
func inPlaceOf(option string) string {
	if in, ok := nginxOptions()[option]; ok {
		return in.gateway
	}
	for _, known := range []struct{ prefix, hint string }{
		{"service.serversscheme", `service: appProtocols: {http: "kubernetes.io/h2c"}`},
		{"router.tls", "a listener for HTTPS: tls of the app, with site: gateway: listenerSets: true, or at the Gateway"},
		{"router.entrypoints", "the listener: site: gateway: listener"},
		{"router.middlewares", "a filter ExtensionRef of a route in extraObjects, with the same Middleware"},
		{"ingress.class", "site: gateway names the Gateway"},
	} {
		if strings.HasPrefix(option, known.prefix) {
			return known.hint
		}
	}
	return "leave it out: a policy or a filter of the Gateway's controller, in extraObjects, takes its place"
}
