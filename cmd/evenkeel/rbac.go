package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/rbac"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type rbacOptions struct {
	mode    string
	account string
	subject string
	anyName bool
	offline bool
}

func newRBACCmd(g *global) *cobra.Command {
	opts := &rbacOptions{}
	cmd := &cobra.Command{
		Use:   "rbac ENV",
		Short: "Print the least rights for an environment, as manifests",
		Long: `Print roles and bindings with the rights that an environment needs, and no
others: no wildcards, objects by name where RBAC knows names. The rights follow
from what the environment renders, and from what it has deployed and no longer
renders, which is asked of the cluster; with --offline from the rendering alone.

The modes, each with the rights of those before it:
  diff       get and list, for: diff --list-only
  verify     patch and create: RBAC cannot tell a dry-run from a write
  apply      delete, the lock, the revisions, what tells why pods are not healthy
  reconcile  watch, the leader's Lease, Events

An app that is new to the environment needs new rights, because its objects are
named. --any-name leaves the names out in namespaces. No mode may delete
Namespaces, definitions or volumes, or make the namespaces that the rights stand
in: those that are not there yet are printed, too.

Nobody may grant what he does not hold. So the roles that an environment renders
are held (in a role of their own, named -grants), which gives no more than they
do; the verbs bind and escalate, on named roles, are left for roles that others
make, for wildcards and for aggregated roles.

Without --service-account and --subject the rights go to a ServiceAccount of the
environment's namespace, named like the roles.`,
		Example: `  evenkeel rbac prod --mode diff | kubectl apply -f -
  evenkeel rbac prod --mode apply --service-account ci/deployer
  evenkeel rbac prod --mode verify --subject Group:reviewers
  evenkeel rbac prod --mode reconcile --subject ServiceAccount:infra/evenkeel --offline`,
		Args:              usageArgs(cobra.ExactArgs(1), "name one environment: evenkeel rbac ENV"),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "yaml", "json")
	f := cmd.Flags()
	f.StringVar(&opts.mode, "mode", string(rbac.Diff), "what the rights are for: diff, verify, apply or reconcile")
	f.StringVar(&opts.account, "service-account", "", "print this ServiceAccount, as NAMESPACE/NAME, and bind the rights to it")
	f.StringVar(&opts.subject, "subject", "", "bind the rights to somebody who is there: ServiceAccount:NAMESPACE/NAME, User:NAME or Group:NAME")
	f.BoolVar(&opts.anyName, "any-name", false, "leave the names of objects in namespaces out")
	f.BoolVar(&opts.offline, "offline", false, "ask no cluster: what was deployed and is no longer rendered is left out")
	cmd.MarkFlagsMutuallyExclusive("service-account", "subject")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runRBAC(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runRBAC(ctx context.Context, g *global, opts *rbacOptions, args []string) error {
	mode := rbac.Mode(opts.mode)
	switch mode {
	case rbac.Diff, rbac.Verify, rbac.Apply, rbac.Reconcile:
	default:
		return &hint.Error{Err: fmt.Errorf("--mode %q is not known", opts.mode), Hint: "use diff, verify, apply or reconcile"}
	}
	envs, err := g.renderAll(ctx, &selection{}, args)
	if err != nil {
		return err
	}
	env := envs[0]
	rights := rbac.Options{Mode: mode, AnyName: opts.anyName}
	if rights.Subject, err = opts.whom(env); err != nil {
		return err
	}
	rights.Account = opts.subject == ""
	var plan *apply.Plan
	if !opts.offline {
		cluster, err := g.cluster(env.Cluster)
		if err != nil {
			return err
		}
		if plan, err = g.plan(ctx, cluster, asIfOpen(env), apply.PlanOptions{ListOnly: true}); err != nil {
			return fmt.Errorf("env %s: %w", env.Name, err)
		}
	}
	result, err := rbac.New(env, plan, rights)
	if err != nil {
		return err
	}
	for _, note := range result.Notes {
		fmt.Fprintf(g.err, "env %s: %s\n", env.Name, note)
	}
	out := schema.Unit{Name: "rbac"}
	for _, o := range result.Objects {
		out.Objects = append(out.Objects, schema.Object{Unstructured: o})
	}
	return writeManifests(g, "", &schema.Environment{Name: env.Name, Units: []schema.Unit{out}}, render.OutputOptions{})
}

// asIfOpen is an environment whose encrypted Secrets are taken as they are: which
// rights it needs does not depend on values, and takes no key.
func asIfOpen(env *schema.Environment) *schema.Environment {
	open := *env
	open.Units = slices.Clone(env.Units)
	for i := range open.Units {
		open.Units[i].Objects = slices.Clone(env.Units[i].Objects)
		for j := range open.Units[i].Objects {
			open.Units[i].Objects[j].Sealed = false
		}
	}
	return &open
}

// whom is who gets the rights.
func (o *rbacOptions) whom(env *schema.Environment) (rbacv1.Subject, error) {
	kind, name, ok := strings.Cut(o.subject, ":")
	switch {
	case o.account != "":
		kind, name = rbacv1.ServiceAccountKind, o.account
	case o.subject == "":
		kind, name = rbacv1.ServiceAccountKind, env.Namespace+"/"+schema.ParentName(env.Name)+"-"+o.mode
	case !ok || name == "":
		kind = ""
	}
	switch kind {
	case rbacv1.ServiceAccountKind:
		if ns, name, ok := strings.Cut(name, "/"); ok && ns != "" && name != "" {
			return rbacv1.Subject{Kind: kind, Namespace: ns, Name: name}, nil
		}
		return rbacv1.Subject{}, &hint.Error{Err: fmt.Errorf("the ServiceAccount %q has no namespace", name), Hint: "write NAMESPACE/NAME"}
	case rbacv1.UserKind, rbacv1.GroupKind:
		return rbacv1.Subject{Kind: kind, APIGroup: rbacv1.GroupName, Name: name}, nil
	}
	return rbacv1.Subject{}, &hint.Error{
		Err:  errors.New("--subject " + o.subject + ": unknown kind of subject"),
		Hint: "use ServiceAccount:NAMESPACE/NAME, User:NAME or Group:NAME",
	}
}
