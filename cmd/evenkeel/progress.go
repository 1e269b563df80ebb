package main

import (
	"fmt"
	"io"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// progress shows a run as it goes: a live tree on a terminal, elsewhere one line
// per change of state.
type progress interface {
	event(apply.Event)
	// close draws the last state and gives the terminal back.
	close()
}

func (g *global) progress(env *schema.Environment) progress { return g.progressOn(g.err, env) }

func (g *global) progressOn(w io.Writer, env *schema.Environment) progress {
	if isTerminal(w) {
		return newLiveView(uncleaned(w), env, g.colored(w))
	}
	return newLineView(w, env)
}

// lineView prints one line per write, per cause of a wait and per unit that
// became healthy: what a log is read for.
type lineView struct {
	w     io.Writer
	env   string
	start time.Time
	last  map[schema.Ref]string
	units map[string]*unitCount
}

// unitCount counts which of a unit's objects are healthy.
type unitCount struct {
	total   int
	healthy map[schema.Ref]bool
	said    bool
}

func newLineView(w io.Writer, env *schema.Environment) *lineView {
	v := &lineView{w: w, env: env.Name, start: time.Now(), last: map[schema.Ref]string{}, units: map[string]*unitCount{}}
	for _, u := range env.Units {
		v.units[u.Name] = &unitCount{total: len(u.Objects), healthy: map[schema.Ref]bool{}}
	}
	return v
}

func (v *lineView) event(e apply.Event) {
	unit := v.units[e.Unit]
	if e.State == "" || unit == nil {
		v.line(e, describe(e))
		return
	}
	if e.State == health.Healthy {
		unit.healthy[e.Ref] = true
	} else {
		delete(unit.healthy, e.Ref)
	}
	if e.State != health.Healthy || holdsBack(e) || v.last[e.Ref] != "" {
		v.line(e, describe(e))
	}
	if len(unit.healthy) >= unit.total && !unit.said {
		unit.said = true
		v.line(apply.Event{Time: e.Time, Unit: e.Unit}, healthyObjects(unit.total))
	}
}

// line prints a line unless it says what the last one of that object said.
func (v *lineView) line(e apply.Event, text string) {
	if text == "" || e.Message == health.NotRead || v.last[e.Ref] == text {
		return
	}
	if e.Name != "" && e.State != "" {
		v.last[e.Ref] = text
	}
	where := v.env
	if e.Unit != "" {
		where += "/" + e.Unit
	}
	fmt.Fprintf(v.w, "%6.1fs  %s  %s\n", e.Time.Sub(v.start).Seconds(), where, report.Line(text))
}

func (*lineView) close() {}

func healthyObjects(n int) string {
	if n == 1 {
		return "healthy: 1 object"
	}
	return fmt.Sprintf("healthy: %d objects", n)
}

// holdsBack tells a workload that is as somebody wants it, and whose pods may be of an
// older version than what was applied.
func holdsBack(e apply.Event) bool {
	return health.Result{State: e.State, Rule: e.Rule, Message: e.Message}.HoldsBack()
}

// describe is an event in words.
func describe(e apply.Event) string {
	switch {
	case e.Name == "":
		return e.Message
	case e.State != "":
		text := fmt.Sprintf("%s %s", e.Ref, e.State)
		if (e.State != health.Healthy || holdsBack(e)) && e.Message != "" {
			text += ": " + e.Message
		}
		return text
	case e.Action == apply.Kept && e.Message != "":
		return fmt.Sprintf("%s kept: %s", e.Ref, e.Message)
	case e.Action != "":
		return fmt.Sprintf("%s %s", e.Ref, e.Action)
	default:
		return fmt.Sprintf("%s: %s", e.Ref, e.Message)
	}
}
