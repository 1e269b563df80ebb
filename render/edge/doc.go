// Package edge writes the nginx and keepalived files of the hosts in front of a
// cluster: nginx passes the API server on (L4) and the domain of the site to the
// ingress controller (L7), keepalived moves the virtual address between hosts.
//
// A Config goes in, files come out; the same Config gives the same bytes. The
// package knows neither CUE nor a cluster, and it changes no host: a script per
// host installs the files, Compare looks at files fetched from one, Probe asks the
// hosts whether nginx answers.
package edge
