package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/rights"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// MissingRights are the rights of a run that the caller lacks, for tests that take
// them away one by one.
func (c *Cluster) MissingRights(ctx context.Context, env *schema.Environment, plan *Plan, opts ApplyOptions) ([]string, error) {
	r := newRun(c, env, plan, opts)
	needed, err := r.needed(ctx)
	if err != nil {
		return nil, err
	}
	missing, err := rights.Missing(ctx, c.Client, needed)
	var texts []string
	for _, m := range missing {
		texts = append(texts, m.String())
	}
	return texts, err
}

// What somebody needs who forges records.

// PackRevision packs manifests as a revision does, with what its meta says of them.
func PackRevision(env *schema.Environment, healthy record.Pulled) (packed []byte, sum string, err error) {
	packed, err = record.Pack(env, true, healthy)
	return packed, record.SumOf(packed), err
}

// PackMembers packs members as the state does.
func PackMembers(members []schema.Ref) (string, error) { return record.PackMembers(members) }

// KeyName is the Secret with the key of an environment.
func KeyName(env, namespace string) string { return record.KeyName(env, namespace) }

// Unconfirmed are the places that a plan has not looked at.
func (p *Plan) Unconfirmed() []string { return p.unconfirmedNames() }

// Everything is all that a plan says, for tests that it does not change.
func (p *Plan) Everything() string {
	var all strings.Builder
	fmt.Fprintf(&all, "%+v\n%+v\n%v %v %v\n%+v\n", p.state, p.key, p.places, p.unconfirmed, p.generations, p.options)
	for _, c := range p.Changes {
		fmt.Fprintf(&all, "%+v %v %v\n", c, c.desired, c.live)
	}
	fmt.Fprintln(&all, p.Rendered, p.Summary, p.Warnings, p.Requests, p.Durations, p.Incomplete, p.parent, p.former)
	return all.String()
}
