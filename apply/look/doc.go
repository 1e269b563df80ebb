// Package look tells what a cluster and a network say of single objects and hosts,
// for those who follow one request: health with causes, who wrote last, which
// endpoints are ready, what each pod does, where a name leads, and who answers.
//
//	objects of an environment -> Objects -> []Object -> Lines
//	a request and the addresses of its hops -> Send -> []Answer -> Made
//
// It writes nothing and asks little: the requests of `evenkeel status` for the units
// concerned, one LIST per namespace for endpoints, and one per workload for pods.
// Send connects to the addresses that it is given and to no other: a redirect is
// followed only to the same host, at the same address.
package look
