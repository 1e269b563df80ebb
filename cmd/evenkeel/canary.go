package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// applySteps applies an environment with canaries, step by step, until nothing is
// left or somebody has to say that it may go on. It returns the plan of the first.
func applySteps(ctx context.Context, g *global, opts *applyOptions, cluster *apply.Cluster, env *schema.Environment, k *apply.Canaries) (*apply.Plan, error) {
	if opts.run.NoWait || opts.run.NoPrune || opts.run.NoSecrets {
		return nil, &hint.Refused{
			Reason: fmt.Sprintf("unit %s has a canary, which waits for health, is deleted at the end, and needs what was applied last with its Secrets", k.State.App),
			Hints:  []string{"leave out --no-wait, --no-prune and --no-secrets, or give --no-canary"},
		}
	}
	var first *apply.Plan
	for {
		if err := k.Begin(ctx, opts.run.Who); err != nil {
			return first, err
		}
		plan, err := g.plan(ctx, cluster, k.Environment, opts.planning())
		if err != nil {
			return first, err
		}
		if first == nil {
			first = plan
			if err := g.agreed(ctx, env, plan, opts); err != nil || opts.dryRun {
				return plan, err
			}
		}
		fmt.Fprintln(g.err, k.Says())
		run := k.Options(opts.run)
		run.Unconfirmed = opts.plan == ""
		rep, err := g.execute(ctx, cluster, k.Environment, plan, run)
		if err == nil {
			err = g.hold(ctx, opts, k)
		}
		opts.tellStep(ctx, env.Name, k, rep, run, err)
		if errors.Is(err, errWaits) {
			return first, nil
		}
		if err != nil {
			return first, g.afterStep(ctx, opts, cluster, env, k, rep, err)
		}
		more, err := k.Next(ctx)
		if err != nil || !more {
			return first, err
		}
	}
}

// errWaits says that somebody has to say that a canary may go on.
var errWaits = errors.New("a canary waits")

// hold watches the step that was applied.
func (g *global) hold(ctx context.Context, opts *applyOptions, k *apply.Canaries) error {
	waits, err := k.Hold(ctx, opts.manualWait, func(text string) { fmt.Fprintln(g.err, report.Line(text)) })
	if ctx.Err() != nil {
		return &apply.Interrupted{Cause: context.Cause(ctx)}
	}
	if err == nil && waits {
		return errWaits
	}
	return err
}

// tellStep tells people of a step, and of the end of it all as of any apply.
func (o *applyOptions) tellStep(ctx context.Context, env string, k *apply.Canaries, rep *apply.Report, run apply.ApplyOptions, err error) {
	switch {
	case errors.Is(err, errWaits):
		o.messenger.tell(ctx, env, reconcile.NoticeCanary, k.Says()+"; evenkeel rollout resume "+env+" "+k.State.App)
	case err == nil && !k.State.Last:
		o.messenger.tell(ctx, env, reconcile.NoticeCanary, k.Says()+": passed")
	default:
		o.messenger.run(ctx, env, reconcile.NoticeApplied, rep, run, err)
	}
}

// afterStep ends a canary that is no good, and leaves one that is not to blame.
func (g *global) afterStep(ctx context.Context, opts *applyOptions, cluster *apply.Cluster, env *schema.Environment, k *apply.Canaries, rep *apply.Report, err error) error {
	failed := (*apply.CanaryFailed)(nil)
	switch {
	case errors.As(err, &failed), k.Blames(err):
		fmt.Fprintf(g.err, "env %s: canary of %s: aborted, the app stays as it is\n", env.Name, k.State.App)
		restored, run := k.Aborted(opts.run)
		if aborting := g.abort(ctx, opts, cluster, restored, run); aborting != nil {
			return errors.Join(err, fmt.Errorf("the canary is still there: %w", aborting))
		}
		fmt.Fprintf(g.err, "hint: git still says the version that failed; it is on hold until git says another, or apply --release\n")
		return err
	case k.State.Last && opts.rollbackOnFailure && reconcileUnhealthy(err):
		return errors.Join(err, rollbackAfter(ctx, g, cluster, env, rep, opts))
	}
	return err
}

func reconcileUnhealthy(err error) bool { return kindOf(err) == reconcile.NoticeUnhealthy }

// abort applies what was before a canary.
func (g *global) abort(ctx context.Context, opts *applyOptions, cluster *apply.Cluster, restored *schema.Environment, run apply.ApplyOptions) error {
	planning := opts.planning()
	planning.Units = run.Units
	plan, err := g.plan(ctx, cluster, restored, planning)
	if err != nil {
		return err
	}
	rep, err := g.execute(ctx, cluster, restored, plan, run)
	opts.messenger.run(ctx, restored.Name, reconcile.NoticeAborted, rep, run, err)
	return err
}
