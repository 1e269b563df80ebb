package ui

import (
	"context"
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Bounds of sessions. One ends when no page of it has been open for a while, at latest
// after a working day, and as soon as the cluster no longer knows its token.
const (
	sessionIdle    = 30 * time.Minute
	sessionLongest = 12 * time.Hour
	sessionAsked   = time.Minute // how old what the cluster says of it may be
	sessionsMost   = 200
	sessionsOfUser = 4
)

// whoTimeout is how long a cluster may take to say who somebody is.
const whoTimeout = 10 * time.Second

// viewer is who looks on, with boards of their own.
type viewer struct {
	user   string
	boards []*board
	gone   chan struct{} // closed when its boards are no longer kept
	// follows counts the streams of logs.
	follows atomic.Int32
}

func newViewer(envs []Environment) *viewer {
	v := &viewer{gone: make(chan struct{})}
	for i := range envs {
		v.boards = append(v.boards, newBoard(&envs[i]))
	}
	return v
}

// run watches until ctx ends, or the viewer is gone.
func (v *viewer) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var boards sync.WaitGroup
	for _, b := range v.boards {
		boards.Go(func() { b.run(ctx) })
	}
	select {
	case <-ctx.Done():
	case <-v.gone:
		stop()
	}
	boards.Wait()
}

// sessions are the viewers who signed in. Their tokens stay here: a browser has a
// number, and this the hash of it.
type sessions struct {
	viewer func(token string) Viewer
	tries  *rate.Limiter // of signing in, as each asks the API server

	mu  sync.Mutex
	ctx context.Context // of what watches, from run on: sessions begin later
	wg  sync.WaitGroup
	all map[sessionID]*session
}

type sessionID [sha256.Size]byte

// session is one viewer who signed in; sessions.mu guards its fields.
type session struct {
	token       string
	began, seen time.Time
	asked       time.Time // when the cluster said who this is; zero: ask
	asking      sync.Mutex
	asks        Viewer
	may         []string
	viewer      *viewer
}

func newSessions(viewer func(string) Viewer) *sessions {
	return &sessions{viewer: viewer, tries: rate.NewLimiter(5, 20), all: map[sessionID]*session{}}
}

// run has the boards of viewers watch until ctx ends, and ends sessions in time.
func (s *sessions) run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	for _, one := range s.all {
		s.watch(one.viewer)
	}
	s.mu.Unlock()
	tick := time.NewTicker(sessionAsked)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case now := <-tick.C:
			s.expire(now)
		}
	}
	s.wg.Wait()
}

// watch has the boards of a viewer watch; s.mu is held.
func (s *sessions) watch(v *viewer) {
	if ctx := s.ctx; ctx != nil && ctx.Err() == nil {
		s.wg.Go(func() { v.run(ctx) })
	}
}

// begin begins the session of an account, and ends the oldest of the same one where it
// has many. It is false where there are too many of others.
func (s *sessions) begin(number, token string, asks Viewer, is *Account) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest sessionID
	count := 0
	for id, one := range s.all {
		if one.viewer.user != is.User {
			continue
		}
		if count++; count == 1 || one.began.Before(s.all[oldest].began) {
			oldest = id
		}
	}
	if count >= sessionsOfUser {
		s.end(oldest)
	}
	if len(s.all) >= sessionsMost {
		return false
	}
	now := time.Now()
	one := &session{token: token, began: now, seen: now, asked: now}
	s.show(one, asks, is)
	s.all[sha256.Sum256([]byte(number))] = one
	return true
}

// show gives a session the boards that its account may look at; s.mu is held.
func (s *sessions) show(one *session, asks Viewer, is *Account) {
	if one.viewer != nil {
		close(one.viewer.gone)
	}
	one.asks, one.may = asks, is.May
	one.viewer = newViewer(slices.DeleteFunc(slices.Clone(asks.Environments), func(e Environment) bool {
		return !slices.Contains(is.May, e.Desired.Name)
	}))
	one.viewer.user = is.User
	s.watch(one.viewer)
}

// end ends a session; s.mu is held.
func (s *sessions) end(id sessionID) {
	if one := s.all[id]; one != nil {
		close(one.viewer.gone)
		delete(s.all, id)
	}
}

// expire ends the sessions that are over.
func (s *sessions) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.all {
		if now.Sub(one.seen) > sessionIdle || now.Sub(one.began) > sessionLongest {
			s.end(id)
		}
	}
}

// renew has every session see the environments as they are now described. Which of them
// its account may look at is asked before anything of them is shown.
func (s *sessions) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		s.show(one, s.viewer(one.token), &Account{User: one.viewer.user})
		one.asked = time.Time{}
	}
}

// of is the viewer whose session a request has; nil where it has none, or no longer.
func (s *sessions) of(r *http.Request) *viewer {
	id, ok := sessionOf(r)
	if !ok {
		return nil
	}
	s.expire(time.Now())
	s.mu.Lock()
	one := s.all[id]
	if one != nil {
		one.seen = time.Now()
	}
	s.mu.Unlock()
	if one == nil {
		return nil
	}
	s.ask(r.Context(), id, one)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[id] != one {
		return nil
	}
	return one.viewer
}

// ask asks the cluster about a session, where that was long ago. While the cluster does
// not answer, what it said last holds.
func (s *sessions) ask(ctx context.Context, id sessionID, one *session) {
	one.asking.Lock()
	defer one.asking.Unlock()
	s.mu.Lock()
	due, asks := time.Since(one.asked) > sessionAsked, one.asks
	s.mu.Unlock()
	if !due {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), whoTimeout)
	defer stop()
	is, err := asks.Who(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.all[id] != one:
	case apierrors.IsUnauthorized(err):
		s.end(id)
	case err != nil:
		if !one.asked.IsZero() {
			one.asked = time.Now()
		}
	default:
		one.asked = time.Now()
		if is.User != one.viewer.user || !slices.Equal(is.May, one.may) {
			s.show(one, asks, is)
		}
	}
}

// sessionOf is the number that a browser has of a session, hashed.
func sessionOf(r *http.Request) (sessionID, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil || cookie.Value == "" {
		return sessionID{}, false
	}
	return sha256.Sum256([]byte(cookie.Value)), true
}
