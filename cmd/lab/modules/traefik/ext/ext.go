// Package ext has the fields that Traefik leaves to its makers' other products: none.
// It is a module below Traefik's own, which no proxy has.
package ext

// HTTP are those of the routes of a provider.
type HTTP struct{}

// Router are those of a route.
type Router struct{}

// RouterIng are those of an annotation.
type RouterIng struct{}

// ToRouter makes the fields of a route of those of an annotation.
func (RouterIng) ToRouter() Router { return Router{} }
