package way

import (
	"cmp"
	"slices"
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
		return cmp.Or(b.host-a.host, cmp.Compare(b.priority, a.priority), b.length-a.length, rank(b)-rank(a))
	})
	for _, one := range taken {
		switch {
		case found.router != nil:
			if before(found.router, one) == 0 && one.match(r, false) && one.leftOut == nil && m.missing(c, one) == nil && one.object != found.router.object {
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

func before(a, b *router) int {
	return cmp.Or(a.host-b.host, a.priority-b.priority, a.length-b.length, rank(a)-rank(b))
}

// open says whether a router listens on the entry point, to such connections.
func (r *router) open(c *controller, e *entryPoint, secure bool) bool {
	if c.kind != traefik || e == nil {
		return true
	}
	if secure != (r.tls || e.tls) {
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
