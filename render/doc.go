// Package render turns the CUE package of an environment into the objects that
// a cluster is to hold. It knows CUE, Helm charts, kustomize and the types of
// Kubernetes; it knows no cluster and reads nothing from the network.
//
// The path of the data:
//
//	name -> load -> evaluate -> decode -> chart, kustomize (where a unit asks)
//	     -> patch -> normalise -> check -> *schema.Environment
//
// What comes out is what is applied, byte for byte: the same input gives the
// same output on every machine.
package render
