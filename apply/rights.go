package apply

import (
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/rights"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// What requests need stands here once: the guard of an apply asks for the rights of
// one run, package rbac prints those of all runs.

// PlanningRights are for what a plan reads besides the members of the environment: the
// identity of the cluster, the parent, and what is kept for plans.
func PlanningRights(env *schema.Environment) rights.Needs {
	var n rights.Needs
	n.Add("", "namespaces", "", metav1.NamespaceSystem, "get")
	n.Add("", "configmaps", env.Namespace, schema.ParentName(env.Name), "get")
	n.Add("", "secrets", env.Namespace, record.StateName(env.Name), "get")
	if env.Was != "" {
		n.Add("", "configmaps", env.Namespace, schema.ParentName(env.Was), "get")
	}
	return append(n, externalRights(env)...)
}

// externalRights are what it takes to look for what others make.
func externalRights(env *schema.Environment) rights.Needs {
	var n rights.Needs
	for _, ext := range env.External {
		n.Add("", externalResource(ext.Kind), ext.Namespace, ext.Name, "get")
	}
	return n
}

// LockingRights are what the lock of an environment needs, and the look at the
// parent under it. An object that is not there cannot be named by who creates it.
func LockingRights(env *schema.Environment) rights.Needs {
	var n rights.Needs
	n.Add(coordinationv1.GroupName, "leases", env.Namespace, schema.ParentName(env.Name), "get", "update")
	n.Add(coordinationv1.GroupName, "leases", env.Namespace, "", "create")
	n.Add("", "configmaps", env.Namespace, schema.ParentName(env.Name), "get")
	return n
}

// RecordingRights are what widening and narrowing the parent and recording a revision
// need, and the key that they are signed with. The Secrets of revisions are
// numbered, so none of them can be named.
func RecordingRights(env *schema.Environment) rights.Needs {
	var n rights.Needs
	n.Add("", "configmaps", env.Namespace, "", "create")
	n.Add("", "configmaps", env.Namespace, schema.ParentName(env.Name), "update")
	n.Add("", "secrets", env.Namespace, "", "get", "list", "create", "patch", "delete")
	n.Add("", "secrets", record.KeyNamespace, record.KeyName(env.Name, env.Namespace), "get", "create", "patch")
	if env.Was != "" {
		n.Add("", "configmaps", env.Namespace, schema.ParentName(env.Was), "delete")
		n.Add("", "secrets", record.KeyNamespace, record.KeyName(env.Was, env.Namespace), "get")
		n.Add(coordinationv1.GroupName, "leases", env.Namespace, schema.ParentName(env.Was), "delete")
	}
	return n
}

// Verbs are what an action sends. Every conflict is answered by reading again.
func (a Action) Verbs() []string {
	switch a {
	case Created, UnverifiedCreated, Terminating:
		return []string{"get", "patch", "create"}
	case Deleted:
		return []string{"get", "delete"}
	case Recreated:
		return []string{"get", "patch", "create", "delete"}
	}
	return []string{"get", "patch"}
}

// lacks refuses for want of rights, and lists them.
func lacks(env *schema.Environment, missing []rights.Right) *hint.Refused {
	lines := make([]string, len(missing))
	for i, m := range missing {
		lines[i] = "  " + m.String()
	}
	return &hint.Refused{
		Reason: "these rights are missing:\n" + strings.Join(lines, "\n"),
		Hints:  []string{"evenkeel rbac " + env.Name + " prints the least rights that an apply needs"},
	}
}
