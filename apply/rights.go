package apply

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-428f4edd/evenkeel/apply/rights"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// needs are the rights that requests need. The guard of an apply asks for those
// of one run, Rights prints those of all runs: what is sent stands here once.
type needs []rights.Right

func (n *needs) add(group, resource, namespace, name string, verbs ...string) {
	for _, verb := range verbs {
		*n = append(*n, rights.Right{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name})
	}
}

// planning is what a plan reads besides the members of the environment: the
// identity of the cluster, the parent, and what is kept for plans.
func (n *needs) planning(env *schema.Environment) {
	n.add("", "namespaces", "", metav1.NamespaceSystem, "get")
	n.add("", "configmaps", env.Namespace, schema.ParentName(env.Name), "get")
	n.add("", "secrets", env.Namespace, stateName(env.Name), "get")
	if env.Was != "" {
		n.add("", "configmaps", env.Namespace, schema.ParentName(env.Was), "get")
	}
	n.external(env)
}

// external is what it takes to look for what others make.
func (n *needs) external(env *schema.Environment) {
	for _, ext := range env.External {
		n.add("", externalResource(ext.Kind), ext.Namespace, ext.Name, "get")
	}
}

// locking is what the lock of an environment needs, and the look at the parent
// under it. An object that is not there cannot be named by who creates it.
func (n *needs) locking(env *schema.Environment) {
	n.add(coordinationv1.GroupName, "leases", env.Namespace, schema.ParentName(env.Name), "get", "update")
	n.add(coordinationv1.GroupName, "leases", env.Namespace, "", "create")
	n.add("", "configmaps", env.Namespace, schema.ParentName(env.Name), "get")
}

// recording is what widening and narrowing the parent and recording a revision
// need, and the key that they are signed with. The Secrets of revisions are
// numbered, so none of them can be named.
func (n *needs) recording(env *schema.Environment) {
	n.add("", "configmaps", env.Namespace, "", "create")
	n.add("", "configmaps", env.Namespace, schema.ParentName(env.Name), "update")
	n.add("", "secrets", env.Namespace, "", "get", "list", "create", "patch", "delete")
	n.add("", "secrets", keyNamespace, keyName(env.Name, env.Namespace), "get", "create", "patch")
	if env.Was != "" {
		n.add("", "configmaps", env.Namespace, schema.ParentName(env.Was), "delete")
		n.add("", "secrets", keyNamespace, keyName(env.Was, env.Namespace), "get")
		n.add(coordinationv1.GroupName, "leases", env.Namespace, schema.ParentName(env.Was), "delete")
	}
}

// leading is what the election of a reconciler needs, in the namespace of its pods,
// and what it tells on the parent.
func (n *needs) leading(env *schema.Environment, namespace string) {
	n.add(coordinationv1.GroupName, "leases", namespace, leaderLease, "get", "update")
	n.add(coordinationv1.GroupName, "leases", namespace, "", "create")
	n.add("", "events", env.Namespace, "", "create")
}

// leaderLease is the Lease by which replicas elect the one that reconciles.
const leaderLease = schema.Manager + "-reconcile"

// verbs are what an action sends. Every conflict is answered by reading again.
func verbs(action Action) []string {
	switch action {
	case Created, UnverifiedCreated, Terminating:
		return []string{"get", "patch", "create"}
	case Deleted:
		return []string{"get", "delete"}
	case Recreated:
		return []string{"get", "patch", "create", "delete"}
	}
	return []string{"get", "patch"}
}
