package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Rendering is what the source has: the environments to keep level.
type Rendering struct {
	// Version tells two states of the source apart, such as a commit.
	Version      string
	Git          record.GitInfo
	Environments []*schema.Environment
	// Siblings are rendered because they share a cluster with those.
	Siblings []*schema.Environment
	// Incomplete says that one that shares a cluster does not evaluate: while that
	// is so nothing is pruned, because it may be what desires it.
	Incomplete bool
	// Descends tells whether Git.Commit descends from another commit. Where it is not
	// nil, what does not descend from the commit that was applied last is refused.
	Descends func(commit string) bool
	// Wrong says of environments that do not evaluate what is wrong with them.
	Wrong map[string]error
}

// GivenUp says why an environment was not evaluated to its end, or the source not read.
// It quotes nothing of either, so that it may be shown to anybody.
type GivenUp string

func (e GivenUp) Error() string { return string(e) }

// DaemonOptions bend Run. Render, Connect and Log are required; zero values of the
// others are sensible.
type DaemonOptions struct {
	Mode     Mode
	ListOnly bool
	Who      string // names the daemon in locks and the history
	Replica  string // names this process of it in the election and in Events
	// Render returns the present state of the source, or nil where that is still
	// the version it is given.
	Render func(ctx context.Context, last string) (*Rendering, error)
	// Connect returns the connection to the cluster of an environment.
	Connect func(*schema.Environment) (*apply.Cluster, error)
	// Notify is called with what people may want to be told; it must not block.
	Notify func(Notice)
	Log    *slog.Logger

	Interval     time.Duration // between looks at the source; zero means a minute
	FullInterval time.Duration // between passes over everything; zero means ten minutes
	Timeout      time.Duration // for the health of a unit that new content is applied to
	FailAfter    time.Duration // apply.ApplyOptions.FailAfter

	// FightLimit corrections of one field within FightWindow are a fight; the
	// object is then left alone for FightCoolDown. Zero means 5 in ten minutes, and
	// an hour.
	FightLimit                 int
	FightWindow, FightCoolDown time.Duration

	// Listen is where /metrics, /healthz and /readyz are served; nil is nowhere.
	Listen net.Listener
	// Lease is where replicas elect the one that works; without it this is the only
	// one.
	Lease *Lease
}

// Lease names the Lease of the election, and the cluster that holds it.
type Lease struct {
	Config          *rest.Config
	Namespace, Name string
	// Duration is how long a leader that died is waited for; zero means 15 seconds.
	Duration time.Duration
}

// lateAfter is how many intervals the source may take to answer, or may not answer,
// before the daemon is not ready.
const lateAfter = 3

// daemon is one run of Run.
type daemon struct {
	opts    DaemonOptions
	log     *slog.Logger
	metrics *metrics

	looks sync.Mutex // one look at a time

	mu      sync.Mutex // of what follows
	version string
	workers map[string]*worker
	start   func(*worker)
	broken  error             // why the source does not answer; errFirst before the first look
	wrong   map[string]string // environments whose newest state does not evaluate, and why
	looking time.Time         // since when a look is under way
	read    time.Time         // when the source was read last

	work    sync.Mutex // held while leading
	elected sync.Mutex // of what follows
	lease   *seenLock  // the lease while this replica waits for it, else nil
}

// Run keeps environments level until ctx ends, and then stops at the next write,
// gives back its locks and the lease, and returns nil.
func Run(ctx context.Context, opts DaemonOptions) error {
	opts.Interval = cmp.Or(opts.Interval, time.Minute)
	opts.FullInterval = cmp.Or(opts.FullInterval, 10*time.Minute)
	opts.FightLimit = cmp.Or(opts.FightLimit, 5)
	opts.FightWindow = cmp.Or(opts.FightWindow, 10*time.Minute)
	opts.FightCoolDown = cmp.Or(opts.FightCoolDown, time.Hour)
	opts.Timeout = cmp.Or(opts.Timeout, 5*time.Minute)
	d := &daemon{opts: opts, log: opts.Log, metrics: newMetrics(), broken: errFirst}
	d.log.Info("started", "mode", opts.Mode, "interval", opts.Interval, "fullInterval", opts.FullInterval, "election", opts.Lease != nil)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	served := make(chan error, 1)
	if opts.Listen != nil {
		go func() { served <- d.serve(serving) }()
	} else {
		served <- nil
	}
	var err error
	if opts.Lease == nil {
		d.metrics.leader.Set(1)
		d.lead(ctx)
	} else {
		err = d.elect(ctx)
	}
	stop()
	d.log.Info("stopped")
	return errors.Join(err, <-served)
}

// lead works until ctx ends and all that was begun has ended.
func (d *daemon) lead(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	d.mu.Lock()
	d.version, d.workers, d.broken, d.wrong, d.read = "", map[string]*worker{}, errFirst, nil, time.Time{}
	d.start = func(w *worker) {
		var working context.Context
		working, w.stop = context.WithCancel(ctx)
		running.Go(func() { w.run(working) })
	}
	d.mu.Unlock()
	wait := time.Second
	for ctx.Err() == nil {
		err := d.look(ctx)
		if err == nil {
			wait = time.Second
			_ = pause.About(ctx, d.opts.Interval)
			continue
		}
		_ = pause.About(ctx, min(wait, d.opts.Interval))
		wait *= 2
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		w.stop()
	}
	d.workers, d.start = nil, nil
}

