package main

import (
	"fmt"
	"io"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// progress shows a run as it goes: a live tree on a terminal, elsewhere one line
// per change of state.
type progress interface {
	event(apply.Event)
	// close draws the last state and gives the terminal back.
	close()
}

func (g *global) progress(env *schema.Environment) progress {
	if isTerminal(g.err) {
		return newLiveView(g.err, env, g.colored(g.err))
	}
	return &lineView{w: g.err, env: env.Name, start: time.Now(), last: map[apply.ObjectRef]string{}}
}

// lineView prints one line per change of state.
type lineView struct {
	w     io.Writer
	env   string
	start time.Time
	last  map[apply.ObjectRef]string
}

func (v *lineView) event(e apply.Event) {
	text := describe(e)
	if text == "" || v.last[e.ObjectRef] == text {
		return
	}
	v.last[e.ObjectRef] = text
	where := v.env
	if e.Unit != "" {
		where += "/" + e.Unit
	}
	fmt.Fprintf(v.w, "%6.1fs  %s  %s\n", e.Time.Sub(v.start).Seconds(), where, text)
}

func (*lineView) close() {}

// describe is an event in words; empty for what only a live view shows.
func describe(e apply.Event) string {
	switch {
	case e.Name == "":
		return e.Message
	case e.State != "":
		text := fmt.Sprintf("%s %s", e.ObjectRef, e.State)
		if e.State != health.Healthy && e.Message != "" {
			text += ": " + e.Message
		}
		return text
	case e.Action != "":
		return fmt.Sprintf("%s %s", e.ObjectRef, e.Action)
	default:
		return fmt.Sprintf("%s: %s", e.ObjectRef, e.Message)
	}
}
