// Package report writes plans, runs and health for people: text here, Markdown
// and HTML beside it. It only reads; what it is given is already masked.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
)

// Options say how much is written and how.
type Options struct {
	Color bool
	// Strict counts foreign additions as differences.
	Strict bool
}

// order is the order of actions in summaries; the most consequential stand last,
// next to where the eye rests.
var order = []apply.Action{ //nolint:gochecknoglobals // a constant table
	apply.Created, apply.UnverifiedCreated, apply.Adopted, apply.Configured, apply.UnverifiedChanged,
	apply.Reowned, apply.Recreated, apply.Deleted, apply.Terminating, apply.Kept,
	apply.Foreign, apply.CopiedLabel, apply.Conflict, apply.Unchanged,
}

// Text writes a plan: a summary line, then each unit with its changes, each
// change with the fields that differ and who wrote the live value.
func Text(w io.Writer, p *apply.Plan, opts Options) error {
	out := &printer{w: w, paint: painter(opts.Color)}
	out.line("%s: %s", out.paint(bold, p.Environment), Summary(p))
	for _, unit := range byUnit(p.Changes) {
		out.line("")
		out.line("%s", out.paint(bold, unit[0].Unit))
		for i := range unit {
			out.change(&unit[i])
		}
	}
	return out.err
}

// Summary is a plan in one line: "2 created, 1 configured, 40 unchanged".
func Summary(p *apply.Plan) string {
	var parts []string
	for _, action := range order {
		if n := p.Summary[action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, action))
		}
	}
	if len(parts) == 0 {
		return "no objects"
	}
	return strings.Join(parts, ", ")
}

// byUnit groups changes by unit and keeps the order of both.
func byUnit(changes []apply.Change) [][]apply.Change {
	var units [][]apply.Change
	index := map[string]int{}
	for _, c := range changes {
		if c.Action == apply.Unchanged {
			continue
		}
		i, ok := index[c.Unit]
		if !ok {
			i = len(units)
			index[c.Unit] = i
			units = append(units, nil)
		}
		units[i] = append(units[i], c)
	}
	return units
}

// printer keeps the first write error, so that callers check once.
type printer struct {
	w     io.Writer
	paint func(color, string) string
	err   error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) change(c *apply.Change) {
	note := ""
	if c.Message != "" {
		note = " (" + c.Message + ")"
	}
	if !c.Verified && c.Action != apply.Deleted && c.Action != apply.Kept {
		note += " (not verified by the server)"
	}
	p.line("  %s %s%s", p.paint(colorOf(c.Action), string(c.Action)), c.ObjectRef, note)
	for _, f := range c.Fields {
		p.line("      %s: %s -> %s%s", f.Path, p.paint(red, value(f.From)), p.paint(green, value(f.To)), Attribution(f))
	}
}

// Attribution is who wrote the live value of a field, and when: " (by
// kubectl-edit, last write 2026-11-21T10:32Z)"; empty when nobody is named.
func Attribution(f apply.Field) string {
	if f.By == "" {
		return ""
	}
	if f.At == nil {
		return fmt.Sprintf(" (by %s)", f.By)
	}
	return fmt.Sprintf(" (by %s, last write %s)", f.By, f.At.UTC().Format("2006-01-02T15:04Z"))
}

// value is a field's value on one line; "unset" stands for an absent one.
func value(v any) string {
	if v == nil {
		return "unset"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// Status writes the health of an environment, unit by unit, with the cause of
// what is not healthy.
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
		out.line("  %-*s  %s", width, u.Name, out.paint(colorOfState(u.State), string(u.State)))
		for _, o := range u.Objects {
			if o.State != "healthy" {
				out.line("      %s %s: %s", out.paint(colorOfState(o.State), string(o.State)), o.ObjectRef, cmp.Or(o.Message, o.Rule))
			}
		}
	}
	return out.err
}

// Duration is a number of seconds as people say it.
func Duration(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// Names joins the names of changes with one action, sorted.
func Names(p *apply.Plan, action apply.Action) []string {
	var names []string
	for _, c := range p.Changes {
		if c.Action == action {
			names = append(names, c.String())
		}
	}
	slices.Sort(names)
	return names
}

// Applied writes what an apply did, in a line or two.
func Applied(w io.Writer, r *apply.Report, opts Options) error {
	out := &printer{w: w, paint: painter(opts.Color)}
	out.line("%s: %s", out.paint(bold, r.Environment), Summary(&r.Plan))
	if r.Revision > 0 {
		out.line("  revision %d", r.Revision)
	}
	return out.err
}
