package reconcile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

const (
	// burst is how long to let events gather: one edit seldom comes alone.
	burst = 40 * time.Millisecond
	// recheck is how often an object that is known to differ, and that nothing is
	// done about, is looked at again while its status moves.
	recheck = 10 * time.Second
	// settling is how long after a correction health is judged.
	settling = 30 * time.Second

	backOffLeast = time.Second
	backOffMost  = 30 * time.Second
	// thorough is how often the server is asked about every object, certified or
	// not: what webhooks make of them may have changed.
	thorough = 24 * time.Hour
)

// worker keeps one environment level. One goroutine runs it and owns its fields;
// streams and the source reach it through the inbox.
type worker struct {
	d      *daemon
	name   string
	log    *slog.Logger
	inbox  *inbox
	fights *fights

	content *content
	next    *content // not begun yet
	cluster *apply.Cluster
	target  schema.Cluster // that cluster is a connection to
	unwatch func()
	stop    func() // ends run; called by the daemon

	drifted  map[schema.Ref]known // what differs and is still there, and what was said of it
	checked  map[schema.Ref]time.Time
	put      map[schema.Ref]bool // off until putUntil
	putUntil time.Time
	said     map[NoticeKind]string // the last notice of a kind that goes on
	blocked  bool                  // new content could not be applied as a whole
	wait     time.Duration         // back-off
	nextTry  time.Time
	nextFull time.Time
	nextLook time.Time // at health
	deepest  time.Time // the last thorough pass

	mu      sync.Mutex
	problem error // of the last pass; errFirst before the first
	streams []*stream
}

var errFirst = errors.New("not looked at yet")

func newWorker(d *daemon, name string) *worker {
	return &worker{
		d: d, name: name, log: d.log.With("environment", name), inbox: newInbox(),
		fights:  newFights(d.opts.FightLimit, d.opts.FightWindow, d.opts.FightCoolDown),
		unwatch: func() {}, drifted: map[schema.Ref]known{}, checked: map[schema.Ref]time.Time{},
		put: map[schema.Ref]bool{}, said: map[NoticeKind]string{}, wait: backOffLeast, problem: errFirst,
	}
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	defer func() { w.unwatch() }()
	for w.await(ctx) {
		letter := w.inbox.take()
		if err := contain.Call(func() error { return w.open(ctx, letter) }); err != nil {
			w.failed(ctx, err, letter)
		}
	}
}

// open does what a letter is about. An error is one of new content that could not be
// begun.
func (w *worker) open(ctx context.Context, letter letter) error {
	if c := letter.content; c != nil && w.next == nil && w.content != nil && c.digest == w.content.digest {
		// Another commit with the same content of this environment.
		c.certifier = w.content.certifier
		w.content = c
	} else if c != nil {
		w.next = c
	}
	if w.next != nil {
		if err := w.begin(ctx, w.next); err != nil {
			return err
		}
		w.next, letter.full = nil, "new content"
	}
	if letter.wrong != "" {
		w.event(ctx, "Warning", "SourceBroken", letter.wrong)
	}
	if w.content != nil {
		w.work(ctx, letter)
	}
	return nil
}

// await waits until there is something to do; false means the end.
func (w *worker) await(ctx context.Context) bool {
	for {
		next := w.nextFull
		if len(w.put) > 0 && w.putUntil.Before(next) {
			next = w.putUntil
		}
		if !w.nextLook.IsZero() && w.nextLook.Before(next) {
			next = w.nextLook
		}
		if w.content == nil {
			next = time.Now().Add(time.Hour)
		}
		if w.nextTry.After(time.Now()) {
			next = w.nextTry
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-w.inbox.signal:
			timer.Stop()
			if time.Now().Before(w.nextTry) && !w.inbox.fresh() {
				continue
			}
		case <-timer.C:
		}
		_ = pause.About(ctx, burst)
		return ctx.Err() == nil
	}
}

// begin takes over a new rendering and watches what it renders.
func (w *worker) begin(ctx context.Context, c *content) error {
	if w.cluster == nil || w.target != c.env.Cluster {
		cluster, err := w.d.opts.Connect(c.env)
		if err != nil {
			return err
		}
		w.cluster, w.target = cluster, c.env.Cluster
		w.d.metrics.uses(cluster)
	}
	streams, err := w.newStreams(ctx, c)
	if err != nil {
		return err
	}
	w.unwatch()
	watching, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(len(streams))
	for _, s := range streams {
		first := sync.OnceFunc(begun.Done)
		s.begun = func() {
			first()
			w.inbox.everything("a watch began")
		}
		s.lame = func() { w.inbox.everything("a watch fails") }
		running.Go(func() {
			defer first()
			s.Run(watching)
		})
	}
	w.unwatch = func() { stop(); running.Wait() }
	w.mu.Lock()
	w.streams = streams
	w.mu.Unlock()
	w.content, w.blocked, w.nextTry, w.wait = c, false, time.Time{}, backOffLeast
	w.fights.reset()
	w.awaitStreams(ctx, &begun)
	_ = w.inbox.take() // the pass that follows sees all of it
	return nil
}

