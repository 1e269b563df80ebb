// Package reconcile keeps environments level: one pass looks for drift, and where
// it may, corrects it. It knows no CUE and no git: rendered environments are given
// to it.
//
// The path of the data: *schema.Environment -> plan -> what is left alone, and why
// -> the rest is written -> Outcome.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Mode says what is done about drift.
type Mode string

// The modes.
const (
	ModeReport  Mode = "report"
	ModeCorrect Mode = "correct"
)

// Options of a pass. The zero value is not one: Mode is required.
type Options struct {
	Mode Mode
	// Plan bends the plan, Apply what is written in ModeCorrect.
	Plan  apply.PlanOptions
	Apply apply.ApplyOptions
	// NoWait does not wait for the health of what was corrected; new content is
	// always waited for.
	NoWait bool
	// Planner makes the plan; nil means Cluster.Plan.
	Planner planFunc
	// Confirm is asked, where it is not nil, before anything is made of content
	// that is not what was applied last: it may be older than that.
	Confirm func(context.Context) error
	// Descends tells, where it is not nil, whether the rendered commit descends from
	// another one. New content of a commit that does not descend from the one applied
	// last is refused.
	Descends func(commit string) bool
}

// Outcome is what a pass found and did: the plan as it was before, what of it was
// done, and what was left alone.
type Outcome struct {
	apply.Report
	Mode    Mode   `json:"mode"`
	Skipped []Skip `json:"skipped,omitempty"`

	applied bool      // new content was applied, or tried to be
	again   time.Time // when to look again: what a person scaled is to be as git says, a canary waits; else zero
}

// Pass looks at an environment once. In ModeCorrect it writes back what drifted
// from the content that was applied last, and applies as a whole what is new in
// git; what is on hold, locked, paused, fought over or refused is left alone and
// said. The errors are those of Cluster.Plan and Cluster.Apply; the outcome is
// there as soon as there is a plan.
func Pass(ctx context.Context, c *apply.Cluster, env *schema.Environment, opts Options) (*Outcome, error) {
	standing, err := c.Standing(ctx, env)
	if err != nil {
		return nil, err
	}
	k, err := c.Canaries(ctx, env, opts.Apply)
	if refused, held := errors.AsType[*hint.Refused](err); err != nil && (!held || refused.Guard != hint.GuardHold) {
		return nil, err
	}
	if k != nil && k.Begun {
		// The canary that runs is what is desired; its next step is not taken here.
		env, opts.Apply.Canary = k.Environment, k.State
	}
	planner := opts.Planner
	if planner == nil {
		planner = c.Plan
	}
	if k.Waits() && opts.Mode == ModeCorrect && opts.Plan.Objects == nil && len(opts.Plan.Units) == 0 {
		if failed := k.Fails(ctx); failed != nil {
			return aborted(ctx, c, k, planner, opts, failed)
		}
	}
	plan, err := planner(ctx, env, opts.Plan)
	if err != nil {
		return nil, err
	}
	if opts.Confirm != nil && standing.Applied && standing.Rendered != plan.Rendered {
		if err := opts.Confirm(ctx); err != nil {
			return nil, err
		}
	}
	out := &Outcome{Report: apply.Report{Plan: *plan}, Mode: opts.Mode}
	for _, scaled := range standing.Scaled {
		if out.again.IsZero() || scaled.Until.Before(out.again) {
			out.again = scaled.Until
		}
	}
	if look := time.Now().Add(canaryLook); k.Waits() && (out.again.IsZero() || look.Before(out.again)) {
		out.again = look
	}
	out.Skipped = skips(plan, standing)
	if why, until := out.waits(env, standing, k, time.Now()); why != nil {
		return out.meanwhile(ctx, c, env, standing, opts, *why, until)
	}
	if opts.Mode != ModeCorrect {
		return out, nil
	}
	// Who runs this in a schedule has said yes to a protected environment; which
	// cluster a new one belongs to is for a person to say.
	opts.Apply.Yes = standing.Applied || env.Cluster.UID != "" || env.Cluster.Server != ""
	rep, err := out.correct(ctx, c, env, standing, planner, opts)
	if rep != nil {
		out.adopt(rep)
	}
	if rep == nil && err == nil && standing.Left {
		err = c.Unlock(ctx, env, opts.Apply.Who) // a run that was killed, and left nothing else to do
	}
	if skip, ok := out.overtaken(err); ok {
		out.Skipped = append(out.Skipped, skip)
		err = nil
	}
	if refused, ok := errors.AsType[*hint.Refused](err); ok {
		for i, hint := range refused.Hints {
			refused.Hints[i] = byHand(hint, env.Name)
		}
	}
	return out, err
}

// canaryLook is how often a daemon looks at the checks of a canary that waits.
const canaryLook = time.Minute

// aborted ends a canary that waits for somebody, and of which a check fails.
func aborted(ctx context.Context, c *apply.Cluster, k *apply.Canaries, planner planFunc, opts Options, failed error) (*Outcome, error) {
	env, run := k.Aborted(opts.Apply)
	plan, err := planner(ctx, env, opts.Plan)
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	run.Yes = true // it writes nothing that was not there before
	rep, err := c.Apply(ctx, env, plan, run)
	if skip, ok := new(Outcome).overtaken(err); ok {
		return nil, fmt.Errorf("the canary is still there: %s: %w", skip.Message, failed)
	}
	return &Outcome{Report: *rep, Mode: opts.Mode, applied: true}, errors.Join(failed, err)
}

