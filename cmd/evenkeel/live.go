package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// liveView is a tree of units and objects that updates in place: what is healthy
// folds to one line, what is on its way shows its objects, ages and causes.
type liveView struct {
	w     io.Writer
	color bool
	env   string
	start time.Time

	mu      sync.Mutex
	note    string // of the phase, when no unit has it
	units   []*liveUnit
	byName  map[string]*liveUnit
	drawn   int // lines of the last frame
	stopped chan struct{}
	ended   chan struct{}
}

type liveUnit struct {
	name    string
	total   int
	objects []*liveObject
	byRef   map[apply.ObjectRef]*liveObject
}

type liveObject struct {
	apply.Event
	since time.Time // of the present state
}

// frame is how often ages move; events are drawn at the next frame.
const frame = 200 * time.Millisecond

func newLiveView(w io.Writer, env *schema.Environment, color bool) *liveView {
	v := &liveView{
		w: w, color: color, env: env.Name, start: time.Now(), byName: map[string]*liveUnit{},
		stopped: make(chan struct{}), ended: make(chan struct{}),
	}
	for _, u := range env.Units {
		unit := &liveUnit{name: u.Name, total: len(u.Objects), byRef: map[apply.ObjectRef]*liveObject{}}
		v.units = append(v.units, unit)
		v.byName[u.Name] = unit
	}
	go v.animate()
	return v
}

func (v *liveView) animate() {
	defer close(v.ended)
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.draw(false)
		case <-v.stopped:
			v.draw(true)
			return
		}
	}
}

func (v *liveView) close() {
	close(v.stopped)
	<-v.ended
}

func (v *liveView) event(e apply.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	unit := v.byName[e.Unit]
	if unit == nil || e.Name == "" {
		v.note = describe(e)
		return
	}
	o := unit.byRef[e.ObjectRef]
	if o == nil {
		o = &liveObject{}
		unit.byRef[e.ObjectRef] = o
		unit.objects = append(unit.objects, o)
	}
	if o.State != e.State || o.Action != e.Action {
		o.since = e.Time
	}
	o.Event = e
}

// draw writes one frame over the last one. A frame never takes more lines than
// the terminal has, or moving up would not reach its first line.
func (v *liveView) draw(last bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	width, height := v.size()
	lines := v.lines(time.Now())
	if !last && len(lines) > height-1 {
		hidden := len(lines) - (height - 2)
		lines = append(lines[:height-2], fmt.Sprintf("  ... %d more lines", hidden))
	}
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	b.WriteString("\x1b[J")
	for _, l := range lines {
		b.WriteString(cut(l, width))
		b.WriteByte('\n')
	}
	v.drawn = len(lines)
	_, _ = io.WriteString(v.w, b.String())
}

func (v *liveView) size() (width, height int) {
	if f, ok := v.w.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 2 {
			return w, h
		}
	}
	return 80, 24
}

func (v *liveView) lines(now time.Time) []string {
	head := fmt.Sprintf("%s  %s", v.env, now.Sub(v.start).Round(time.Second))
	if v.note != "" {
		head += "  " + v.note
	}
	lines := []string{head}
	for _, u := range v.units {
		lines = append(lines, v.unitLines(u, now)...)
	}
	return lines
}

func (v *liveView) unitLines(u *liveUnit, now time.Time) []string {
	healthy, failed := 0, false
	for _, o := range u.objects {
		if o.State == health.Healthy {
			healthy++
		}
		failed = failed || o.State == health.Failed
	}
	switch {
	case len(u.objects) == 0:
		return []string{fmt.Sprintf("  %s %s", v.paint(dim, "·"), u.name)}
	case healthy >= u.total:
		return []string{fmt.Sprintf("  %s %s  %d objects healthy", v.paint(green, "✓"), u.name, u.total)}
	}
	mark := v.paint(yellow, "…")
	if failed {
		mark = v.paint(red, "✗")
	}
	lines := []string{fmt.Sprintf("  %s %s  %d of %d healthy", mark, u.name, healthy, u.total)}
	for _, o := range u.objects {
		if o.State == health.Healthy {
			continue
		}
		lines = append(lines, fmt.Sprintf("      %s  %s", describe(o.Event), now.Sub(o.since).Round(time.Second)))
	}
	return lines
}

// Colours of the live view (ECMA-48).
const (
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)

func (v *liveView) paint(code, s string) string {
	if !v.color {
		return s
	}
	return code + s + "\x1b[0m"
}

// cut shortens a line to the width of the terminal; escape sequences take none
// of it.
func cut(line string, width int) string {
	seen, inEscape := 0, false
	for i, r := range line {
		switch {
		case inEscape:
			inEscape = r != 'm'
		case r == '\x1b':
			inEscape = true
		case seen == width-1 && i < len(line):
			return line[:i] + "…\x1b[0m"
		default:
			seen++
		}
	}
	return line
}
