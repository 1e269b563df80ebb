package ui

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// directory says of tokens whose they are, as an API server would.
type directory struct {
	mu    sync.Mutex
	of    map[string]Account
	err   error
	asked int
}

func (d *directory) viewer(token string) Viewer {
	return Viewer{
		Environments: []Environment{noCluster("prod"), noCluster("dev")},
		Who: func(context.Context) (*Account, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.asked++
			is, ok := d.of[token]
			switch {
			case d.err != nil:
				return nil, d.err
			case !ok:
				return nil, apierrors.NewUnauthorized("unknown")
			}
			return &is, nil
		},
	}
}

func (d *directory) change(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do()
}

// page is a browser at a page where viewers sign in.
type page struct {
	*Server
	cookie *http.Cookie
}

func (p *page) ask(method, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Host = "evenkeel.example.org"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://evenkeel.example.org")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if p.cookie != nil {
		r.AddCookie(p.cookie)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		p.cookie = c
	}
	return w
}

func (p *page) signIn(token string) *httptest.ResponseRecorder {
	return p.ask(http.MethodPost, signIn, url.Values{"token": {token}, "lang": {"en"}, "to": {"/en/env/prod/"}})
}

// shows says what of two environments somebody sees.
func (p *page) shows(t *testing.T) string {
	t.Helper()
	w := p.ask(http.MethodGet, "/en/", nil)
	if w.Code == http.StatusUnauthorized {
		return "the form"
	}
	var names []string
	for _, name := range []string{"prod", "dev"} {
		listed := strings.Contains(w.Body.String(), `id="env-`+name+`"`)
		if listed {
			names = append(names, name)
		}
		for _, path := range []string{"", "plan", "trace", "logs/live?app=web"} {
			if !listed && p.ask(http.MethodGet, "/en/env/"+name+"/"+path, nil).Code != http.StatusNotFound {
				t.Errorf("%s/%s is not listed, and there", name, path)
			}
		}
	}
	return strings.Join(names, ", ")
}

func hosting(t *testing.T, d *directory) (*Server, func() *page) {
	t.Helper()
	s, err := New(nil, Options{Host: "evenkeel.example.org", Viewer: d.viewer})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() *page { return &page{Server: s} }
}

// TestSignIn holds that nothing is shown before somebody signs in, and then what the
// cluster says they may look at.
func TestSignIn(t *testing.T) {
	d := &directory{of: map[string]Account{"ann": {"ann", []string{"prod"}}, "bob": {"bob", []string{"dev", "prod"}}, "new": {"new", nil}}}
	s, browser := hosting(t, d)
	ann, bob := browser(), browser()
	for _, path := range []string{"/en/", "/zh/", "/en/env/prod/", "/en/env/none/", "/en/live/all", "/en/env/prod/live", "/en/env/prod/plan.html", "/en/env/prod/logs/live?app=web"} {
		w := ann.ask(http.MethodGet, path, nil)
		if w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "env/dev") || strings.Contains(w.Body.String(), "is answered") {
			t.Errorf("%s, not signed in: %d\n%s", path, w.Code, w.Body)
		}
	}
	w := ann.signIn("ann")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/en/env/prod/" {
		t.Fatalf("%d to %q\n%s", w.Code, w.Header().Get("Location"), w.Body)
	}
	c := ann.cookie
	if c.Name != cookieName || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || len(c.Value) < 26 || strings.Contains(c.Value, "ann") {
		t.Errorf("the cookie is %v", c)
	}
	bob.signIn("bob")
	for _, tt := range []struct {
		who  *page
		want string
	}{{ann, "prod"}, {bob, "prod, dev"}, {browser(), "the form"}, {&page{s, &http.Cookie{Name: cookieName, Value: "guessed"}}, "the form"}} {
		if got := tt.who.shows(t); got != tt.want {
			t.Errorf("shows %q, want %q", got, tt.want)
		}
	}
	nobody := browser()
	nobody.signIn("new")
	if w := nobody.ask(http.MethodGet, "/zh/", nil); !strings.Contains(w.Body.String(), "此账号无权查看任何环境") {
		t.Errorf("who may look at nothing reads\n%s", w.Body)
	}
	if w := ann.ask(http.MethodPost, signOut, nil); w.Code != http.StatusSeeOther || ann.cookie.MaxAge >= 0 || ann.cookie.Value != "" {
		t.Errorf("signed out: %d, %v", w.Code, ann.cookie)
	}
	if got := (&page{s, c}).shows(t); got != "the form" {
		t.Errorf("after signing out the old cookie shows %q", got)
	}
}

// TestSignInRefused holds that nothing comes of what is no token, and that the answer
// does not repeat it.
func TestSignInRefused(t *testing.T) {
	d := &directory{of: map[string]Account{"ann": {"ann", []string{"prod"}}}}
	_, browser := hosting(t, d)
	for _, token := range []string{"", "planted\r\nX-Evil: 1", "planted token", "planted" + strings.Repeat("x", tokenLongest), "planted-unknown", "планted"} {
		p := browser()
		w := p.signIn(token)
		if w.Code == http.StatusSeeOther || p.cookie != nil || strings.Contains(w.Body.String(), "planted") {
			t.Errorf("%.20q: %d, cookie %v\n%s", token, w.Code, p.cookie, w.Body)
		}
	}
	d.change(func() { d.err = errors.New("dial tcp 10.4.7.10:6443: refused") })
	if w := browser().signIn("ann"); w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "10.4.7.10") {
		t.Errorf("a cluster that is away: %d\n%s", w.Code, w.Body)
	}
	d.change(func() { d.err = nil })
	for _, to := range []string{"https://evil.example.org/", "//evil.example.org/", "/\\evil.example.org", "javascript:1", "/en/../../x", "/en//evil", "\x00", "/fr/"} {
		w := browser().ask(http.MethodPost, signIn, url.Values{"token": {"ann"}, "to": {to}})
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/en/" {
			t.Errorf("to %q: %d to %q", to, w.Code, got)
		}
	}
	for _, header := range [][]string{{"Origin", "https://evil.example.org"}, {"Origin", "null"}, {"Origin", "http://evenkeel.example.org"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		p := browser()
		if w := p.ask(http.MethodPost, signIn, url.Values{"token": {"ann"}}, header...); w.Code != http.StatusForbidden || p.cookie != nil {
			t.Errorf("signed in by another page, %v: %d", header, w.Code)
		}
	}
	many := 0
	for range 100 {
		if browser().signIn("unknown").Code == http.StatusTooManyRequests {
			many++
		}
	}
	if many == 0 {
		t.Error("tokens can be tried without an end")
	}
}