// planFunc makes a plan.
type planFunc = func(context.Context, *schema.Environment, apply.PlanOptions) (*apply.Plan, error)

// correct writes what is not left alone.
func (out *Outcome) correct(ctx context.Context, c *apply.Cluster, env *schema.Environment, standing *record.Standing,
	planner planFunc, opts Options,
) (*apply.Report, error) {
	plan := &out.Plan
	if standing.Rendered == plan.Rendered && plan.Summary[apply.Deleted] == 0 {
		refused := refusals(plan, out.Skipped)
		out.Skipped = append(out.Skipped, refused...)
		drifted := plan.Only(func(change apply.Change) bool { return writes(change) && !isSkipped(out.Skipped, change) })
		if len(drifted.Changes) == 0 {
			return nil, asError(refused)
		}
		opts.Apply.NoWait = opts.NoWait
		rep, err := c.Correct(ctx, env, drifted, opts.Apply)
		return rep, errors.Join(err, asError(refused))
	}
	if untouched(out.Skipped) {
		return nil, nil
	}
	if slices.ContainsFunc(plan.Changes, func(c apply.Change) bool {
		return c.Action == apply.Terminating && c.IsNamespace() && c.Name == env.Namespace
	}) {
		return nil, nil // nothing can be made in it, the lock included
	}
	if opts.Plan.Objects != nil {
		return nil, errNewContent
	}
	// New content goes its whole way, gates, pruning and a revision included, but for
	// units of which something is refused, and those that come after them. A
	// fight is not over, but what the environment says may be what ends it; an
	// apply waits for what is being deleted.
	out.Skipped = slices.DeleteFunc(out.Skipped, func(s Skip) bool { return s.Reason == ReasonFight || s.Reason == ReasonTerminating })
	refused := refusals(plan, out.Skipped)
	out.Skipped = append(out.Skipped, refused...)
	if len(refused) > 0 && !standing.Applied {
		return nil, asError(refused) // what is first is for a person to see whole
	}
	if len(standing.Paused) > 0 || len(refused) > 0 {
		opts.Plan.Units = remaining(env, standing, refused, opts.Plan.Units)
		if len(opts.Plan.Units) == 0 {
			return nil, asError(refused) // all that was asked for is paused, or waits for what is refused
		}
		var err error
		if plan, err = planner(ctx, env, opts.Plan); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(plan.Changes, writes) && plan.Summary[apply.Deleted] == 0 && (len(opts.Plan.Units) > 0 || plan.Rendered == standing.Rendered) {
		return nil, asError(refused)
	}
	opts.Apply.Units = opts.Plan.Units
	out.applied = true
	if err := opts.ordered(ctx, c, env); err != nil {
		return nil, err
	}
	rep, err := c.Apply(ctx, env, plan, opts.Apply)
	return rep, errors.Join(err, asError(refused))
}

// errNewContent says that a pass over some objects is not enough.
var errNewContent = errors.New("the content is not what was applied last")

// adopt takes over what a run did. The plan stays what was found.
func (out *Outcome) adopt(rep *apply.Report) {
	out.Health, out.Revision = rep.Health, rep.Revision
	out.Done, out.NotDone = rep.Done, rep.NotDone
	out.Requests, out.Durations.Apply, out.Durations.Gate = rep.Requests, rep.Durations.Apply, rep.Durations.Gate
}

// overtaken makes a skip of the refusal of a run that found the lock taken, a
// hold set, or a freeze begun, since the pass began.
func (out *Outcome) overtaken(err error) (Skip, bool) {
	refused, ok := errors.AsType[*hint.Refused](err)
	if !ok {
		return Skip{}, false
	}
	reason, ok := map[hint.Guard]Reason{hint.GuardLock: ReasonLocked, hint.GuardHold: ReasonHeld, hint.GuardFreeze: ReasonFrozen}[refused.Guard]
	return Skip{Reason: reason, Message: refused.Reason, Objects: objectsOf(out.Changes, writes)}, ok
}

// Differs reports whether there is drift beside what is left alone.
func (out *Outcome) Differs() bool {
	left := out.Only(func(c apply.Change) bool { return !isSkipped(out.Skipped, c) })
	return left.Differs(false)
}

// ordered refuses content whose commit does not descend from the one that was
// applied last: with a signature of its own, an old commit could be brought back by
// whoever may move the branch.
func (o *Options) ordered(ctx context.Context, c *apply.Cluster, env *schema.Environment) error {
	if o.Descends == nil {
		return nil
	}
	last, err := c.AppliedCommit(ctx, env)
	if err != nil || last == "" || o.Descends(last) {
		return err
	}
	return &hint.Refused{
		Reason: fmt.Sprintf("commit %s does not descend from %s, which was applied last", o.Apply.Git.Commit, last),
		Hints: []string{
			"git log " + o.Apply.Git.Commit + ".." + last + " shows what would be undone; revert it in a commit of its own",
			"--allow-rewind takes the commit as it is",
		},
	}
}