// look asks the source for news and hands them to the workers.
func (d *daemon) look(ctx context.Context) error {
	d.looks.Lock()
	defer d.looks.Unlock()
	d.mu.Lock()
	version, leads := d.version, d.start != nil
	d.looking = time.Now()
	d.mu.Unlock()
	if !leads {
		return context.Canceled
	}
	var r *Rendering
	err := contain.Call(func() (err error) {
		r, err = d.opts.Render(ctx, version)
		return err
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looking = time.Time{}
	if ctx.Err() != nil || d.start == nil {
		return cmp.Or(ctx.Err(), context.Canceled)
	}
	if err != nil {
		d.metrics.sourceErrors.Inc()
		if d.broken == nil || d.broken.Error() != err.Error() {
			d.log.Error("source", "error", err)
			d.notify(Notice{Kind: NoticeFailed, Text: "source: " + err.Error()})
		}
		d.broken = err
		return err
	}
	if d.broken != nil && !errors.Is(d.broken, errFirst) {
		d.log.Info("source answers again")
		d.notify(Notice{Kind: NoticeRecovered, Text: "the source answers again"})
	}
	d.broken, d.read = nil, time.Now()
	d.metrics.sourceSuccess.SetToCurrentTime()
	if r == nil {
		return nil
	}
	d.version = r.Version
	d.metrics.source.Reset()
	d.metrics.source.WithLabelValues(cmp.Or(r.Git.Commit, "none")).Set(1)
	d.log.Info("rendered", "version", r.Version, "environments", len(r.Environments), "wrong", len(r.Wrong))
	d.hand(r)
	return nil
}

// hand gives each environment to its worker. One that does not evaluate keeps its
// last good state; one that is no longer there is no longer kept level, and nothing
// of it is deleted.
func (d *daemon) hand(r *Rendering) {
	present := map[string]bool{}
	d.wrong = map[string]string{}
	wrong := map[string]error{}
	maps.Copy(wrong, r.Wrong)
	for _, env := range r.Environments {
		present[env.Name] = true
		var c *content
		if err := contain.Call(func() error { c = newContent(env, r); return nil }); err != nil {
			wrong[env.Name] = err
			continue
		}
		w := d.workers[env.Name]
		if w == nil {
			w = newWorker(d, env.Name)
			d.workers[env.Name] = w
			d.start(w)
		}
		d.metrics.broken.WithLabelValues(env.Name).Set(0)
		w.inbox.render(c)
	}
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		present[name] = true
		d.wrong[name] = "does not evaluate, the log says why"
		if why, ok := errors.AsType[GivenUp](wrong[name]); ok {
			d.wrong[name] = why.Error()
		}
		d.metrics.broken.WithLabelValues(name).Set(1)
		d.log.Error("the environment does not evaluate; the last good state stands", "environment", name, "version", r.Version, "error", wrong[name])
		d.notify(Notice{Environment: name, Kind: NoticeFailed, Text: fmt.Sprintf("%s does not evaluate, the last good state stands: %v", orUnknown(r.Git.String()), wrong[name])})
		if w := d.workers[name]; w != nil {
			w.inbox.wrong(fmt.Sprintf("%s does not evaluate, the last good state stands", orUnknown(r.Git.String())))
		}
	}
	for name, w := range d.workers {
		if !present[name] {
			d.log.Warn("the environment is gone from the source; it is left as it is", "environment", name)
			w.stop()
			delete(d.workers, name)
			d.metrics.forget(name)
		}
	}
}

func (d *daemon) notify(n Notice) {
	if d.opts.Notify != nil {
		n.Time = time.Now()
		d.opts.Notify(n)
	}
}

// ready says why the daemon is not doing its work, or nil. A replica that waits
// for its turn is ready as long as it can see the lease. Nobody is asked for it:
// whoever asks for this may ask often.
func (d *daemon) ready() error {
	if lease := d.waiting(); lease != nil {
		return lease.ready()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	switch since := time.Since(d.read); {
	case d.broken == nil:
	case len(d.workers) == 0:
		return errors.New(unquoted("source", d.broken))
	case since > lateAfter*d.opts.Interval:
		errs = append(errs, fmt.Errorf("%s; read last %s ago, the last good state stands", unquoted("source", d.broken), since.Round(time.Second)))
	}
	if since := time.Since(d.looking); !d.looking.IsZero() && since > lateAfter*d.opts.Interval {
		errs = append(errs, fmt.Errorf("the source is being read or rendered since %s", since.Round(time.Second)))
	}
	for _, name := range slices.Sorted(maps.Keys(d.wrong)) {
		errs = append(errs, fmt.Errorf("environment %s at %s: %s", name, d.version, d.wrong[name]))
	}
	for _, w := range d.workers {
		errs = append(errs, w.ready())
	}
	return errors.Join(errs...)
}

// unquoted is an error without what a server says or how it is reached: whoever may ask
// for it is not known. what is what it is about.
func unquoted(what string, err error) string {
	if limit, ok := errors.AsType[GivenUp](err); ok {
		return what + ": " + limit.Error()
	}
	if errors.Is(err, errFirst) || errors.Is(err, errNoWatch) {
		return what + ": " + err.Error()
	}
	if errors.As(err, new(*hint.Refused)) {
		return what + ": refused by a guard, the log says why"
	}
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return fmt.Sprintf("%s: the API server says %q, the log says why", what, reason)
	}
	return what + ": failed, the log says why"
}
