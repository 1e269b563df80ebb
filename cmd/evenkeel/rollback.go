package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type rollbackOptions struct {
	applyOptions
	to      int
	confirm string // the code of what was seen
}

func newRollbackCmd(g *global) *cobra.Command {
	opts := &rollbackOptions{}
	cmd := &cobra.Command{
		Use:   "rollback ENV",
		Short: "Go back to a recorded revision",
		Long: `Apply a recorded revision again, with the guards and gates of apply: --to N, or
else what was before. After an apply that failed that is the newest revision, after
one that went well the newest that holds something else.

What was rolled back from is put on hold: apply and reconcile refuse it until the
environment renders to something else, or until apply --release. The edit of the
source that makes the rollback permanent is printed.

A revision lies in the environment's namespace, and is signed. Where it is not, or
where the rollback would write what git does not say and what reaches beyond the
namespace (rights, objects of the whole cluster, kinds and namespaces that neither
git nor the recorded set has), the plan is shown and the name of the environment
asked for; elsewhere than on a terminal --confirm takes the code that is printed
with it. --yes does not answer that.

Exit codes: 0 rolled back and healthy, 2 error, 3 rolled back but not healthy,
4 refused by a guard, 130 interrupted.`,
		Example: `  evenkeel rollback prod
  evenkeel rollback prod --to 7
  evenkeel rollback prod --unit dubbo-demo-consumer`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	opts.addUnits(cmd.Flags())
	f := cmd.Flags()
	f.IntVar(&opts.to, "to", 0, "the number of the revision; evenkeel history lists them")
	f.StringVar(&opts.confirm, "confirm", "", "the code that confirms rights, objects of the whole cluster and revisions that are not signed, after a look at the plan")
	f.Var(&opts.yes, "yes", "answer what a guard asks; --yes=N allows N deletions")
	f.Lookup("yes").NoOptDefVal = "true"
	f.DurationVar(&opts.run.Timeout, "timeout", 5*time.Minute, "how long a unit may take to become healthy")
	addFailAfter(f, &opts.run.FailAfter)
	f.DurationVar(&opts.run.LockTimeout, "lock-timeout", 0, "how long to wait for a lock that another run holds")
	f.BoolVar(&opts.run.ForceConflicts, "force-conflicts", false, "take fields that other managers own")
	f.StringSliceVar(&opts.run.Recreate, "recreate", nil, "delete and create this KIND/NAME where an immutable field changes, or run a Job again that its TTL deleted (repeatable)")
	addDeleteFirst(f, &opts.run.DeleteFirst)
	f.StringVarP(&opts.run.Message, "message", "m", "", "why, for the history")
	opts.notify.addFlags(f, "the run")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runRollback(cmd.Context(), g, opts, args)
	}
	return cmd
}

func runRollback(ctx context.Context, g *global, opts *rollbackOptions, args []string) error {
	units := opts.units
	opts.units = nil // a unit that git no longer has can come back
	envs, err := g.renderUnsealed(ctx, &opts.selection, args)
	if err != nil {
		return err
	}
	env := envs[0]
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return err
	}
	back, err := cluster.Rollback(ctx, env, opts.to)
	if err != nil {
		return err
	}
	if err := checkUnits(units, env, back.To.Environment); err != nil {
		return err
	}
	opts.run.Units, opts.run.Yes, opts.run.YesCount, opts.run.Who = units, opts.yes.given, opts.yes.count, whoami()
	if err := checkReasons(opts.run.Message); err != nil {
		return err
	}
	if opts.messenger, err = opts.notify.messenger(g); err != nil {
		return err
	}
	if err := goBack(ctx, g, cluster, env, back, opts); err != nil {
		return fmt.Errorf("env %s: %w", env.Name, err)
	}
	return g.sayPermanent(ctx, env, back.To, units)
}

// goBack plans, asks and applies a revision.
func goBack(ctx context.Context, g *global, cluster *apply.Cluster, env *schema.Environment, back *apply.Rollback, opts *rollbackOptions) error {
	restored, plan, err := g.planBack(ctx, cluster, env, back, opts.run)
	if err != nil {
		return err
	}
	doubts, err := cluster.Beyond(ctx, env, back, plan)
	if err != nil {
		return err
	}
	if !back.To.Authenticated {
		doubts = append([]string{fmt.Sprintf("%s is not signed: anybody who may write Secrets in namespace %s may have made it", back.To, env.Namespace)}, doubts...)
	}
	if err := g.confirmDoubts(ctx, env, plan, back, doubts, opts); err != nil {
		return err
	}
	if err := g.confirm(ctx, env, plan, &opts.applyOptions); err != nil {
		return err
	}
	run := back.Options(opts.run)
	rep, err := g.execute(ctx, cluster, restored, plan, run)
	opts.messenger.run(ctx, env.Name, reconcile.NoticeRolledBack, rep, run, err)
	return err
}

