package lint

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

//go:embed nginx-annotations.tsv
var nginxAnnotations string

// inPlace is what takes the place of an annotation of ingress-nginx.
type inPlace struct{ gateway, traefik string }

// nginxOptions are the annotations of ingress-nginx, without their prefix.
var nginxOptions = sync.OnceValue(func() map[string]inPlace { //nolint:gochecknoglobals // made once, and only read
	all := map[string]inPlace{}
	for line := range strings.Lines(nginxAnnotations) {
		if fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(fields) == 3 {
			all[fields[0]] = inPlace{gateway: fields[1], traefik: fields[2]}
		}
	}
	return all
})

const nginxPrefix = "nginx.ingress.kubernetes.io/"

// checkIngresses: class, path type and backend, and no path claimed twice.
func checkIngresses(w *world) {
	type claim struct{ class, host, path, pathType string }
	first := map[claim]located{}
	shares := map[string]map[string]bool{} // the Ingresses of a host
	for _, o := range w.byKind["Ingress"] {
		tree.Each(tree.At(o.Content, "spec", "rules"), func(_ int, rule map[string]any) {
			host := tree.Text(rule["host"])
			if shares[host] == nil {
				shares[host] = map[string]bool{}
			}
			shares[host][o.ref()] = true
		})
	}
	for _, o := range w.byKind["Ingress"] {
		spec := tree.Map(o.Content["spec"])
		if tree.Text(spec["ingressClassName"]) == "" && !annotation(o.Content, "kubernetes.io/ingress.class") {
			f := o.at("ingress", "spec", "ingressClassName")
			f.Warning = true
			f.Message = "missing: only a default class of the cluster would serve this Ingress"
			w.report(f)
		}
		w.checkBackend(o, tree.Map(spec["defaultBackend"]), "spec", "defaultBackend")
		w.checkNginx(o)
		tree.Each(spec["rules"], func(i int, rule map[string]any) {
			tree.Each(tree.At(rule["http"], "paths"), func(j int, path map[string]any) {
				at := []any{"spec", "rules", i, "http", "paths", j}
				if tree.Text(path["pathType"]) == "" {
					f := o.at("ingress", append(at, "pathType")...)
					f.Message, f.Expected = "missing", "Prefix, Exact or ImplementationSpecific"
					w.report(f)
				}
				w.checkBackend(o, tree.Map(path["backend"]), append(at, "backend")...)
				c := claim{tree.Text(spec["ingressClassName"]) + canaryMark(o), tree.Text(rule["host"]), tree.Text(path["path"]), tree.Text(path["pathType"])}
				if other, ok := first[c]; ok && c.host != "" && len(shares[c.host]) > 2 { // the host is meant for several
					f := o.at("ingress", append(at, "path")...)
					f.Message = fmt.Sprintf("unit %s has the path %s of this host too", other.unit.Name, c.path)
					w.report(f)
					return
				} else if ok && c.host != "" {
					f := o.at("ingress", "spec", "rules", i, "host")
					f.Message = fmt.Sprintf("%s%s is claimed by %s of unit %s too", c.host, c.path, other.ref(), other.unit.Name)
					w.report(f)
					return
				}
				first[c] = o
			})
		})
	}
}

// checkNginx: an annotation that is nearly one of ingress-nginx does nothing, and neither
// does one of its own on an Ingress of Traefik, which reads them with the class nginx alone.
func (w *world) checkNginx(o located) {
	known := nginxOptions()
	traefik := o.unit.App && tree.Text(tree.At(o.Content, "spec", "ingressClassName")) == "traefik"
	for _, name := range sortedKeys(tree.Map(tree.At(o.Content, "metadata", "annotations"))) {
		option, ok := strings.CutPrefix(name, nginxPrefix)
		if in, is := known[option]; ok && is {
			if traefik {
				f := o.at("ingress", "metadata", "annotations", name)
				f.Message, f.Hint = fmt.Sprintf("Traefik does not read %s at an Ingress of the class traefik", name), in.traefik
				w.report(f)
			}
			continue
		}
		near := typed.Closest(option, sortedKeys(known))
		if !ok || near == "" {
			continue
		}
		f := o.at("ingress", "metadata", "annotations", name)
		f.Warning = true
		f.Message, f.DidYouMean = "ingress-nginx reads no such annotation", nginxPrefix+near
		w.report(f)
	}
}

// canaryMark sets apart an Ingress of ingress-nginx that takes a share of the requests
// of another one, for the same host and path: it may have one beside it.
func canaryMark(o located) string {
	if tree.Text(tree.At(o.Content, "metadata", "annotations", nginxPrefix+"canary")) == "true" {
		return " canary"
	}
	return ""
}

