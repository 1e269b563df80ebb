package ui

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Where viewers sign in and out.
const (
	signIn  = "/sign-in"
	signOut = "/sign-out"
)

// cookieName has the prefix that makes browsers take it over https alone, from this host
// and for all of its paths (draft-ietf-httpbis-rfc6265bis, section 4.1.3.2).
const cookieName = "__Host-evenkeel"

// tokenLongest is how long a token may be, in bytes.
const tokenLongest = 16 << 10

// tokenForm is what the value of an Authorization header may be (RFC 6750, section 2.1).
var tokenForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// signInView is the form.
type signInView struct {
	To  string // where to go then
	Why string // nothing came of the last try
}

// askToSignIn shows the form in the place of a page.
func (s *Server) askToSignIn(w http.ResponseWriter, q *request, why string) {
	to := q.PostFormValue("to")
	if q.Method != http.MethodPost {
		to = q.URL.RequestURI()
	}
	v := s.view(q, "signin")
	to = inside(to, q.lang)
	v.Other = "/" + otherLang(q.lang) + strings.TrimPrefix(to, "/"+q.lang)
	v.Data = signInView{To: to, Why: why}
	code := http.StatusUnauthorized
	if why == tooMany {
		code = http.StatusTooManyRequests
	}
	s.write(w, v, code)
}

// inside is an address of this page, whatever somebody put into the form.
func inside(to, lang string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/"+lang+"/") || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return "/" + lang + "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// Why nothing came of signing in, in the words of the page.
const (
	noToken    = "This is no token: it has characters that none has."
	notKnown   = "The cluster does not know this token, or no longer."
	notAsked   = "The cluster cannot be asked who you are. Try again later."
	tooMany    = "Too many try to sign in. Try again in a minute."
	sessionsUp = "Too many are signed in. Try again later."
)

// signIn takes a token, asks the cluster whose it is, and begins a session.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, tokenLongest+4<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	q := &request{Request: r, server: s, lang: "en"}
	if r.PostForm.Get("lang") == "zh" {
		q.lang = "zh"
	}
	token := strings.TrimSpace(r.PostForm.Get("token"))
	switch {
	case !tokenForm.MatchString(token) || len(token) > tokenLongest:
		s.askToSignIn(w, q, noToken)
		return
	case !s.sessions.tries.Allow():
		s.askToSignIn(w, q, tooMany)
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), whoTimeout)
	defer stop()
	asks := s.sessions.viewer(token)
	is, err := asks.Who(ctx)
	number := rand.Text()
	switch {
	case apierrors.IsUnauthorized(err):
		s.askToSignIn(w, q, notKnown)
	case err != nil:
		s.log.Error("who signs in cannot be asked", "error", err.Error())
		s.askToSignIn(w, q, notAsked)
	case !s.sessions.begin(number, token, asks, is):
		s.askToSignIn(w, q, sessionsUp)
	default:
		s.crowd.know(r)
		s.log.Info("signed in", "user", is.User)
		http.SetCookie(w, cookie(number, 0))
		http.Redirect(w, r, inside(r.PostForm.Get("to"), q.lang), http.StatusSeeOther)
	}
}

// signOut ends the session.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	if id, ok := sessionOf(r); ok {
		s.sessions.mu.Lock()
		s.sessions.end(id)
		s.sessions.mu.Unlock()
	}
	http.SetCookie(w, cookie("", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// cookie is for requests that the page itself makes, over https, and for no script. It
// ends with the browser; an age below zero takes it away.
func cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}
