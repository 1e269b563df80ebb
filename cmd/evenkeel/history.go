package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

type historyOptions struct {
	revision int
	app      string
}

func newHistoryCmd(g *global) *cobra.Command {
	opts := &historyOptions{}
	cmd := &cobra.Command{
		Use:   "history ENV",
		Short: "List the recorded revisions of an environment",
		Long: `List what was applied to an environment, the newest first: when, by whom, from
which commit, and what it did. The last 10 applies that changed something and
became healthy are kept in the cluster. A commit with "-dirty" says that the files
were not those of the commit.

--revision N shows what that revision changed in the manifests. --app APP lists what an
app has run as, with the digests that its pods had pulled when an apply saw it healthy,
and for how long it had been so (HEALTHY), as signed revisions in a row show. An apply with
--no-wait sees nothing.`,
		Example: `  evenkeel history prod
  evenkeel history prod --revision 7
  evenkeel history prod --app shop
  evenkeel history prod -o json | jq -r '.[0].git.commit'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: g.completeEnvs,
	}
	g.addOutput(cmd, "text", "json")
	cmd.Flags().IntVar(&opts.revision, "revision", 0, "show this revision")
	cmd.Flags().StringVar(&opts.app, "app", "", "what this app has run as: its images, since when, and who brought them")
	cmd.MarkFlagsMutuallyExclusive("app", "revision")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runHistory(cmd.Context(), g, opts, args[0])
	}
	return cmd
}

func runHistory(ctx context.Context, g *global, opts *historyOptions, name string) error {
	env, err := g.summary(ctx, name)
	if err != nil {
		return err
	}
	cluster, err := g.cluster(env.Cluster)
	if err != nil {
		return err
	}
	if opts.app != "" {
		return appHistory(ctx, g, cluster, env, opts.app)
	}
	history, err := cluster.History(ctx, env.Name, env.Namespace)
	if err != nil {
		return err
	}
	if opts.revision > 0 {
		return showRevision(ctx, g, cluster, env, history, opts.revision)
	}
	if g.output == "json" {
		return writeJSON(g.out, append([]record.Revision{}, history...))
	}
	if len(history) == 0 {
		fmt.Fprintf(g.err, "env %s: nothing is recorded yet\n", env.Name)
		return nil
	}
	if err := printHistory(g.out, history); err != nil {
		return err
	}
	g.sayUnsigned(history)
	return nil
}

// appHistory lists the images of an app, the newest first.
func appHistory(ctx context.Context, g *global, cluster *apply.Cluster, env render.Summary, app string) error {
	now := time.Now()
	history, err := cluster.AppHistory(ctx, env.Name, env.Namespace, app, now)
	if err != nil {
		return err
	}
	if g.output == "json" {
		return writeJSON(g.out, append([]record.AppRevision{}, history...))
	}
	if len(history) == 0 {
		fmt.Fprintf(g.err, "env %s: nothing is recorded of an app %q\n", env.Name, app)
		return nil
	}
	tw := tabwriter.NewWriter(g.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "REVISION\tTIME\tFOR\tHEALTHY\tWHO\tCOMMIT\tIMAGES")
	for _, r := range history {
		proven := "-"
		if r.Proven > 0 || r.Pulled != nil {
			proven = time.Duration(r.Proven * float64(time.Second)).Round(time.Second).String()
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Number, r.Time.Format(time.RFC3339), r.For(now).Round(time.Second), proven,
			orDash(report.Line(r.Who)), orDash(report.Line(r.Git.String())), report.Line(strings.Join(pulledImages(r), " ")))
	}
	return tw.Flush()
}

// pulledImages are the images of an app with the digests by which its pods pulled them.
func pulledImages(r record.AppRevision) []string {
	images := slices.Clone(r.Images)
	for i, image := range images {
		if sums := r.Pulled[image]; len(sums) > 0 && !strings.Contains(image, "@") {
			images[i] += "@" + strings.Join(sums, ",@")
		}
	}
	return images
}

// sayUnsigned names the revisions of which nobody knows who wrote them.
func (g *global) sayUnsigned(history []record.Revision) {
	var numbers []string
	for _, r := range history {
		if !r.Authenticated {
			numbers = append(numbers, strconv.Itoa(r.Number))
		}
	}
	if len(numbers) > 0 {
		fmt.Fprintf(g.err, "warning: not signed, or the key may not be read: revision %s\n", strings.Join(numbers, ", "))
	}
}

// summary finds an environment without checking it: its history can be read while
// its source is broken.
func (g *global) summary(ctx context.Context, name string) (render.Summary, error) {
	repo, err := g.repo()
	if err != nil {
		return render.Summary{}, err
	}
	all, err := repo.Envs(ctx)
	if err != nil {
		return render.Summary{}, err
	}
	var known []string
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return render.Summary{}, render.UnknownEnv{Name: name, Known: known}
}

func printHistory(w io.Writer, history []record.Revision) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	said := slices.ContainsFunc(history, func(r record.Revision) bool { return r.Said() != "" })
	header := "REVISION\tTIME\tWHO\tCOMMIT\tCHANGES\tUNITS"
	if said {
		header += "\tMESSAGE"
	}
	fmt.Fprintln(tw, header)
	for _, r := range history {
		units := "all"
		if len(r.Units) > 0 {
			units = strings.Join(r.Units, ",")
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s", r.Number, r.Time.Format(time.RFC3339), orDash(report.Line(r.Who)), orDash(report.Line(r.Git.String())),
			report.Changes(r.Changes), report.Line(units))
		if said {
			fmt.Fprintf(tw, "\t%s", orDash(report.Line(r.Said())))
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// revisionView is one revision with what it changed.
type revisionView struct {
	record.Revision
	// Before is the number of the revision that it is compared with; zero where
	// none is recorded, and all of it is shown as created.
	Before      int            `json:"before,omitempty"`
	Differences []apply.Change `json:"differences"`
}

// showRevision shows a revision and how it differs from the one before it.
func showRevision(ctx context.Context, g *global, cluster *apply.Cluster, env render.Summary, history []record.Revision, number int) error {
	this, err := cluster.Revision(ctx, env.Name, env.Namespace, number)
	if err != nil {
		return err
	}
	view := revisionView{Revision: *this}
	var before *schema.Environment
	if at := slices.IndexFunc(history, func(r record.Revision) bool { return r.Number < number }); at >= 0 {
		last, err := cluster.Revision(ctx, env.Name, env.Namespace, history[at].Number)
		if err != nil {
			return err
		}
		view.Before, before = last.Number, last.Environment
	}
	plan := apply.Compare(before, this.Environment)
	view.Differences = plan.Changes
	if g.output == "json" {
		return writeJSON(g.out, view)
	}
	if err := printHistory(g.out, []record.Revision{*this}); err != nil {
		return err
	}
	since := "no revision before it is recorded"
	if view.Before > 0 {
		since = fmt.Sprintf("since revision %d", view.Before)
	}
	fmt.Fprintf(g.out, "\n%s:\n", since)
	return report.Text(painted(g.out), plan, report.Options{Color: g.colored(g.out), Against: since})
}

// sinceRevision compares what is rendered now with a recorded revision. One
// without Secrets says nothing about them.
func sinceRevision(ctx context.Context, cluster *apply.Cluster, env *schema.Environment, opts *diffOptions) (*apply.Plan, error) {
	revision, err := cluster.Revision(ctx, env.Name, env.Namespace, opts.revision)
	if err != nil {
		return nil, err
	}
	if !revision.Secrets {
		env = withoutSecrets(env)
	}
	return apply.Compare(onlyUnits(revision.Environment, opts.units), onlyUnits(env, opts.units)), nil
}

func withoutSecrets(env *schema.Environment) *schema.Environment {
	cut := *env
	cut.Units = slices.Clone(env.Units)
	for i, u := range cut.Units {
		cut.Units[i].Objects = slices.DeleteFunc(slices.Clone(u.Objects), func(o schema.Object) bool {
			return o.GetKind() == "Secret" && o.GetAPIVersion() == "v1"
		})
	}
	return &cut
}
