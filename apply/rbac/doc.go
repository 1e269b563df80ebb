// Package rbac computes the least rights that somebody needs to compare, plan, apply
// or reconcile an environment, and writes them as manifests. What apply sends is
// written down there (apply.PlanningRights and its like); what is rendered, and what
// a plan found, decides about the rest. It asks no cluster.
package rbac
