package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/report"
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
	drawn   []int // columns of the lines of the last frame
	stopped chan struct{}
	ended   chan struct{}
}

type liveUnit struct {
	name    string
	total   int
	objects []*liveObject
	byRef   map[schema.Ref]*liveObject
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
		unit := &liveUnit{name: u.Name, total: len(u.Objects), byRef: map[schema.Ref]*liveObject{}}
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
	if e.State != "" {
		v.note = "" // of what came before
	}
	o := unit.byRef[e.Ref]
	if o == nil {
		o = &liveObject{}
		unit.byRef[e.Ref] = o
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
	lines := v.lines(time.Now(), width-1)
	if !last && len(lines) > height-1 {
		hidden := len(lines) - (height - 2)
		lines = append(lines[:height-2], fmt.Sprintf("  ... %d more lines", hidden))
	}
	var b strings.Builder
	b.WriteByte('\r') // a key that was pressed, such as Ctrl-C, is echoed
	if up := v.rows(width); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", min(up, height-1))
	}
	v.drawn = v.drawn[:0]
	for _, l := range lines {
		l = cut(l, width-1) // a full line would leave the cursor in doubt
		v.drawn = append(v.drawn, columns(l))
		b.WriteString(l)
		b.WriteString("\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(v.w, b.String())
}

// rows is how many rows of the terminal the last frame takes: one that was made
// narrower has wrapped its lines.
func (v *liveView) rows(width int) int {
	rows := 0
	for _, columns := range v.drawn {
		rows += max(1, (columns+width-1)/width)
	}
	return rows
}

func (v *liveView) size() (width, height int) {
	if f, ok := v.w.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 1 && h > 2 {
			return w, h
		}
	}
	return 80, 24
}

func (v *liveView) lines(now time.Time, width int) []string {
	head := fmt.Sprintf("%s  %s", v.env, age(now.Sub(v.start)))
	if v.note != "" {
		head += "  " + report.Line(v.note)
	}
	lines := []string{head}
	for _, u := range v.units {
		lines = append(lines, v.unitLines(u, now, width)...)
	}
	return lines
}

func (v *liveView) unitLines(u *liveUnit, now time.Time, width int) []string {
	healthy, worst := 0, health.Progressing
	for _, o := range u.objects {
		if o.State == health.Healthy {
			healthy++
		}
		if o.State == health.Failed || o.State == health.Unknown && worst != health.Failed {
			worst = o.State
		}
	}
	switch {
	case len(u.objects) == 0:
		return []string{fmt.Sprintf("  %s %s", v.paint(dim, health.State("").Mark()), u.name)}
	case healthy >= u.total:
		lines := []string{fmt.Sprintf("  %s %s  %s", v.paint(green, health.Healthy.Mark()), u.name, healthyObjects(u.total))}
		for _, o := range u.objects {
			if holdsBack(o.Event) {
				lines = append(lines, v.objectLines(o, now, width)...)
			}
		}
		return lines
	}
	mark := v.paint(yellow, worst.Mark())
	if worst == health.Failed {
		mark = v.paint(red, worst.Mark())
	}
	lines := []string{fmt.Sprintf("  %s %s  %d of %d healthy", mark, u.name, healthy, u.total)}
	for _, o := range u.objects {
		if o.State != health.Healthy {
			lines = append(lines, v.objectLines(o, now, width)...)
		}
	}
	return lines
}

// objectLines are the object and how it is; a cause that does not fit beside it
// stands below.
func (v *liveView) objectLines(o *liveObject, now time.Time, width int) []string {
	parts := []string{fmt.Sprintf("      %s", o.Ref)}
	if o.Desired > 0 && !strings.Contains(o.Message, fmt.Sprintf("%d of %d", o.Ready, o.Desired)) {
		parts = append(parts, fmt.Sprintf("%d of %d ready", o.Ready, o.Desired))
	}
	parts = append(parts, v.paint(dim, age(now.Sub(o.since))))
	switch {
	case o.State != "":
		color := yellow
		if o.State == health.Failed {
			color = red
		}
		parts = append(parts, v.paint(color, o.State.Mark()+" "+string(o.State)))
	case o.Action != "":
		parts = append(parts, string(o.Action))
	}
	line, cause := strings.Join(parts, "  "), report.Line(o.Message)
	if columns(line)+2+columns(cause) <= width {
		return []string{strings.TrimRight(line+"  "+cause, " ")}
	}
	lines := []string{line}
	const indent = "          "
	for cause != "" && len(lines) < 4 {
		var row string
		row, cause = wrap(cause, width-len(indent), len(lines) == 3)
		lines = append(lines, indent+row)
	}
	return lines
}

// wrap splits a text at a space so that its first part takes no more than so
// many columns; the last row is not split, but cut when it is drawn.
func wrap(s string, width int, last bool) (row, rest string) {
	if last || columns(s) <= width {
		return s, ""
	}
	end, space := 0, 0
	for i, r := range s {
		if width -= runewidth.RuneWidth(r); width < 0 {
			break
		}
		end = i + utf8.RuneLen(r)
		if r == ' ' {
			space = i
		}
	}
	if space > 0 && s[end] != ' ' {
		end = space
	}
	if end == 0 {
		return s, "" // narrower than a character
	}
	return s[:end], strings.TrimLeft(s[end:], " ")
}

func age(d time.Duration) string { return max(0, d).Round(time.Second).String() }

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

// escapes are the colours of a line, which take no column.
var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// columns is how many columns a line takes: a Chinese character takes two.
func columns(line string) int {
	return runewidth.StringWidth(escapes.ReplaceAllString(line, ""))
}

// cut shortens a line to so many columns.
func cut(line string, width int) string {
	if columns(line) <= width {
		return line
	}
	var b strings.Builder
	left := width - 1
	for len(line) > 0 {
		if at := escapes.FindStringIndex(line); at != nil && at[0] == 0 {
			b.WriteString(line[:at[1]])
			line = line[at[1]:]
			continue
		}
		r, size := utf8.DecodeRuneInString(line)
		if left -= runewidth.RuneWidth(r); left < 0 {
			break
		}
		b.WriteString(line[:size])
		line = line[size:]
	}
	return b.String() + "…\x1b[0m"
}
