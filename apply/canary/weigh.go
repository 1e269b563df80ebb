package canary

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// A Service knows no weights, a route does. So where the routes of an app are to share
// out requests, the pods of its canary are not behind the Service of the app: one of
// their labels has another value. They have a Service of their own, and the routes lead
// to both by weights. A request in proportion to pods would be too many, so the order is:
// the pods come up where nobody calls them, and the route leads to them in a later
// stage, once they are healthy. Back, the route comes first, and then the pods go.

// afterwards is the stage of what leads to the canary.
const afterwards = 1

// settles is for how many seconds a pod has to be ready before a route leads to it: what
// routes requests learns of its address by then.
const settles = 5

// mostWeight is what the weight of a Service may be (gateway.networking.k8s.io, BackendRef).
const mostWeight = 1_000_000

// routesOf are the routes that lead to a Deployment by weights, and did so before.
func routesOf(now, was *schema.Unit, deployment *schema.Object) []schema.CanaryRoute {
	if now.Canary == nil {
		return nil
	}
	var all []schema.CanaryRoute
	for _, r := range now.Canary.Routes {
		service := named(was, "Service", r.Service)
		if r.Deployment != deployment.GetName() || service == nil || named(was, r.Kind, r.Name) == nil {
			continue
		}
		if selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector"); selector[r.Label] != "" {
			all = append(all, r)
		}
	}
	return all
}

// weights are of so many requests those of the canary, and all: a pod of it takes as many
// of a hundred that a pod of the app takes.
func weights(weight, pods, replicas int) (canary, all int64) {
	canary = min(int64(weight)*int64(pods), mostWeight)
	return canary, canary + min(100*int64(max(replicas, 1)), mostWeight)
}

// weighed puts the canary of a Deployment behind routes by weights.
func weighed(unit, now *schema.Unit, o, deployment *schema.Object, routes []schema.CanaryRoute, pods, replicas int) error {
	if err := apart(o, deployment, routes); err != nil {
		return err
	}
	canary, all := weights(now.Canary.Weight, pods, replicas)
	done := map[string]bool{}
	for _, r := range routes {
		if !done[r.Service] {
			done[r.Service] = true
			unit.Objects = append(unit.Objects, serviceOf(named(unit, "Service", r.Service), o.GetName()))
		}
		i := slices.IndexFunc(unit.Objects, func(o schema.Object) bool { return o.GetKind() == r.Kind && o.GetName() == r.Name })
		if r.Kind == "Ingress" {
			unit.Objects = append(unit.Objects, ingressRoute(&unit.Objects[i], o.GetName(), r.Service, all-canary, canary))
			continue
		}
		unit.Objects[i] = split(&unit.Objects[i], r.Service, all-canary, canary)
	}
	unit.Objects = append(unit.Objects, policiesOf(now, o)...)
	return nil
}

// apart takes the pods of a canary out of the Services of the app, and has one at least
// ready at all times.
func apart(o, deployment *schema.Object, routes []schema.CanaryRoute) error {
	deployment.Recreate = true // a selector cannot be changed, and a weight can
	for _, r := range routes {
		for _, path := range [][]string{{"spec", "selector", "matchLabels"}, {"spec", "template", "metadata", "labels"}} {
			all, _, err := unstructured.NestedStringMap(deployment.Object, path...)
			if err != nil {
				return err
			}
			if was, _, _ := unstructured.NestedString(o.Object, append(slices.Clone(path), r.Label)...); was != "" {
				all[r.Label] = was + suffix
			}
			if err := unstructured.SetNestedStringMap(deployment.Object, all, path...); err != nil {
				return err
			}
		}
	}
	ready, _, _ := unstructured.NestedInt64(deployment.Object, "spec", "minReadySeconds")
	if err := unstructured.SetNestedField(deployment.Object, max(ready, settles), "spec", "minReadySeconds"); err != nil {
		return err
	}
	strategy := map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": int64(1), "maxUnavailable": int64(0)}}
	return unstructured.SetNestedMap(deployment.Object, strategy, "spec", "strategy")
}

// serviceOf is the Service of a canary: the ports of the app's, inside the cluster.
func serviceOf(o *schema.Object, app string) schema.Object {
	service := marked(renamed(o), app)
	var ports []any
	was, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
	for _, item := range was {
		if port, ok := item.(map[string]any); ok {
			delete(port, "nodePort")
			ports = append(ports, port)
		}
	}
	service.SetAnnotations(nil)
	service.Object["spec"] = map[string]any{"type": "ClusterIP", "selector": map[string]any{Label: app}, "ports": ports}
	return service
}

// marked is an object of the canary of an app.
func marked(o schema.Object, app string) schema.Object {
	all := o.GetLabels()
	all[Label] = app
	o.SetLabels(all)
	return o
}

// split is a route of the Gateway API whose rules lead to a Service and to that of the
// canary, where they led to the Service alone.
func split(o *schema.Object, service string, app, canary int64) schema.Object {
	route := *o
	route.Unstructured, route.Stage = o.DeepCopy(), afterwards
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	for _, item := range rules {
		rule, _ := item.(map[string]any)
		refs, _ := rule["backendRefs"].([]any)
		if len(refs) != 1 {
			continue
		}
		ref, _ := refs[0].(map[string]any)
		if ref["name"] != service {
			continue
		}
		second := runtime.DeepCopyJSON(ref)
		second["name"] = service + suffix
		ref["weight"], second["weight"] = app, canary
		rule["backendRefs"] = []any{ref, second}
	}
	if rules != nil {
		route.Object["spec"].(map[string]any)["rules"] = rules
	}
	return route
}

