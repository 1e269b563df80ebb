// Package follow stays level with the objects of one kind in one namespace: it
// reads what is there, and watches from there on, for as long as its context
// lives. A watch that ends in its own time is renewed. One that fails again and
// again, or hears nothing, is made up for by reading anew where that is wanted, at
// intervals that grow to a bound.
//
// client-go has two of these. RetryWatcher ends at an answer that it does not
// know, never reads again and does not notice a silent connection. Reflector
// watches again without reading for as long as the answer is 429, keeps all
// objects, and tells nobody since when it knows nothing.
package follow

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
)

// Stream follows one kind. Its exported fields are set before Run.
type Stream struct {
	Client         dynamic.ResourceInterface
	Labels, Fields string // selectors
	// Read reads what is there and returns the version that it is at.
	Read func(ctx context.Context) (version string, err error)
	// Seen is called with every event that is no bookmark.
	Seen func(watch.EventType, *unstructured.Unstructured)
	// Told is called when the state has changed; it may be nil.
	Told func()
	// Version is where to begin to watch; empty means to read first.
	Version string
	// ReadAfter is how many watches in a row may fail before everything is read
	// anew each time. With zero it is read only when the server no longer has the
	// version that the last watch came to.
	ReadAfter int
	// Most is the longest pause between attempts, Denied the pause where the right
	// to read or to watch is missing.
	Most, Denied time.Duration

	mu        sync.Mutex
	state     State
	again     bool               // a read is asked for
	interrupt context.CancelFunc // ends the watch or the pause of this round
}

// State is what is known of a stream.
type State struct {
	First time.Time // when the first read was answered; zero: not yet
	Read  time.Time // when the last read that was answered was sent
	Sent  time.Time // when the read or watch was sent that has no answer yet; zero: there is none
	Heard time.Time // when the server was last heard, by a read or an event; the start before that
	Down  time.Time // since when there is no watch; zero while there is one
	// Failed is how many watches have failed since one worked.
	Failed int
	// Err is why there is no watch, Unread why the last read failed. Denied is the
	// missing right, Unauthorized is set when credentials were refused twice in a
	// row: what keeps them in a file or a helper has renewed them in between.
	Err, Unread, Denied, Unauthorized error
}

// State returns what is known now.
func (s *Stream) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Again has everything read anew, at once. A read that is under way is let end.
func (s *Stream) Again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = true
	if s.interrupt != nil {
		s.interrupt()
	}
}

const (
	backOffLeast = 200 * time.Millisecond
	// lived is how long a watch must have lasted to count as one that worked.
	lived = 5 * time.Second
	// begins is how long a server may take to begin a watch.
	begins = 10 * time.Second
	// silentMost is how long a watch may hear nothing whose server sends
	// bookmarks: it sends one a minute.
	silentMost = 90 * time.Second
	// readLeast is how long the first attempt to read may take; the limit doubles
	// with every attempt up to readMost.
	readLeast = 10 * time.Second
	readMost  = 80 * time.Second
)

// errSilent ends watches that the server does not begin, or sends nothing on.
var errSilent = errors.New("the watch hears nothing")

// follower is a running stream.
type follower struct {
	*Stream
	version   string
	failures  int // watches that failed since one worked
	refusals  int // answers in a row that refuse the credentials
	wait      time.Duration
	mayRead   time.Duration
	bookmarks bool // the server sends them
}

// Run follows until ctx ends.
func (s *Stream) Run(ctx context.Context) {
	f := &follower{Stream: s, version: s.Version, wait: backOffLeast, mayRead: readLeast}
	s.change(func(st *State) { st.Heard, st.Down = time.Now(), time.Now() })
	for ctx.Err() == nil {
		f.round(ctx)
	}
}

// round reads if that is due, follows one watch to its end, and pauses if it
// ended badly.
func (f *follower) round(ctx context.Context) {
	round, cancel := context.WithCancel(ctx)
	defer cancel()
	f.begin(cancel)
	var worked bool
	err := contain.Call(func() (err error) {
		worked, err = f.step(ctx, round)
		return err
	})
	switch {
	case round.Err() != nil:
		return // everything is to be read anew, or this is the end
	case err == nil && worked:
		return // servers end watches after some minutes
	case apierrors.IsForbidden(err):
		f.change(func(st *State) { st.Denied, st.Err = err, err })
		f.version, f.failures = "", 0
		_ = pause.About(round, f.Denied)
		return
	case apierrors.IsGone(err), apierrors.IsResourceExpired(err):
		f.version = ""
	case errors.Is(err, errSilent), apierrors.IsUnauthorized(err):
		f.failures = max(f.failures, f.ReadAfter) // it will hardly be better the next time
	case apierrors.IsTooManyRequests(err):
		f.wait = max(f.wait, time.Second)
	}
	f.failures++
	f.failed(err)
	_ = pause.About(round, f.wait)
	f.wait = min(2*f.wait, f.Most)
}