// awaitStreams waits for the watches to begin, but not for a kind that the server
// does not answer for.
func (w *worker) awaitStreams(ctx context.Context, begun *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { defer close(done); begun.Wait() }()
	timer := time.NewTimer(5 * time.Second)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// newStreams makes a stream for each kind and namespace of an environment. A kind
// that the server does not serve yet has none until the next rendering, or until
// the full pass that brought it.
func (w *worker) newStreams(ctx context.Context, c *content) ([]*stream, error) {
	selector := schema.LabelPartOf + "=" + schema.ApplySetID(c.env.Name, c.env.Namespace)
	var streams []*stream
	for _, place := range c.certifier.Places() {
		mapping, err := w.cluster.Mapper.RESTMappingWithContext(ctx, place.GVK.GroupKind(), place.GVK.Version)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var client dynamic.ResourceInterface = w.cluster.Dynamic.Resource(mapping.Resource)
		if place.Namespace != "" {
			client = w.cluster.Dynamic.Resource(mapping.Resource).Namespace(place.Namespace)
		}
		streams = append(streams, newStream(client, selector, w.seen(c.certifier)))
	}
	return streams, nil
}

// seen judges one event of a stream.
func (w *worker) seen(certifier *apply.Certifier) func(watch.EventType, *unstructured.Unstructured) {
	return func(kind watch.EventType, obj *unstructured.Unstructured) {
		w.d.metrics.events.WithLabelValues(w.name).Inc()
		if kind == watch.Deleted {
			// It may only have left the selector; the pass asks.
			if ref, ok := certifier.Gone(obj); ok {
				w.inbox.touch(ref)
			}
			return
		}
		switch ref, verdict := certifier.Certify(obj); verdict {
		case apply.Doubtful:
			w.inbox.touch(ref)
		case apply.Stranger:
			if kind == watch.Added {
				w.inbox.everything("a member that is not rendered")
			}
		}
	}
}

// work does what a letter asks for, and what is due.
func (w *worker) work(ctx context.Context, l letter) {
	now := time.Now()
	if !now.Before(w.nextFull) && l.full == "" {
		l.full = "now and then"
	}
	if l.full == "" {
		l.touched = w.due(now, l.touched)
		if w.blocked && len(l.touched) > 0 {
			// Only a pass over everything can end that, and it comes soon.
			w.nextFull = minTime(w.nextFull, now.Add(w.d.opts.Interval))
			l.touched = nil
		}
	}
	var err error
	if l.full != "" || len(l.touched) > 0 {
		err = w.pass(ctx, l)
	}
	if err == nil && !w.nextLook.IsZero() && !time.Now().Before(w.nextLook) {
		err = w.look(ctx)
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errStale):
		w.inbox.giveBack(l)
	case errors.Is(err, errNewContent):
		w.inbox.everything(err.Error())
	case err != nil:
		w.failed(ctx, err, l)
	default:
		w.recovered(ctx)
	}
}

// due leaves out objects that are known to differ and were looked at just now, and
// adds those that were put off long enough.
func (w *worker) due(now time.Time, touched []schema.Ref) []schema.Ref {
	if len(w.put) > 0 && !now.Before(w.putUntil) {
		for ref := range w.put {
			if !slices.Contains(touched, ref) {
				touched = append(touched, ref)
			}
		}
		clear(w.put)
		return touched
	}
	return slices.DeleteFunc(touched, func(ref schema.Ref) bool {
		if _, differs := w.drifted[ref]; differs && now.Sub(w.checked[ref]) < recheck {
			w.putOff(ref, now.Add(recheck))
			return true
		}
		return false
	})
}

func (w *worker) putOff(ref schema.Ref, until time.Time) {
	if len(w.put) == 0 || until.Before(w.putUntil) {
		w.putUntil = until
	}
	w.put[ref] = true
}

// putOffSkipped looks again at what is left alone, because what ends that need not
// touch the object: a deploy ends, an app is resumed, a fight is over.
func (w *worker) putOffSkipped(now time.Time) {
	const many = 100 // a pass over everything is cheaper
	n := 0
	for ref, k := range w.drifted {
		if k.reason == "" {
			continue
		}
		if n++; n > many {
			w.nextFull = minTime(w.nextFull, now.Add(w.d.opts.Interval))
			return
		}
		if k.reason == ReasonLocked {
			w.putOff(ref, now.Add(recheck))
		} else {
			w.putOff(ref, now.Add(max(recheck, w.d.opts.Interval)))
		}
	}
}

