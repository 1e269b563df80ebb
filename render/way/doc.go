// Package way is one model of how a request travels through what was rendered: from
// the name in its URL by the hosts in front of a cluster and the ingress controller
// to a Service, its pods and the app, and from there to what the app calls. It knows
// neither CUE nor a cluster and prints nothing.
//
//	environments of one cluster -> New -> Model -> Trace, Table, Compare, Graph
//
// Each hop names what decides it and where that stands in the source. A hop that
// would not let the request on has a Break: why, and what to change. Routes are
// chosen as their controller does: rules and priorities of Traefik are those of its
// own providers (pkg/provider/kubernetes and pkg/muxer of v3.6), those of
// ingress-nginx are the ones that it documents.
package way