// begin notes how to end the round, and whether a read was asked for before it.
func (f *follower) begin(cancel context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.again {
		f.again, f.version = false, ""
	}
	f.interrupt = cancel
}

// step reads if that is due and follows one watch. It reports whether the watch
// worked for a while.
func (f *follower) step(ctx, round context.Context) (worked bool, err error) {
	if f.version == "" || f.ReadAfter > 0 && f.failures >= f.ReadAfter {
		version, err := f.read(ctx)
		if err != nil {
			return false, err
		}
		f.version = version
	}
	began := time.Now()
	version, err := f.watch(round)
	worked = version != f.version || time.Since(began) > lived && !errors.Is(err, errSilent)
	if worked {
		f.version, f.failures, f.wait = version, 0, backOffLeast
		f.change(func(st *State) { st.Failed = 0 })
	}
	return worked, err
}

// read reads everything. A server that is slow is given more time by and by, one
// that hangs is not waited for.
func (f *follower) read(ctx context.Context) (string, error) {
	sent := time.Now()
	reading, cancel := context.WithTimeout(ctx, f.mayRead)
	defer cancel()
	f.change(func(st *State) { st.Sent = sent })
	version, err := f.Read(reading)
	if err != nil {
		if reading.Err() != nil {
			f.mayRead = min(2*f.mayRead, readMost)
		}
		f.change(func(st *State) { st.Sent, st.Unread = time.Time{}, err })
		return "", err
	}
	f.mayRead, f.refusals = readLeast, 0
	f.change(func(st *State) {
		st.Read, st.Sent, st.Heard, st.Unread, st.Unauthorized = sent, time.Time{}, time.Now(), nil, nil
		if st.First.IsZero() {
			st.First = st.Heard
		}
	})
	return version, nil
}

// watch follows one watch, of five to ten minutes, to its end and returns the
// version that it came to.
func (f *follower) watch(ctx context.Context) (string, error) {
	version, seconds := f.version, 300+rand.Int64N(300)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slow := time.AfterFunc(begins, func() { cancel(errSilent) })
	f.change(func(st *State) { st.Sent = time.Now() })
	w, err := f.Client.Watch(ctx, metav1.ListOptions{
		LabelSelector: f.Labels, FieldSelector: f.Fields, ResourceVersion: version,
		AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
	})
	slow.Stop()
	f.change(func(st *State) { st.Sent = time.Time{} })
	if err != nil {
		if errors.Is(context.Cause(ctx), errSilent) {
			err = errSilent
		}
		return version, err
	}
	defer w.Stop()
	f.refusals = 0
	f.change(func(st *State) { st.Down, st.Err, st.Denied = time.Time{}, nil, nil })
	defer f.change(func(st *State) { st.Down = time.Now() })
	longest := time.Duration(seconds)*time.Second + begins
	silence := time.NewTimer(longest)
	defer silence.Stop()
	for {
		select {
		case <-silence.C:
			return version, errSilent
		case event, more := <-w.ResultChan():
			if !more {
				return version, nil
			}
			if event.Type == watch.Error {
				return version, apierrors.FromObject(event.Object)
			}
			obj, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				continue
			}
			version = obj.GetResourceVersion()
			if event.Type == watch.Bookmark {
				f.bookmarks = true
			} else {
				f.Seen(event.Type, obj)
			}
			f.heard()
			if f.bookmarks {
				longest = silentMost
			}
			silence.Reset(longest)
		}
	}
}

// heard notes that the watch works.
func (s *Stream) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Heard, s.state.Unread = time.Now(), nil
}

// failed notes why there is no watch. A watch that was closed without a word
// leaves the former reason.
func (f *follower) failed(err error) {
	switch {
	case apierrors.IsUnauthorized(err):
		f.refusals++
	case err != nil:
		f.refusals = 0
	}
	f.change(func(st *State) {
		st.Failed = f.failures
		if err != nil {
			st.Err = err
		}
		if st.Down.IsZero() {
			st.Down = time.Now()
		}
		if f.refusals > 1 && apierrors.IsUnauthorized(st.Unread) {
			st.Unauthorized = st.Unread
		}
	})
}

func (s *Stream) change(do func(*State)) {
	s.mu.Lock()
	do(&s.state)
	s.mu.Unlock()
	if s.Told != nil {
		s.Told()
	}
}
