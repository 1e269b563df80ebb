// Package handover gives rendered environments to engines that keep clusters
// level on their own: an OCI artifact as Flux reads it, and the objects that make
// Flux or Argo CD apply an environment. It knows no cluster.
package handover
