package ui

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// view is what a template reads.
type view struct {
	Lang, Name         string
	Root, Base, Static string // addresses
	Other              string // this page in the other language
	User, SignOut      string // who signed in, and where to sign out
	Older              bool   // the newest state of the source cannot be shown
	Env                string
	Head               headline
	Number             uint64 // of the last change, before anything is read
	Environments       []string
	Error              string
	Data               any
	request            *request
}

// T says a text in the language of the page.
func (v *view) T(text string, args ...any) string {
	return v.request.server.says(v.Lang, text, args...)
}

// With hands a fragment its part of the view.
func (v *view) With(data any) fragment { return fragment{v, data} }

type fragment struct {
	*view
	Part any
}

// functions are those of templates that need no view.
func functions() template.FuncMap {
	return template.FuncMap{
		"mark": mark, "line": report.Line, "quote": plain.Word,
		"time": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}
}

// mark is the sign of a state, the same as in status, trace and graph.
func mark(state any) string { return health.State(fmt.Sprint(state)).Mark() }

// text makes a text of others fit for the page: on one line, without control
// characters or values that are known to be secret.
func (q *request) text(text string) string {
	if q.board != nil {
		text = q.board.hide(text)
	}
	return report.Line(text)
}

// headline is what stands above the units of an environment.
type headline struct {
	Name, Commit, Trouble string
	Wrong                 []string // why there is no rendering
	Since                 time.Time
	Seen                  bool
	State                 health.State
	Counts                []count
}

type count struct {
	State health.State
	Units int
}