func (w *world) checkBackend(o located, backend map[string]any, at ...any) {
	service := tree.Map(backend["service"])
	if service == nil {
		return
	}
	name := tree.Text(service["name"])
	target, ok := w.byID[id{"Service", o.Namespace, name}]
	if !ok {
		f := o.at("ingress", append(at, "service", "name")...)
		f.Message = fmt.Sprintf("no Service %q in namespace %s", name, o.Namespace)
		var names []string
		for _, s := range w.byKind["Service"] {
			if s.Namespace == o.Namespace {
				names = append(names, s.Name)
			}
		}
		f.DidYouMean = typed.Closest(name, names)
		w.report(f)
		return
	}
	port := tree.Map(service["port"])
	found := false
	tree.Each(tree.At(target.Content, "spec", "ports"), func(_ int, p map[string]any) {
		if number, ok := port["number"]; ok && p["port"] == number {
			found = true
		}
		if name := tree.Text(port["name"]); name != "" && tree.Text(p["name"]) == name {
			found = true
		}
	})
	if !found {
		f := o.at("ingress", append(at, "service", "port")...)
		f.Message = fmt.Sprintf("%s has no such port", target.ref())
		var has []string
		tree.Each(tree.At(target.Content, "spec", "ports"), func(_ int, p map[string]any) {
			if name := tree.Text(p["name"]); name != "" && port["number"] == nil {
				has = append(has, name)
			} else {
				has = append(has, fmt.Sprint(p["port"]))
			}
		})
		if len(has) > 0 {
			f.Expected = strings.Join(has, " or ")
		}
		if number, ok := port["number"]; ok {
			f.Found = fmt.Sprint(number)
		} else {
			f.Found = quote(tree.Text(port["name"]))
		}
		w.report(f)
	}
}

// checkDomains: a host that is nearly in the site's domain was meant to be in it.
func checkDomains(w *world) {
	domain := tree.Text(w.env.Site["domain"])
	for _, h := range hostNames(w) {
		meant := meantDomain(h.host, domain)
		if meant == "" {
			continue
		}
		f := h.object.at("host", h.path...)
		f.Warning = true
		f.Message, f.Found = "not in the site's domain, "+domain, quote(h.host)
		f.DidYouMean = meant
		w.report(f)
	}
}

// meantDomain is a host with the domain in place of one that is nearly the same, empty
// where there is none.
func meantDomain(name, domain string) string {
	host, labels := strings.Split(name, "."), strings.Count(domain, ".")+1
	if domain == "" || len(host) <= labels {
		return ""
	}
	end := strings.Join(host[len(host)-labels:], ".")
	if end == domain || typed.Closest(end, []string{domain}) == "" {
		return ""
	}
	return strings.Join(host[:len(host)-labels], ".") + "." + domain
}

// checkIngressFields: what says how an app is reached from outside needs a host.
func checkIngressFields(w *world) {
	for i := range w.env.Units {
		u := &w.env.Units[i]
		if !u.App || u.at("host") != nil {
			continue
		}
		for _, path := range []typed.Path{{"tls"}, {"ingress", "hosts"}, {"ingress", "class"}} {
			steps := make([]string, len(path))
			for j, step := range path {
				steps[j] = step.(string)
			}
			v := u.at(steps...)
			if list, ok := v.([]any); v == nil || ok && len(list) == 0 {
				continue
			}
			w.report(Finding{
				Rule: "ingress", Unit: u.Name, Path: path, Message: "without effect: an app without host has no Ingress",
				Hint: "give the app its host",
			})
		}
	}
}

// checkClasses: a class that is nearly one of those that the environments of the
// cluster make was meant to be that one.
func checkClasses(worlds []*world) {
	made := map[[2]string][]string{} // cluster and kind to names
	for _, w := range worlds {
		for _, kind := range []string{"PriorityClass", "StorageClass"} {
			at := [2]string{w.env.Cluster, kind}
			for _, o := range w.byKind[kind] {
				made[at] = append(made[at], o.Name)
			}
		}
	}
	for _, w := range worlds {
		check := func(o located, kind, name string, path ...any) {
			known := made[[2]string{w.env.Cluster, kind}]
			near := typed.Closest(name, known)
			declared := tree.Map(tree.Map(w.env.External)["priorityClasses"])[name] != nil || strings.HasPrefix(name, "system-")
			missing := kind == "PriorityClass" && o.unit.App && !declared && len(w.broken) == 0
			if name == "" || near == "" && !missing || slices.Contains(known, name) {
				return
			}
			f := o.at(RuleReference, path...)
			f.Warning = true
			f.Message, f.DidYouMean = fmt.Sprintf("no %s %q in the environments of this cluster", kind, name), near
			if near == "" {
				f.Hint = fmt.Sprintf("the server refuses pods of one that is not there; if others make it, declare it: external: priorityClasses: %q: {}", name)
			}
			w.report(f)
		}
		for _, p := range w.pods {
			check(p.located, "PriorityClass", tree.Text(p.spec()["priorityClassName"]), p.at("spec", "priorityClassName")...)
			tree.Each(tree.At(p.Content, "spec", "volumeClaimTemplates"), func(i int, v map[string]any) {
				check(p.located, "StorageClass", tree.Text(tree.At(v, "spec", "storageClassName")), "spec", "volumeClaimTemplates", i, "spec", "storageClassName")
			})
		}
		for _, o := range w.byKind["PersistentVolumeClaim"] {
			check(o, "StorageClass", tree.Text(tree.At(o.Content, "spec", "storageClassName")), "spec", "storageClassName")
		}
	}
}
