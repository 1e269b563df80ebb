package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Rollback is what an environment goes back to.
type Rollback struct {
	To *record.Revision
	// Hold is the rendered digest that must not be applied again until the
	// environment renders to another one: see ApplyOptions.Hold. It is empty where
	// To is what was on hold.
	Hold string
	// Gone is the number of the newest revision that was recorded, where it is not
	// there any more, and To is what was chosen without it.
	Gone int
}

// Rollback chooses the revision that an environment goes back to: the numbered
// one, or with 0 what was before: the newest revision where the last apply did not
// end, so that the cluster is between the two, else the newest that holds
// something else than what is applied. Nothing is written.
//
// What was rolled back from stays on hold when the environment goes back further:
// it is still what git says.
func (c *Cluster) Rollback(ctx context.Context, env *schema.Environment, number int) (*Rollback, error) {
	signer := c.Signer(env.Name, env.Namespace)
	history, err := c.HistoryBy(ctx, signer)
	if err != nil {
		return nil, err
	}
	if len(history) == 0 {
		return nil, fmt.Errorf("environment %s: %w", env.Name, record.ErrNoRevision)
	}
	parent, err := c.Parent(ctx, env)
	if err != nil {
		return nil, err
	}
	from, err := c.appliedLast(ctx, env, history[0])
	if err != nil {
		return nil, err
	}
	held, err := parent.Held(ctx, signer)
	if err != nil {
		return nil, err
	}
	gone := 0
	if number == 0 {
		newest, err := signer.Newest(ctx)
		if err != nil {
			return nil, err
		}
		if history[0].Number < newest {
			gone = newest
		}
		for _, r := range history {
			if r.Rendered != from && r.Rendered != held {
				number = r.Number
				break
			}
		}
	}
	if number == 0 {
		return nil, &hint.Refused{
			Reason: fmt.Sprintf("environment %s: no recorded revision holds anything but what is applied or on hold", env.Name),
			Hints:  []string{"evenkeel history " + env.Name + " lists the revisions, --to names one"},
		}
	}
	to, err := c.Revision(ctx, env.Name, env.Namespace, number)
	if err != nil {
		return nil, err
	}
	if held == "" {
		held = from
	}
	if to.Rendered == held {
		held = ""
	}
	return &Rollback{To: to, Hold: held, Gone: gone}, nil
}

// appliedLast is the digest of what was applied last: the newest revision's, or
// that of env where an apply of it began and did not end. An apply that failed is
// not recorded, but the cluster is no longer what the newest revision says.
func (c *Cluster) appliedLast(ctx context.Context, env *schema.Environment, newest record.Revision) (string, error) {
	state, err := c.LoadState(ctx, env, c.Reader(env))
	if err != nil {
		return "", err
	}
	rendered, err := mask.Digest(env, state.Key)
	if err != nil || rendered == newest.Rendered {
		return newest.Rendered, err
	}
	recorded, err := c.Revision(ctx, env.Name, env.Namespace, newest.Number)
	if err != nil {
		return "", err
	}
	plan, err := c.Plan(ctx, recorded.Restored(env), PlanOptions{})
	if err != nil {
		return "", err
	}
	if plan.Differs(false) {
		return rendered, nil
	}
	return newest.Rendered, nil
}

// Beyond names what the plan of a rollback writes that git does not say, and that
// a signature of the revision alone does not excuse: rights, objects of the whole
// cluster, and kinds and namespaces that neither git nor the signed set has. If
// the revision is not signed, it also names everything that someone with edit rights in
// the environment's namespace alone could not have written. Somebody must have seen these.
func (c *Cluster) Beyond(ctx context.Context, env *schema.Environment, b *Rollback, plan *Plan) ([]string, error) {
	known := record.ScopeOf(env)
	p := &record.Parent{Env: env, Live: plan.parent}
	signed, err := p.SignedBy(ctx, c.signerOf(env, plan))
	if err != nil {
		return nil, err
	}
	if signed {
		maps.Copy(known, p.Scope())
	}
	git := map[schema.ID]map[string]any{}
	for _, o := range env.Objects() {
		git[schema.IDOf(o.Unstructured)] = o.Object
	}
	var beyond []string
	if b.Gone > 0 {
		beyond = append(beyond, record.GoneNewest(env.Name, b.Gone))
	}
	for _, change := range plan.Changes {
		if change.desired == nil || !slices.Contains(writeActions(), change.Action) || managed.Equal(git[change.ID()], change.desired.Object) {
			continue
		}
		why := ""
		switch gk := change.GVK().GroupKind(); {
		case gk.Group == rbacv1.GroupName:
			why = "it grants rights"
		case change.Namespace == "":
			why = "it is of the whole cluster"
		case !known[record.Place{Kind: gk, Namespace: change.Namespace}]:
			why = "neither git nor a signed record has its kind in this namespace"
		case !b.To.Authenticated && (change.Namespace != env.Namespace || !managed.IsBuiltin(gk.Group)):
			why = "the revision is not signed"
		default:
			continue
		}
		beyond = append(beyond, fmt.Sprintf("%s would be %s: %s", change.Ref, change.Action, why))
	}
	return beyond, nil
}

// Code is what confirms a rollback of exactly this plan.
func (b *Rollback) Code(plan *Plan) (string, error) {
	code, err := record.HashOf(plan.Environment, b.To.Number, b.To.Sum, plan.Rendered, plan.Summary)
	return code[:min(len(code), 8)], err
}

// Options are apply options changed for the rollback: what is recorded with it is
// where the revision came from.
func (b *Rollback) Options(opts ApplyOptions) ApplyOptions {
	opts.Hold, opts.Release, opts.Back = b.Hold, b.Hold == "", true
	opts.Git = b.To.Git
	if !b.To.Secrets {
		opts.NoSecrets, opts.LeaveSecrets = true, true
	}
	return opts
}