// TestLinked holds that a link on another page leads to the form, and shows nothing else.
func TestLinked(t *testing.T) {
	d := &directory{of: map[string]Account{"ann": {"ann", []string{"prod"}}}}
	_, browser := hosting(t, d)
	if w := browser().ask(http.MethodGet, "/en/env/prod/", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `value="/en/env/prod/"`) {
		t.Errorf("a link: %d\n%s", w.Code, w.Body)
	}
	for _, dest := range []string{"iframe", "image", "script"} {
		if w := browser().ask(http.MethodGet, "/en/env/prod/", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", dest); w.Code != http.StatusForbidden {
			t.Errorf("as %s of another page: %d", dest, w.Code)
		}
	}
	p := browser()
	r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
	r.Host = "10.9.0.4:8700"
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("a probe: %d", w.Code)
	}
	r.URL.Path = "/en/"
	w = httptest.NewRecorder()
	if p.ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("the address of the pod: %d", w.Code)
	}
}

// TestSessionEnds holds when a session is over, and that what an account may look at is
// asked again.
func TestSessionEnds(t *testing.T) {
	d := &directory{of: map[string]Account{"ann": {"ann", []string{"prod"}}}}
	s, browser := hosting(t, d)
	p := browser()
	p.signIn("ann")
	one := only(s)
	later := func(of *time.Time, by time.Duration) {
		s.sessions.mu.Lock()
		*of = of.Add(-by)
		s.sessions.mu.Unlock()
	}
	expect := func(what, want string) {
		t.Helper()
		if got := p.shows(t); got != want {
			t.Errorf("%s: shows %q, want %q", what, got, want)
		}
	}
	expect("signed in", "prod")
	asked := d.asked
	expect("soon after", "prod")
	if d.asked != asked {
		t.Error("the cluster is asked for every page")
	}
	d.change(func() { d.of["ann"] = Account{"ann", []string{"dev"}} })
	before := s.sessions.of(requestWith(p.cookie))
	later(&one.asked, 2*sessionAsked)
	expect("with other rights", "dev")
	select {
	case <-before.gone:
	default:
		t.Error("streams of what may no longer be looked at go on")
	}
	d.change(func() { d.err = errors.New("away") })
	later(&one.asked, 2*sessionAsked)
	expect("while the cluster is away", "dev")
	d.change(func() { d.err = nil })

	s.Renew(false)
	expect("after a change of the source", "dev")
	s.Renew(true)
	if w := p.ask(http.MethodGet, "/en/", nil); !strings.Contains(w.Body.String(), "newest commit cannot be rendered") {
		t.Errorf("nobody is told that the page is of an older commit:\n%s", w.Body)
	}
	d.change(func() { d.err = errors.New("away") })
	s.Renew(false)
	expect("after a change of the source, while the cluster is away", "")
	d.change(func() { d.err = nil })
	expect("and when it is back", "dev")

	d.change(func() { delete(d.of, "ann") })
	later(&one.asked, 2*sessionAsked)
	expect("with a token that has expired", "the form")
	d.change(func() { d.of["ann"] = Account{"ann", []string{"prod"}} })
	expect("a session that is over", "the form")

	for _, tt := range []struct {
		what string
		of   func(*session) *time.Time
		by   time.Duration
	}{{"unused", func(o *session) *time.Time { return &o.seen }, sessionIdle + time.Second}, {"old", func(o *session) *time.Time { return &o.began }, sessionLongest + time.Second}} {
		p = browser()
		p.signIn("ann")
		one = only(s)
		later(tt.of(one), tt.by)
		expect(tt.what, "the form")
	}
}

// only is the one session that there is.
func only(s *Server) *session {
	for _, one := range s.sessions.all {
		return one
	}
	return nil
}

func requestWith(cookie *http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(cookie)
	return r
}

// TestManySessions holds what one account, and all of them, may keep.
func TestManySessions(t *testing.T) {
	d := &directory{of: map[string]Account{"ann": {"ann", []string{"prod"}}}}
	s, browser := hosting(t, d)
	begin := func(user string) *page {
		p := browser()
		if s.sessions.begin(user+"-"+time.Now().String(), "ann", d.viewer("ann"), &Account{User: user, May: []string{"prod"}}) {
			return p
		}
		return nil
	}
	first := browser()
	first.signIn("ann")
	for range sessionsOfUser {
		begin("ann")
	}
	if got := first.shows(t); got != "the form" {
		t.Errorf("the oldest session of one account shows %q", got)
	}
	for i := range sessionsMost {
		begin(string(rune('a'+i%26)) + "-" + string(rune('a'+i/26)))
	}
	if len(s.sessions.all) != sessionsMost {
		t.Errorf("%d sessions", len(s.sessions.all))
	}
	if begin("late") != nil {
		t.Error("one more is let in")
	}
}
