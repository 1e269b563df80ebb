package ui

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/internal/pause"
)

// gather is how long changes are let come together before they are sent, beat how
// often a quiet stream says that it is there.
const (
	gather = 100 * time.Millisecond
	beat   = 15 * time.Second
)

// streaming begins a stream of server-sent events.
func streaming(w http.ResponseWriter) func(fragments string) error {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx in between
	flush := http.NewResponseController(w)
	return func(fragments string) error {
		var out strings.Builder
		if fragments == "" {
			out.WriteString(": here\n")
		}
		for line := range strings.Lines(fragments) {
			out.WriteString("data: " + strings.TrimRight(line, "\r\n") + "\n")
		}
		out.WriteString("\n")
		if _, err := fmt.Fprint(w, out.String()); err != nil {
			return err
		}
		return flush.Flush()
	}
}

// anew has the page load itself again: what it shows is from boards that are no longer
// kept.
const anew = "event: anew\ndata: \n\n"

// lasting is a context for as long as the viewer is there; done says so to a page that
// still listens.
func (q *request) lasting(w http.ResponseWriter) (ctx context.Context, done func()) {
	ctx, stop := context.WithCancel(q.Context())
	go func() {
		select {
		case <-ctx.Done():
		case <-q.viewer.gone:
			stop()
		}
	}()
	return ctx, func() {
		stop()
		if q.Context().Err() == nil {
			_, _ = io.WriteString(w, anew)
		}
	}
}

// still says that the viewer is signed in, and may look at what they look at.
func (q *request) still() bool {
	return q.server.sessions == nil || q.server.sessions.of(q.Request) == q.viewer
}

// live sends what changes of an environment: its headline, and the rows of units.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	q := s.asked(w, r)
	if q == nil {
		return
	}
	ctx, done := q.lasting(w)
	defer done()
	send, b := streaming(w), q.board
	number, _ := strconv.ParseUint(r.FormValue("from"), 10, 64) // the last change that the page has
	for first := true; ; first = false {
		fragments, now := s.changes(q, number, first)
		if send(fragments) != nil {
			return
		}
		number = now
		if wait(ctx, b, number) != nil || !q.still() {
			return
		}
	}
}

// wait waits for a change, or for the time of the next beat.
func wait(ctx context.Context, b *board, number uint64) error {
	beating, stop := context.WithTimeout(ctx, beat)
	defer stop()
	if b.after(beating, number) == nil {
		select {
		case <-ctx.Done():
		case <-time.After(gather):
		}
	}
	return ctx.Err()
}

// changes are the fragments that changed after a number; a new stream begins with the
// headline.
func (s *Server) changes(q *request, number uint64, first bool) (fragments string, now uint64) {
	b := q.board
	b.mu.Lock()
	now = b.number
	head := b.head > number || first
	var names []string
	for _, u := range b.units {
		if u.number > number {
			names = append(names, u.name)
		}
	}
	b.mu.Unlock()
	v := &view{Lang: q.lang, Env: b.name, Root: s.Path() + q.lang + "/", request: q}
	v.Base = v.Root + "env/" + b.name + "/"
	var out strings.Builder
	if head {
		v.Head = b.headline()
		_ = s.templates.ExecuteTemplate(&out, "headline", v)
	}
	for _, name := range names {
		unit, _ := b.unit(name, false)
		_ = s.templates.ExecuteTemplate(&out, "unitrow", v.With(unit))
	}
	return out.String(), now
}

// liveOverview sends the headlines of all environments as they change.
func (s *Server) liveOverview(w http.ResponseWriter, r *http.Request) {
	q := s.asked(w, r)
	if q == nil {
		return
	}
	ctx, done := q.lasting(w)
	defer done()
	changed := make(chan struct{}, 1)
	for _, b := range q.viewer.boards {
		go func() {
			for number := uint64(0); b.after(ctx, number) == nil; {
				b.mu.Lock()
				number = b.number
				b.mu.Unlock()
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		}()
	}
	send := streaming(w)
	v := &view{Lang: q.lang, Root: s.Path() + q.lang + "/", request: q}
	for {
		var out strings.Builder
		for _, b := range q.viewer.boards {
			_ = s.templates.ExecuteTemplate(&out, "card", v.With(b.headline()))
		}
		if send(out.String()) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(beat):
		case <-changed:
			_ = pause.For(ctx, gather)
		}
		if !q.still() {
			return
		}
	}
}