// rollbackAfter goes back to the newest revision after an apply that did not
// become healthy. What that apply had created is deleted without a question.
func rollbackAfter(ctx context.Context, g *global, cluster *apply.Cluster, env *schema.Environment, failed *apply.Report, opts *applyOptions) error {
	// The units that ran side by side were waited for: what failed first may work by now.
	status, err := cluster.Status(ctx, env, apply.StatusOptions{Units: unhealthyUnits(failed)})
	if err != nil {
		return fmt.Errorf("not rolled back: whether it is healthy by now is not known: %w", err)
	}
	if status.Healthy {
		fmt.Fprintf(g.err, "env %s: healthy by now, not rolled back: apply again, which records it\n", env.Name)
		return nil
	}
	newest, err := cluster.Revision(ctx, env.Name, env.Namespace, 0)
	if errors.Is(err, record.ErrNoRevision) || err == nil && newest.Rendered == failed.Rendered {
		fmt.Fprintf(g.err, "env %s: not rolled back: no revision holds anything else\n", env.Name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("rollback: %w", err)
	}
	fmt.Fprintf(g.err, "env %s: not healthy, rolling back to %s\n", env.Name, newest)
	back := &apply.Rollback{To: newest, Hold: failed.Rendered}
	restored, plan, err := g.planBack(ctx, cluster, env, back, opts.run)
	if err != nil {
		return fmt.Errorf("rollback: %w", err)
	}
	beyond, err := cluster.Beyond(ctx, env, back, plan)
	if err != nil {
		return fmt.Errorf("rollback: %w", err)
	}
	if len(beyond) > 0 {
		fmt.Fprintf(g.err, "env %s: not rolled back: that needs somebody who looks at it:\n  %s\nhint: evenkeel rollback %s\n", env.Name, strings.Join(beyond, "\n  "), env.Name)
		return nil
	}
	run := back.Options(opts.run)
	if n, all := deletions(plan, failed); all {
		run.YesCount = n
	}
	rep, err := g.execute(ctx, cluster, restored, plan, run)
	opts.messenger.run(ctx, env.Name, reconcile.NoticeRolledBack, rep, run, err)
	if err != nil {
		return fmt.Errorf("rollback: %w", err)
	}
	return g.sayPermanent(ctx, env, newest, opts.units)
}

// unhealthyUnits are the units of a run of which something was not healthy.
func unhealthyUnits(rep *apply.Report) []string {
	var names []string
	for _, h := range rep.Health {
		if h.State != health.Healthy && !slices.Contains(names, h.Unit) {
			names = append(names, h.Unit)
		}
	}
	return names
}

// planBack plans the apply of a revision.
func (g *global) planBack(ctx context.Context, cluster *apply.Cluster, env *schema.Environment, back *apply.Rollback, run apply.ApplyOptions) (*schema.Environment, *apply.Plan, error) {
	restored := back.To.Restored(env, run.Units...)
	plan, err := g.plan(ctx, cluster, restored, apply.PlanOptions{
		Units: run.Units, ForceConflicts: run.ForceConflicts, Recreate: run.Recreate, Prune: run.AllowPrune, DeleteFirst: run.DeleteFirst, ToApply: true,
	})
	return restored, plan, err
}

// deletions counts what a plan deletes, and says whether a run had just created
// all of it.
func deletions(plan *apply.Plan, run *apply.Report) (n int, all bool) {
	all = true
	for _, c := range plan.Changes {
		if c.Action != apply.Deleted {
			continue
		}
		n++
		all = all && slices.Contains(run.Done, c.Ref) && slices.ContainsFunc(run.Changes, func(made apply.Change) bool {
			return made.Action == apply.Created && made.Ref == c.Ref
		})
	}
	return n, all
}

// sayPermanent says which edit of the source makes a rollback permanent: the
// images that differ, or else the environment as it was at the commit.
func (g *global) sayPermanent(ctx context.Context, env *schema.Environment, to *record.Revision, units []string) error {
	plan := apply.Compare(onlyUnits(env, units), onlyUnits(to.Environment, units))
	if !plan.Differs(false) {
		return nil
	}
	fmt.Fprintf(g.err, "hint: git still says what was rolled back from; this makes %s permanent:\n", to)
	if edits := imageEdits(plan); edits != nil {
		for _, edit := range edits {
			fmt.Fprintf(g.err, "hint:   %s\n", edit)
		}
		return nil
	}
	if to.Git.Commit == "" || to.Git.Dirty {
		fmt.Fprintf(g.err, "hint:   edit the environment until this shows no differences: evenkeel diff %s --revision %d\n", env.Name, to.Number)
		return nil
	}
	source, err := g.summary(ctx, env.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(g.err, "hint:   git restore --source %.12s -- %s\n", to.Git.Commit, source.Dir)
	fmt.Fprintf(g.err, "hint: this then shows no differences: evenkeel diff %s --revision %d\n", env.Name, to.Number)
	return nil
}

// imageEdits are the commands, or the edits, that bring the source to where a plan
// leads, or nil where more than images differs.
func imageEdits(plan *apply.Plan) []string {
	var edits []string
	for _, c := range plan.Changes {
		for _, f := range c.Fields {
			container, isImage := imageOf(f.Path)
			image, isText := f.To.(string)
			if !isImage || !isText || c.Kind != "Deployment" && c.Kind != "StatefulSet" && c.Kind != "DaemonSet" {
				return nil
			}
			if container == c.Unit {
				edits = append(edits, fmt.Sprintf("evenkeel set image %s %s", plan.Environment, plain.Argument(c.Unit+"="+image)))
			} else {
				edits = append(edits, fmt.Sprintf("in %s, %s, container %s: image: %q", plan.Environment, c.Unit, container, image))
			}
		}
		if c.Action != apply.Configured {
			return nil
		}
	}
	return edits
}

// containerImage is the path of a container's image in a workload.
var containerImage = regexp.MustCompile(`^spec\.template\.spec\.(?:initC|c)ontainers\[name=([^\]]+)\]\.image$`)

// imageOf returns the name of the container whose image stands at a path.
func imageOf(path string) (container string, ok bool) {
	m := containerImage.FindStringSubmatch(path)
	if m == nil {
		return "", false
	}
	return m[1], true
}
