package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Drift writes what a reconcile found in an environment, what it corrected, and
// what it left alone and why.
func Drift(w io.Writer, o *reconcile.Outcome, opts Options) error {
	if err := Text(w, &o.Plan, opts); err != nil {
		return err
	}
	out := &printer{w: w, paint: painter(opts.Color)}
	if len(o.Done)+len(o.Skipped)+o.Revision > 0 {
		out.line("")
	}
	if len(o.Done) > 0 {
		out.line("%s %s", out.paint(green, "corrected"), plural(len(o.Done), "object"))
	}
	if o.Revision > 0 {
		out.line("revision %d", o.Revision)
	}
	for _, skip := range o.Skipped {
		where := ""
		if skip.Unit != "" {
			where = Clean(skip.Unit) + ", "
		}
		out.line("%s %s%s: %s", out.paint(yellow, "left alone"), where, firstRefs(skip.Objects), Clean(skip.Message))
	}
	return out.err
}

// firstRefs names objects, as many as the text names of a group.
func firstRefs(refs []schema.Ref) string {
	var names []string
	for i, ref := range refs {
		if i == namesInText {
			names = append(names, fmt.Sprintf("and %d more", len(refs)-i))
			break
		}
		names = append(names, Clean(ref.String()))
	}
	return strings.Join(names, ", ")
}

// DriftMarkdown writes what a reconcile found as a comment or a mail: what was
// done and left alone, and then the plans as Markdown writes them.
func DriftMarkdown(w io.Writer, outcomes []*reconcile.Outcome, opts Options) error {
	var top strings.Builder
	plans := make([]*apply.Plan, len(outcomes))
	for i, o := range outcomes {
		plans[i] = &o.Plan
		if len(o.Done) > 0 {
			fmt.Fprintf(&top, "- %s: corrected %s\n", code(o.Environment), plural(len(o.Done), "object"))
		}
		for _, skip := range o.Skipped {
			fmt.Fprintf(&top, "- %s: left alone %s: %s\n", code(o.Environment), code(firstRefs(skip.Objects)), code(skip.Message))
		}
	}
	c := &comment{opts: opts}
	c.headline(plans)
	if top.Len() > 0 {
		c.must("\n" + top.String())
	}
	for _, p := range plans {
		c.plan(p)
	}
	_, err := io.WriteString(w, c.String())
	return err
}