// annotated is what annotations of Traefik at an Ingress begin with.
const annotated = "traefik.ingress.kubernetes.io/router."

// ingressRoute leads what an Ingress leads to a Service to that of the canary, too. Its
// rules are those that Traefik makes of the Ingress, to the letter: of rules that are
// equally long, that of an IngressRoute goes first where --providers.precedence says so,
// which vet asks for. While it is not there, or names what Traefik does not know yet, the Ingress goes on.
func ingressRoute(o *schema.Object, app, service string, weight, canary int64) schema.Object {
	route := marked(renamed(o), app)
	route.Stage = afterwards
	route.SetAnnotations(nil)
	given := o.GetAnnotations()
	spec := map[string]any{"routes": routesIn(o, service, weight, canary)}
	if points := given[annotated+"entrypoints"]; points != "" {
		var all []any
		for point := range strings.SplitSeq(points, ",") {
			all = append(all, strings.TrimSpace(point))
		}
		spec["entryPoints"] = all
	}
	if given[annotated+"tls"] == "true" {
		spec["tls"] = map[string]any{}
	}
	route.Object = map[string]any{"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": route.Object["metadata"], "spec": spec}
	return route
}

func routesIn(o *schema.Object, service string, weight, canary int64) []any {
	given := o.GetAnnotations()
	var routes []any
	eachPath(o, func(host string, path map[string]any) {
		backend, _ := path["backend"].(map[string]any)
		of, _ := backend["service"].(map[string]any)
		if of["name"] != service {
			return
		}
		number, _ := of["port"].(map[string]any)
		port := number["number"]
		if name := number["name"]; name != nil {
			port = name
		}
		route := map[string]any{"kind": "Rule", "match": match(host, path, given[annotated+"pathmatcher"]), "services": []any{
			map[string]any{"name": service, "port": port, "weight": weight},
			map[string]any{"name": service + suffix, "port": port, "weight": canary},
		}}
		if n, err := strconv.ParseInt(given[annotated+"priority"], 10, 64); err == nil {
			route["priority"] = n
		}
		if names := given[annotated+"middlewares"]; names != "" {
			var all []any
			for name := range strings.SplitSeq(names, ",") {
				name = strings.TrimSuffix(strings.TrimSpace(name), "@kubernetescrd")
				all = append(all, map[string]any{"name": strings.TrimPrefix(name, o.GetNamespace()+"-")})
			}
			route["middlewares"] = all
		}
		routes = append(routes, route)
	})
	return routes
}

func eachPath(o *schema.Object, do func(host string, path map[string]any)) {
	rules, _, _ := unstructured.NestedSlice(o.Object, "spec", "rules")
	for _, item := range rules {
		rule, _ := item.(map[string]any)
		host, _ := rule["host"].(string)
		http, _ := rule["http"].(map[string]any)
		paths, _ := http["paths"].([]any)
		for _, item := range paths {
			if path, ok := item.(map[string]any); ok {
				do(host, path)
			}
		}
	}
}

// match is the rule of a path as Traefik's provider of Ingresses makes it
// (pkg/provider/kubernetes/ingress, loadRouter).
func match(host string, path map[string]any, matcher string) string {
	var parts []string
	if host != "" {
		parts = append(parts, fmt.Sprintf("Host(%q)", host))
	}
	switch {
	case path["pathType"] == "Exact":
		matcher = "Path"
	case path["pathType"] == "Prefix" || matcher == "":
		matcher = "PathPrefix"
	}
	if text, _ := path["path"].(string); text != "" {
		parts = append(parts, fmt.Sprintf("%s(%q)", matcher, text))
	}
	return strings.Join(parts, " && ")
}

// policiesOf are the NetworkPolicies of a Deployment's pods, for the pods of its canary.
func policiesOf(now *schema.Unit, o *schema.Object) []schema.Object {
	all, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
	var own []schema.Object
	for i := range now.Objects {
		policy := &now.Objects[i]
		if policy.GetKind() != "NetworkPolicy" || policy.GroupVersionKind().Group != "networking.k8s.io" {
			continue
		}
		of, _, _ := unstructured.NestedMap(policy.Object, "spec", "podSelector")
		asked := &metav1.LabelSelector{}
		if runtime.DefaultUnstructuredConverter.FromUnstructured(of, asked) != nil {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(asked)
		if err != nil || !selector.Matches(labels.Set(all)) {
			continue
		}
		second := marked(renamed(policy), o.GetName())
		if unstructured.SetNestedMap(second.Object, map[string]any{"matchLabels": map[string]any{Label: o.GetName()}}, "spec", "podSelector") == nil {
			own = append(own, second)
		}
	}
	return own
}

func named(unit *schema.Unit, kind, name string) *schema.Object {
	for i := range unit.Objects {
		if o := &unit.Objects[i]; o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	return nil
}

// possibleWeighed are the objects that weights need, for who gives rights.
func possibleWeighed(u *schema.Unit) []schema.Object {
	var all []schema.Object
	done := map[string]bool{}
	for _, r := range u.Canary.Routes {
		deployment, service, route := named(u, "Deployment", r.Deployment), named(u, "Service", r.Service), named(u, r.Kind, r.Name)
		if deployment == nil || service == nil || route == nil {
			continue
		}
		if !done[r.Service] {
			done[r.Service] = true
			all = append(all, serviceOf(service, r.Deployment))
		}
		if !done["policies of "+r.Deployment] {
			done["policies of "+r.Deployment] = true
			all = append(all, policiesOf(u, deployment)...)
		}
		if r.Kind == "Ingress" {
			all = append(all, ingressRoute(route, r.Deployment, r.Service, 100, 1))
		}
	}
	return all
}