func (b *board) headline() headline {
	states := map[health.State]int{}
	h := headline{Name: b.name, Commit: b.Commit, State: health.Healthy}
	if len(b.Wrong) > 0 {
		h.State, h.Wrong = health.Failed, b.Wrong
		return h
	}
	for _, u := range b.statuses() {
		states[u.State]++
		h.State = worse(h.State, u.State)
	}
	for _, s := range []health.State{health.Failed, health.Unknown, health.Progressing, "", health.Healthy} {
		if states[s] > 0 {
			h.Counts = append(h.Counts, count{s, states[s]})
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h.Seen, h.Since = b.seen, b.since
	if b.trouble != "" {
		h.Trouble = report.Line(b.trouble)
	}
	return h
}

func overview(q *request) (any, error) {
	var all []headline
	for _, b := range q.viewer.boards {
		all = append(all, b.headline())
	}
	return all, nil
}

// unitView is a unit as a row: its objects are those that are not healthy.
type unitView struct {
	Name           string
	State          health.State
	Total          int
	Ready, Desired int
	Notes          []report.Note
	Objects        []apply.ObjectHealth
	More           int // objects that are not shown
}

// objectsShown is how many objects a row shows.
const objectsShown = 20

func (b *board) unit(name string, all bool) (unitView, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.byName[name]
	if u == nil {
		return unitView{}, false
	}
	status := u.status()
	v := unitView{Name: name, State: status.State, Total: u.total, Notes: report.Notes(b.name, name, u.notes)}
	for _, o := range status.Objects {
		v.Ready, v.Desired = v.Ready+o.Ready, v.Desired+o.Desired
		switch {
		case !all && o.State == health.Healthy:
			continue
		case !all && len(v.Objects) == objectsShown:
			v.More++
			continue
		}
		o.Message = report.Line(cmp.Or(o.Message, o.Rule))
		v.Objects = append(v.Objects, o)
	}
	return v, true
}

func environment(q *request) (any, error) {
	var all []unitView
	for _, u := range q.board.units {
		v, _ := q.board.unit(u.name, false)
		all = append(all, v)
	}
	return all, nil
}

func unitPage(q *request) (any, error) {
	v, ok := q.board.unit(q.PathValue("unit"), true)
	if !ok {
		return v, fmt.Errorf("env %s has no unit %q", q.board.name, q.PathValue("unit"))
	}
	return v, nil
}

// Time that a page takes at most to ask a cluster.
const askTimeout = time.Minute

// planned is the last plan of an environment.
type planned struct {
	plan *apply.Plan
	at   time.Time
}

// plan asks the cluster what an apply would change.
func (q *request) plan() (*planned, error) {
	cluster, err := q.board.connected()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(q.Context(), askTimeout)
	defer stop()
	plan, err := q.board.Plan(ctx, cluster)
	if err != nil {
		return nil, err
	}
	p := &planned{plan, time.Now()}
	q.board.mu.Lock()
	q.board.planned = p
	q.board.mu.Unlock()
	return p, nil
}

// planView is the plan in short: each field of others with who wrote it, and when.
type planView struct {
	At      time.Time
	Summary string
	Differs bool
	Drift   []driftLine
	More    int
}

type driftLine struct {
	Object, Path, By string
	Action           apply.Action
	At               *time.Time
}

// linesShown bounds the tables of a page.
const linesShown = 200

func planPage(q *request) (any, error) {
	p, err := q.plan()
	if err != nil {
		return nil, err
	}
	v := planView{At: p.at, Summary: report.Summary(p.plan), Differs: p.plan.Differs(true)}
	for i := range p.plan.Changes {
		c := &p.plan.Changes[i]
		if c.Action == apply.Unchanged {
			continue
		}
		lines := []driftLine{}
		for _, f := range c.Fields {
			if f.By != "" {
				lines = append(lines, driftLine{Object: c.String(), Path: report.Line(f.Path), By: report.Line(f.By), Action: c.Action, At: f.At})
			}
		}
		if len(lines) == 0 {
			lines = append(lines, driftLine{Object: c.String(), Action: c.Action})
		}
		v.Drift = append(v.Drift, lines...)
	}
	if len(v.Drift) > linesShown {
		v.Drift, v.More = v.Drift[:linesShown], len(v.Drift)-linesShown
	}
	return v, nil
}

// planFrame is the page of `diff -o html` for the plan that the page around it shows.
func planFrame(q *request) (string, error) {
	q.board.mu.Lock()
	p := q.board.planned
	q.board.mu.Unlock()
	if p == nil {
		var err error
		if p, err = q.plan(); err != nil {
			return "", err
		}
	}
	return planHTML(p.plan, "")
}

func planHTML(plan *apply.Plan, against string) (string, error) {
	var out bytes.Buffer
	err := report.HTML(&out, []*apply.Plan{plan}, report.Options{Strict: true, Against: against})
	return out.String(), err
}

func (q *request) history() ([]record.Revision, error) {
	cluster, err := q.board.connected()
	if err != nil {
		return nil, err
	}
	return cluster.History(q.Context(), q.board.name, q.board.Desired.Namespace)
}

// revisionLine is a revision of the list.
type revisionLine struct {
	Number            int
	Time              time.Time
	Who, Git, Changes string
	Signed            bool
}

func revisionLineOf(r record.Revision) revisionLine {
	return revisionLine{
		Number: r.Number, Time: r.Time, Who: report.Line(r.Who), Git: report.Line(r.Git.String()),
		Changes: report.Changes(r.Changes), Signed: r.Authenticated,
	}
}

func historyPage(q *request) (any, error) {
	history, err := q.history()
	if err != nil {
		return nil, err
	}
	lines := make([]revisionLine, len(history))
	for i, r := range history {
		lines[i] = revisionLineOf(r)
	}
	return lines, nil
}

// revised is a revision with the one before it.
type revised struct {
	revisionLine
	Before int // zero where none is recorded
	plan   *apply.Plan
}

func (q *request) revision() (*revised, error) {
	number, err := strconv.Atoi(q.PathValue("revision"))
	if err != nil {
		return nil, errors.New("not a number of a revision")
	}
	history, err := q.history()
	if err != nil {
		return nil, err
	}
	cluster, err := q.board.connected()
	if err != nil {
		return nil, err
	}
	this, err := cluster.Revision(q.Context(), q.board.name, q.board.Desired.Namespace, number)
	if err != nil {
		return nil, err
	}
	r := &revised{revisionLine: revisionLineOf(*this)}
	var before *schema.Environment
	if at := slices.IndexFunc(history, func(r record.Revision) bool { return r.Number < number }); at >= 0 {
		last, err := cluster.Revision(q.Context(), q.board.name, q.board.Desired.Namespace, history[at].Number)
		if err != nil {
			return nil, err
		}
		r.Before, before = last.Number, last.Environment
	}
	r.plan = apply.Compare(before, this.Environment)
	return r, nil
}

func revisionPage(q *request) (any, error) {
	r, err := q.revision()
	if err != nil {
		return nil, err
	}
	return r, nil
}

func revisionFrame(q *request) (string, error) {
	r, err := q.revision()
	if err != nil {
		return "", err
	}
	against := "nothing: no revision before it is recorded"
	if r.Before > 0 {
		against = fmt.Sprintf("revision %d", r.Before)
	}
	return planHTML(r.plan, against)
}

func graphPage(*request) (any, error) { return nil, nil } //nolint:nilnil // the frame has it

func graphFrame(q *request) (string, error) {
	return q.board.Graph(q.lang, q.board.statuses()), nil
}

// traceView is the form and what came of it.
type traceView struct {
	URL   string
	URLs  []string
	Trace *Trace
}

func tracePage(q *request) (any, error) {
	v := traceView{URL: report.Line(q.FormValue("url")), URLs: q.board.URLs}
	if v.URL == "" {
		return v, nil
	}
	ctx, stop := context.WithTimeout(q.Context(), askTimeout)
	defer stop()
	trace, err := q.board.Trace(ctx, q.lang, v.URL)
	if err != nil {
		return v, err
	}
	for i := range trace.Hops {
		h := &trace.Hops[i]
		for j := range h.Live {
			h.Live[j] = q.text(h.Live[j])
		}
		h.Reason = q.text(h.Reason)
	}
	v.Trace = trace
	return v, nil
}

// eventLine is an Event of Kubernetes.
type eventLine struct {
	Last                          time.Time
	Type, Object, Reason, Message string
	Count                         int32
}

// eventsRead bounds what is read of each namespace.
const eventsRead = 1000

func eventsPage(q *request) (any, error) {
	cluster, err := q.board.connected()
	if err != nil {
		return nil, err
	}
	var all []eventLine
	for _, namespace := range namespacesOf(q.board.Desired) {
		from := cluster.Dynamic.Resource(corev1.SchemeGroupVersion.WithResource("events")).Namespace(namespace)
		left := eventsRead
		err := kube.Each(q.Context(), from, metav1.ListOptions{Limit: eventsRead}, func(live *unstructured.Unstructured) (bool, error) {
			var e corev1.Event
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &e); err == nil {
				all = append(all, q.event(&e))
			}
			left--
			return left > 0, nil
		})
		if err != nil {
			return all, fmt.Errorf("events of namespace %s: %w", namespace, err)
		}
	}
	slices.SortStableFunc(all, func(a, b eventLine) int { return b.Last.Compare(a.Last) })
	return all[:min(len(all), linesShown)], nil
}

func (q *request) event(e *corev1.Event) eventLine {
	last := e.LastTimestamp.Time
	for _, at := range []time.Time{e.EventTime.Time, e.CreationTimestamp.Time} {
		if last.IsZero() {
			last = at
		}
	}
	count := e.Count
	if e.Series != nil {
		count, last = e.Series.Count, e.Series.LastObservedTime.Time
	}
	object := e.InvolvedObject
	return eventLine{
		Last: last, Type: q.text(e.Type), Reason: q.text(e.Reason), Message: q.text(e.Message), Count: max(count, 1),
		Object: q.text(schema.Ref{Kind: object.Kind, Namespace: object.Namespace, Name: object.Name}.String()),
	}
}

func namespacesOf(env *schema.Environment) []string {
	var all []string
	for _, u := range env.Units {
		for _, o := range u.Objects {
			if ns := o.GetNamespace(); ns != "" && !slices.Contains(all, ns) {
				all = append(all, ns)
			}
		}
	}
	slices.Sort(all)
	return all
}
