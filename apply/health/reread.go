package health

import (
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// lastRead is how long to wait, after the timeout, for what the verdict is read
// from.
const lastRead = 10 * time.Second

// over notes that the time is over: what is read from now on decides.
func (g *gate) over(timeout time.Duration, now time.Time) {
	g.timeout = timeout
	g.ask(now)
}

// ask has everything read once more that says why targets are not healthy.
func (g *gate) ask(now time.Time) {
	g.asked = now
	for _, s := range g.streams() {
		if s.denied() == nil {
			s.Again()
		}
	}
}

// fresh says that all of it has been read since it was asked for.
func (g *gate) fresh() bool {
	if g.asked.IsZero() {
		return false
	}
	for _, s := range g.streams() {
		if !s.readSince(g.asked) {
			return false
		}
	}
	return true
}

// notKnown is the error where it has not been read in time.
func (g *gate) notKnown() error {
	for _, s := range g.streams() {
		if !s.readSince(g.asked) {
			return fmt.Errorf("not known to be healthy after %s: %w", g.timeout, s.unanswered())
		}
	}
	return fmt.Errorf("not known to be healthy after %s", g.timeout)
}

// streams are those that the targets are judged by which are not healthy.
func (g *gate) streams() []*stream {
	seen := map[streamKey]bool{}
	var out []*stream
	for _, t := range g.targets {
		if t.update.State == Healthy {
			continue
		}
		for _, s := range g.w.streamsOf(t) {
			if !seen[s.key] {
				seen[s.key] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// streamsOf are the running streams that a target is judged by.
func (w *Watcher) streamsOf(t *tracked) []*stream {
	keys := append(relatedStreams(t.GVK.GroupKind(), t.Namespace),
		w.memberStream(t.key), streamKey{GroupVersionResource: claimsResource(), namespace: t.Namespace})
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*stream
	for _, key := range keys {
		if s, ok := w.streams[key]; ok {
			out = append(out, s)
		}
	}
	return out
}

// readSince says whether the stream has been read since a time, or cannot be.
func (s *stream) readSince(asked time.Time) bool {
	state := s.State()
	s.mu.Lock()
	defer s.mu.Unlock()
	polls := state.Denied != nil || len(s.checks) > 0
	if s.sink == nil && polls && s.polled.Before(asked) {
		return false
	}
	return state.Denied != nil || !state.Read.Before(asked)
}

// unanswered is the error of a stream that has not been read.
func (s *stream) unanswered() error {
	state := s.State()
	s.mu.Lock()
	defer s.mu.Unlock()
	why, since := state.Unread, state.Heard
	if state.Denied != nil {
		why, since = s.unpolled, later(since, s.polled)
	}
	since = since.UTC().Truncate(time.Second)
	var said apierrors.APIStatus
	switch {
	case why == nil:
		return fmt.Errorf("no answer from the API server since %s", since.Format(time.RFC3339))
	case errors.As(why, &said):
		return fmt.Errorf("nothing but errors from the API server since %s: %s: %w", since.Format(time.RFC3339), s.key.Resource, why)
	}
	return fmt.Errorf("no answer from the API server since %s: %s: %w", since.Format(time.RFC3339), s.key.Resource, why)
}

// unreadFor is how long a stream may not be read before that is said.
const unreadFor = 5 * time.Second

// unread says that a stream is not being read, for longer than a hiccup.
func (s *stream) unread(now time.Time) bool {
	state := s.State()
	s.mu.Lock()
	defer s.mu.Unlock()
	if state.Denied != nil {
		return s.unpolled != nil && now.Sub(s.polled) > unreadFor
	}
	pending := !state.Sent.IsZero() && now.Sub(state.Sent) > unreadFor
	return (state.Unread != nil || pending) && now.Sub(state.Heard) > unreadFor
}

// silence is why nothing new is known of a target, or nil.
func (w *Watcher) silence(t *tracked, now time.Time) error {
	for _, s := range w.streamsOf(t) {
		if s.unread(now) {
			return s.unanswered()
		}
	}
	return nil
}

// unauthorized is why the watches were refused, or nil.
func (w *Watcher) unauthorized() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.streams {
		if err := s.State().Unauthorized; err != nil {
			return fmt.Errorf("the API server no longer accepts the credentials: whether all is healthy is not known: %w", err)
		}
	}
	return nil
}

// endedBy is the cause of an end, with that of the cause where the API server does
// not answer.
func (w *Watcher) endedBy(cause error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.streams {
		if s.unread(time.Now()) {
			return fmt.Errorf("%w; %w", cause, s.unanswered())
		}
	}
	return cause
}

// blind says first that a verdict is of old data.
func (v *verdict) blind(silence error) {
	if silence != nil {
		v.Message = join(oneLine(silence.Error(), 300), "last seen", v.Message)
	}
}

// How long a watch may show nothing while a target is not healthy, before one GET
// looks whether it misses something: longer each time that it does not. A watch
// that did is not trusted again.
const (
	patienceFirst = 15 * time.Second
	patienceLeast = 5 * time.Second
)

// doubt asks for a target by name if the watch has been silent for long.
func (s *stream) doubt(key objectKey, now time.Time) {
	state := s.State()
	if state.First.IsZero() || !state.Down.IsZero() || state.Denied != nil {
		return // it is read anyway
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(later(state.Heard, s.doubted)) > s.patience {
		s.doubted, s.patience = now, 2*s.patience
		s.checks[key] = struct{}{}
	}
}

// compare takes a GET for what it says about the watch.
func (s *stream) compare(seen, got *unstructured.Unstructured) {
	if seen == nil || seen.GetResourceVersion() == got.GetResourceVersion() {
		return
	}
	s.mu.Lock()
	silent := time.Since(s.State().Heard) > patienceLeast
	if silent {
		s.patience = patienceLeast
	}
	s.mu.Unlock()
	if silent {
		s.Again()
	}
}

// tellSilence tells whether the API server answers, when that has changed.
func (g *gate) tellSilence(now time.Time) {
	if g.w.opts.Silent == nil {
		return
	}
	var why error
	g.w.mu.Lock()
	for _, s := range g.w.streams {
		if why == nil && s.unread(now) {
			why = s.unanswered()
		}
	}
	g.w.mu.Unlock()
	if (why != nil) != g.silent {
		g.silent = why != nil
		g.w.opts.Silent(why)
	}
}
