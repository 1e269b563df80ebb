package ui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/apply/workload"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// logsView is the form, and the last lines of an app.
type logsView struct {
	App, Container   string
	Tail             int64
	Previous, Follow bool
	Apps             []string
	Lines            []logLine
	Silent           []string
	Cut              bool
	Query            string // of the stream that follows
}

type logLine struct{ Pod, Text string }

// Bounds of what is read of logs.
const (
	tailDefault = 200
	tailMost    = 2000
	logLines    = 5000
	lineMost    = 4000
	// followed is how many streams of logs one viewer may have, burst how many lines of
	// one are sent at once: more in that time are counted.
	followed = 6
	burst    = 500
)

// logs is what the form asks for.
func (q *request) logs() logsView {
	v := logsView{App: q.FormValue("app"), Container: q.FormValue("container"), Previous: q.FormValue("previous") != "", Tail: tailDefault}
	v.Follow = q.FormValue("follow") != "" && !v.Previous
	if n, err := strconv.ParseInt(q.FormValue("tail"), 10, 64); err == nil {
		v.Tail = max(1, min(n, tailMost))
	}
	for i := range q.board.Desired.Units {
		if name := q.board.Desired.Units[i].Name; hasPods(&q.board.Desired.Units[i]) {
			v.Apps = append(v.Apps, name)
		}
	}
	return v
}

// line is a line of a log as the page shows it: without secrets first, and short then, as
// half a secret would be known by nobody.
func (q *request) line(l workload.LogLine) logLine {
	text := q.board.hide(l.Text)
	if len(text) > lineMost {
		text = strings.ToValidUTF8(text[:lineMost], "") + " …"
	}
	return logLine{Pod: report.Line(l.Pod), Text: report.Clean(text)}
}

func logsPage(q *request) (any, error) {
	v := q.logs()
	if v.App == "" {
		return v, nil
	}
	if v.Follow {
		v.Query = q.URL.RawQuery
		return v, nil
	}
	cluster, err := q.board.connected()
	if err != nil {
		return v, err
	}
	ctx, stop := context.WithTimeout(q.Context(), askTimeout)
	defer stop()
	err = workload.Logs(ctx, cluster, q.board.Desired, v.App, workload.LogOptions{Container: v.Container, Previous: v.Previous, Tail: v.Tail}, func(l workload.LogLine) {
		if len(v.Lines) == logLines {
			v.Cut = true
			return
		}
		v.Lines = append(v.Lines, q.line(l))
	}, func(err error) { v.Silent = append(v.Silent, q.text(err.Error())) })
	return v, err
}

// tail gathers what comes of logs between two sendings.
type tail struct {
	mu    sync.Mutex
	lines []logLine
	more  int // that came beside those
	said  []string
}

func (t *tail) add(l logLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < burst {
		t.lines = append(t.lines, l)
	} else {
		t.more++
	}
}

func (t *tail) say(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.said) < burst {
		t.said = append(t.said, text)
	}
}

// taken is what came, of which nothing is left then.
func (t *tail) taken() (of logBatch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of = logBatch{t.lines, t.said, t.more}
	t.lines, t.said, t.more = nil, nil, 0
	return of
}

// logBatch is what is sent at once.
type logBatch struct {
	Lines []logLine
	Said  []string
	More  int
}

// liveLogs sends the lines of an app as they come, until the page goes or all pods have
// ended.
func (s *Server) liveLogs(w http.ResponseWriter, r *http.Request) {
	q := s.asked(w, r)
	if q == nil {
		return
	}
	ctx, done := q.lasting(w)
	defer done()
	v, t, send := q.logs(), &tail{}, streaming(w)
	ended := make(chan error, 1)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	defer q.viewer.follows.Add(-1)
	if q.viewer.follows.Add(1) > followed {
		ended <- errors.New("too many logs are followed: close another page")
	} else {
		go func() { ended <- q.follow(reading, v, t) }()
	}
	view := s.view(q, "logs")
	for quiet := time.Duration(0); ; {
		var err error
		over := false
		select {
		case err = <-ended:
			over = true
		default:
			if pause.For(ctx, gather) != nil {
				return
			}
		}
		if err != nil {
			t.say("✗ " + q.text(err.Error()))
		}
		batch := t.taken()
		var out strings.Builder
		_ = s.templates.ExecuteTemplate(&out, "loglines", view.With(batch))
		quiet += gather
		if out.Len() == 0 && quiet < beat && !over {
			continue
		}
		if send(out.String()) != nil {
			return
		}
		if over {
			_, _ = fmt.Fprint(w, "event: end\ndata: \n\n") // the page is not to ask again
			return
		}
		if quiet >= beat {
			if quiet = 0; !q.still() {
				return
			}
		}
	}
}

func (q *request) follow(ctx context.Context, v logsView, t *tail) error {
	cluster, err := q.board.connected()
	if err != nil {
		return err
	}
	return workload.Logs(ctx, cluster, q.board.Desired, v.App, workload.LogOptions{Container: v.Container, Tail: v.Tail, Follow: true},
		func(l workload.LogLine) { t.add(q.line(l)) },
		func(err error) { t.say(q.text(err.Error())) })
}

func hasPods(u *schema.Unit) bool {
	return slices.ContainsFunc(u.Objects, func(o schema.Object) bool {
		return slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"}, o.GetKind())
	})
}
