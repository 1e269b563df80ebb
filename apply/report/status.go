package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
)

// Status writes the health of an environment, unit by unit, with the cause of
// what is not healthy and the last words of a container that crashed.
func Status(w io.Writer, s *apply.Status, opts Options) error {
	out := &printer{w: w, paint: painter(opts.Color)}
	word := "healthy"
	if !s.Healthy {
		word = "not healthy"
	}
	out.line("%s: %s", out.paint(bold, s.Environment), out.paint(stateColor(s.Healthy), word))
	width := 0
	for _, u := range s.Units {
		width = max(width, len(u.Name))
	}
	for _, u := range s.Units {
		var text strings.Builder
		text.WriteString(plural(len(u.Objects), "object"))
		for _, n := range Notes(s.Environment, u.Name, u.UnitNotes) {
			text.WriteString("  " + out.paint(yellow, n.What))
			if n.Command != "" {
				fmt.Fprintf(&text, " %s: %s", n.Says, n.Command)
			}
		}
		out.line("  %s %-*s  %s  %s", out.paint(colorOfState(u.State), u.State.Mark()), width, u.Name, out.paint(colorOfState(u.State), fmt.Sprintf("%-11s", u.State)), text.String())
		if u.Canary != nil {
			for _, check := range u.Canary.Checks {
				out.line("      %s", Clean(check))
			}
		}
		for _, o := range u.Objects {
			if o.State != health.Healthy || o.HoldsBack() && (o.Rule != health.RulePaused || u.Paused == nil) {
				out.health(o)
			}
		}
	}
	return out.err
}

// Note is what somebody, or a canary, does to a unit past git.
type Note struct {
	What    string // such as "paused"
	Says    string // since when and by whom; empty where What has it all
	Command string // that ends it; empty where it ends by itself
}

// Notes are those of a unit, in the words of every view.
func Notes(env, unit string, n apply.UnitNotes) []Note {
	var notes []Note
	if n.Scaled != nil {
		notes = append(notes, Note{"scaled past git", Line(n.Scaled.String()), fmt.Sprintf("evenkeel scale %s %s --end", env, unit)})
	}
	if n.Canary != nil {
		notes = append(notes, Note{What: Line(n.Canary.String())})
	}
	if n.Paused != nil {
		notes = append(notes, Note{"paused", Line(n.Paused.String()), fmt.Sprintf("evenkeel rollout resume %s %s", env, unit)})
	}
	return notes
}

func (p *printer) health(o apply.ObjectHealth) {
	p.line("      %s %s: %s", p.paint(colorOfState(o.State), o.State.Mark()+" "+string(o.State)), o.Ref, Clean(cmp.Or(o.Message, o.Rule)))
	for l := range strings.Lines(o.Log) {
		p.line("          | %s", Clean(strings.TrimRight(l, "\r\n")))
	}
}

// Applied writes what an apply did, in a line or two.
func Applied(w io.Writer, r *apply.Report, opts Options) error {
	out := &printer{w: w, paint: painter(opts.Color)}
	out.line("%s: %s", out.paint(bold, r.Environment), outcome(r))
	if r.Revision > 0 {
		out.line("  revision %d", r.Revision)
	}
	return out.err
}

// outcome is what a run did in one line. Of an action that was not carried out on all
// its objects it says on how many it was: "0 of 3 deleted, 1 kept".
func outcome(r *apply.Report) string {
	left := map[apply.Action]int{}
	for _, c := range r.Changes {
		if slices.Contains(r.NotDone, c.Ref) && c.Action != apply.Terminating && c.Action != apply.Conflict {
			left[c.Action]++
		}
	}
	return countsOf(r.Summary, func(action apply.Action, n int) string {
		if left[action] > 0 {
			return fmt.Sprintf("%d of %d %s", max(n-left[action], 0), n, action)
		}
		return fmt.Sprintf("%d %s", n, action)
	})
}
