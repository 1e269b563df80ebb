package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// nameLabel is the label that Services of the schema find their pods by.
const nameLabel = "app.kubernetes.io/name"

// shared are the routes that lead to a Deployment by way of a Service of the unit and can
// share out requests by weights, or why those that lead to it cannot.
func (u *unit) shared(deployment *object) (all []schema.CanaryRoute, why string) {
	if deployment.GetKind() != "Deployment" {
		return nil, ""
	}
	pods := tree.Map(tree.At(deployment.Object, "spec", "template", "metadata", "labels"))
	for _, service := range u.objs {
		selector := tree.Map(tree.At(service.Object, "spec", "selector"))
		if service.GetKind() != "Service" || len(selector) == 0 || service.GetNamespace() != deployment.GetNamespace() {
			continue
		}
		keys := slices.Sorted(maps.Keys(selector))
		if slices.ContainsFunc(keys, func(key string) bool { return selector[key] != pods[key] }) {
			continue
		}
		label := keys[0]
		if selector[nameLabel] != nil {
			label = nameLabel
		}
		for _, o := range u.objs {
			leads, not := sharesOut(o, service)
			switch {
			case not != "":
				why = not
			case leads:
				all = append(all, schema.CanaryRoute{Deployment: deployment.GetName(), Service: service.GetName(), Label: label, Kind: o.GetKind(), Name: o.GetName()})
			}
		}
	}
	return all, why
}

// sharesOut reports whether an object leads requests to a Service, and why it cannot lead
// them to two by weights where it does.
func sharesOut(o, service *object) (leads bool, why string) {
	switch o.GetKind() {
	case "HTTPRoute", "GRPCRoute":
		return gatewayShares(o, service)
	case "Ingress":
		return traefikShares(o, service)
	}
	return false, ""
}

func gatewayShares(o, service *object) (leads bool, why string) {
	tree.Each(tree.At(o.Object, "spec", "rules"), func(_ int, rule map[string]any) {
		refs := tree.List(rule["backendRefs"])
		for _, item := range refs {
			ref := tree.Map(item)
			if ref["name"] != service.GetName() {
				continue
			}
			if len(refs) > 1 {
				why = fmt.Sprintf("a rule of %s leads to several Services already", o.ref())
			}
			leads = true
		}
	})
	return leads, why
}

const (
	traefikAnnotation = "traefik.ingress.kubernetes.io/"
	ownMiddleware     = "@kubernetescrd"
)

// sharedAnnotations are those of an Ingress of Traefik that an IngressRoute has a field
// for (package apply/canary writes it).
func sharedAnnotations() []string {
	return []string{"router.entrypoints", "router.middlewares", "router.pathmatcher", "router.priority", "router.tls"}
}

func traefikShares(o, service *object) (leads bool, why string) {
	tree.Each(tree.At(o.Object, "spec", "rules"), func(_ int, rule map[string]any) {
		tree.Each(tree.At(rule, "http", "paths"), func(_ int, path map[string]any) {
			leads = leads || tree.At(path, "backend", "service", "name") == service.GetName()
		})
	})
	if !leads {
		return false, ""
	}
	if class := tree.Text(tree.At(o.Object, "spec", "ingressClassName")); !strings.Contains(class, "traefik") {
		return true, fmt.Sprintf("%s is of the class %s, and Traefik alone has weights beside an Ingress", o.ref(), class)
	}
	for _, name := range slices.Sorted(maps.Keys(service.GetAnnotations())) {
		if strings.HasPrefix(name, traefikAnnotation) {
			return true, fmt.Sprintf("the annotation %s of %s has no counterpart where Traefik shares out requests", name, service.ref())
		}
	}
	given := o.GetAnnotations()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if short, ours := strings.CutPrefix(name, traefikAnnotation); ours && !slices.Contains(sharedAnnotations(), short) {
			return true, fmt.Sprintf("the annotation %s of %s has no counterpart where Traefik shares out requests", name, o.ref())
		}
	}
	if names := given[traefikAnnotation+"router.middlewares"]; names != "" {
		for name := range strings.SplitSeq(names, ",") {
			name = strings.TrimSpace(name)
			if !strings.HasPrefix(name, o.GetNamespace()+"-") || !strings.HasSuffix(name, ownMiddleware) {
				return true, fmt.Sprintf("the middleware %s of %s is not of its namespace", name, o.ref())
			}
		}
	}
	return true, ""
}