// pass looks at everything, or at what was touched.
func (w *worker) pass(ctx context.Context, l letter) error {
	started := time.Now()
	opts := Options{
		Mode: w.d.opts.Mode, NoWait: true, Confirm: w.confirm, Descends: w.content.descends,
		Plan: apply.PlanOptions{Siblings: w.content.siblings, ListOnly: w.d.opts.ListOnly},
		Apply: apply.ApplyOptions{
			Timeout: w.d.opts.Timeout, FailAfter: w.d.opts.FailAfter, Who: w.d.opts.Who, Git: w.content.git, NoPrune: w.content.noPrune, On: w.logEvent,
		},
	}
	kind := "touched"
	if l.full != "" {
		kind = "full"
		opts.Plan.Full = !w.d.opts.ListOnly && !w.deepest.IsZero() && started.Sub(w.deepest) > thorough
		w.log.Debug("full pass", "why", l.full)
	} else {
		opts.Plan.Objects = l.touched
	}
	out, err := Pass(ctx, w.cluster, w.content.env, opts)
	if out != nil {
		w.content.certifier.Learn(&out.Plan)
		w.account(ctx, out, l, started)
	}
	w.d.metrics.passes.WithLabelValues(w.name, kind).Observe(time.Since(started).Seconds())
	if out == nil || !said(err) {
		return err
	}
	w.tell(ctx, err)
	if kind == "full" {
		w.blocked = err != nil && out.applied
		if opts.Plan.Full || w.deepest.IsZero() {
			w.deepest = started
		}
		w.nextFull = time.Now().Add(w.fullInterval())
		w.nextLook = time.Now()
		if out.applied && err == nil {
			w.rewatch(ctx)
		}
	}
	if !out.again.IsZero() { // no event tells that the time of a scale is over
		w.nextFull = minTime(w.nextFull, out.again)
	}
	w.putOffSkipped(time.Now())
	w.d.metrics.success.WithLabelValues(w.name).SetToCurrentTime()
	return nil
}

// fullInterval is how long until everything is looked at again: sooner where no
// watch tells of changes.
func (w *worker) fullInterval() time.Duration {
	if slices.ContainsFunc(w.streams, (*stream).isBlind) {
		return w.d.opts.Interval
	}
	return w.d.opts.FullInterval
}

// rewatch watches kinds that the server has known since new content was applied.
func (w *worker) rewatch(ctx context.Context) {
	streams, err := w.newStreams(ctx, w.content)
	if err == nil && len(streams) > len(w.streams) {
		again := *w.content
		again.digest = [sha256.Size]byte{}
		w.inbox.render(&again)
	}
}

// said reports whether an error is an answer that trying again soon would not
// change.
func said(err error) bool {
	if err == nil {
		return true
	}
	var refused *hint.Refused
	var unhealthy *health.NotHealthy
	var stays *apply.NotGone
	var failed *apply.CanaryFailed
	return errors.As(err, &refused) || errors.As(err, &unhealthy) || errors.As(err, &stays) || errors.As(err, &failed)
}

// errStale ends a pass because there is newer content.
var errStale = errors.New("there is a newer rendering")

// confirm looks at the source again before anything is made of content that is not
// what was applied last: somebody may have applied a newer commit. Where the source
// does not answer, nothing is done.
func (w *worker) confirm(ctx context.Context) error {
	if err := w.d.look(ctx); err != nil {
		return fmt.Errorf("the cluster has other content than was rendered, and which of them is newer is not known: %w", err)
	}
	if w.inbox.fresh() {
		return errStale
	}
	return nil
}

// failed notes an error that trying again may cure.
func (w *worker) failed(ctx context.Context, err error, l letter) {
	w.inbox.giveBack(l)
	w.nextTry = time.Now().Add(w.wait)
	w.log.Error("pass failed", "error", err, "again", w.wait)
	w.wait = min(2*w.wait, backOffMost)
	w.d.metrics.errors.WithLabelValues(w.name).Inc()
	w.setProblem(err)
	if w.wait >= backOffMost { // a hiccup is nothing to wake anybody for
		w.say(ctx, NoticeFailed, err.Error())
	}
}

func (w *worker) recovered(ctx context.Context) {
	w.wait, w.nextTry = backOffLeast, time.Time{}
	w.setProblem(nil)
	if w.said[NoticeFailed] != "" {
		delete(w.said, NoticeFailed)
		w.say(ctx, NoticeRecovered, "reconciles again")
	}
}

func (w *worker) setProblem(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem = err
}

// ready says why the environment is not being kept level, or nil.
func (w *worker) ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.problem != nil {
		return errors.New(unquoted("environment "+w.name, w.problem))
	}
	for _, s := range w.streams {
		if err := s.blind(); err != nil {
			return errors.New(unquoted("environment "+w.name+": no watch", err))
		}
	}
	return nil
}

// look judges health, for the metrics.
func (w *worker) look(ctx context.Context) error {
	w.nextLook = time.Time{}
	status, err := w.cluster.Status(ctx, w.content.env, apply.StatusOptions{})
	if err != nil {
		return err
	}
	w.d.metrics.setHealth(w.name, status)
	return nil
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
