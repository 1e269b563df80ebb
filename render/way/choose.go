package way

import (
	"cmp"
	"slices"
	"strings"
)

// choice is what a controller does with a request.
type choice struct {
	router *router
	// leftOut are routes that would come first, or that alone would take the
	// request, and that the controller does not take: something they name is not
	// there.
	leftOut []*router
	// tied would take the request just as well: which of them does is left to chance.
	tied []*router
	// conditional come first for requests with certain headers, methods or senders.
	conditional []*router
}

// choose finds the route for a request on an entry point. secure says whether the
// connection to the controller is one of TLS.
func (m *Model) choose(c *controller, e *entryPoint, r request, secure bool) choice {
	var found choice
	var taken []*router
	for _, one := range c.routers {
		if !one.open(c, e, secure) || !one.match(r, true) {
			continue
		}
		taken = append(taken, one)
	}
	slices.SortStableFunc(taken, func(a, b *router) int {
		return c.order(b, a)
	})
	for _, one := range taken {
		switch {
		case found.router != nil:
			if c.order(found.router, one) == 0 && one.match(r, false) && one.leftOut == nil && m.missing(c, one) == nil && one.object != found.router.object {
				found.tied = append(found.tied, one)
			}
			if found.router.host > one.host {
				return found // ingress-nginx looks at the paths of one host alone
			}
		case !one.match(r, false):
			found.conditional = append(found.conditional, one)
		case one.leftOut != nil || m.missing(c, one) != nil:
			found.leftOut = append(found.leftOut, one)
		default:
			found.router = one
		}
	}
	return found
}

func rank(r *router) int {
	if r.exact {
		return 1
	}
	return 0
}

// order is above 0 where a comes before b, and 0 where chance decides.
func (c *controller) order(a, b *router) int {
	return cmp.Or(a.host-b.host, cmp.Compare(a.priority, b.priority), c.precedence(a)-c.precedence(b), a.length-b.length, rank(a)-rank(b))
}

// precedence orders equal routes of several providers where Traefik is told an order, from
// v3.7 on. The order that it documents for when it is told none is not in force: seen with
// v3.7.13.
func (c *controller) precedence(r *router) int {
	given := c.options["providers.precedence"]
	if c.kind != traefik || given == "" || c.before(7) {
		return 0
	}
	names := strings.Split(strings.ToLower(given), ",")
	slices.Reverse(names)
	return slices.Index(names, strings.TrimSuffix(r.provider, "ingress"))
}

// open says whether a router listens on the entry point, to such connections.
func (r *router) open(c *controller, e *entryPoint, secure bool) bool {
	if c.kind != traefik || e == nil {
		return true
	}
	if secure != (r.tls || e.tls) || r.plain && e.tls {
		return false
	}
	if len(r.points) == 0 {
		return !e.notDefault
	}
	return slices.ContainsFunc(r.points, func(name string) bool {
		own := c.named(name)
		return own != nil && own.name == e.name
	})
}

// missing is what a route names and is not there, where Traefik then leaves the
// route out. ingress-nginx answers 503 instead.
func (m *Model) missing(c *controller, r *router) *Break {
	for _, ref := range r.middlewares {
		if _, _, broken := m.middleware(r.object, ref); broken != nil {
			return broken
		}
	}
	if c.kind != traefik || slices.Contains(routeKinds(), r.object.Kind) {
		return nil
	}
	for _, b := range r.backends {
		if _, _, broken := m.service(b); broken != nil {
			return broken
		}
	}
	return nil
}
