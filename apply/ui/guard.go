package ui

import (
	"cmp"
	"crypto/subtle"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// policy is what the page may load: itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// gate is who is let in to the page.
type gate struct {
	hosts  map[string]bool // Host headers that are answered, in lower case
	origin string          // the page's own; empty: http and the Host
	token  string          // that every path begins with; empty where viewers sign in
}

// ServeHTTP refuses whoever is not meant, and answers the others. What is refused says
// nothing of what there is.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if s.sessions != nil && r.URL.Path == "/healthz" { // a probe knows no name
		_, _ = io.WriteString(w, "ok\n")
		return
	}
	rest, why := s.admitted(r)
	if why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	if s.sessions == nil { // else who has no session is a stranger still
		s.crowd.know(r)
	}
	signing := s.sessions != nil && r.Method == http.MethodPost && (rest == signIn || rest == signOut)
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !signing {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "this page only reads", http.StatusMethodNotAllowed)
		return
	}
	if clean := path.Clean(rest); clean != rest && clean+"/" != rest {
		http.NotFound(w, r)
		return
	}
	inside := r.Clone(r.Context())
	inside.URL.Path, inside.URL.RawPath = rest, ""
	if err := contain.Call(func() error { s.handler.ServeHTTP(w, inside); return nil }); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// admitted is the path behind the token, or why the request is refused.
func (g *gate) admitted(r *http.Request) (rest, why string) {
	host := strings.ToLower(r.Host)
	if !g.hosts[host] {
		return "", "this name is not the page's: open the address that evenkeel ui was given, or printed"
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != cmp.Or(g.origin, "http://"+host) {
		return "", "refused: another page asks"
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		if !g.followed(r) {
			return "", "refused: another page asks"
		}
	}
	if g.token == "" {
		return r.URL.Path, ""
	}
	token, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if subtle.ConstantTimeCompare([]byte(token), []byte(g.token)) != 1 {
		return "", "the address has no token, or another one: open the address that evenkeel ui printed"
	}
	return "/" + rest, ""
}

// followed says that somebody followed a link to a page where viewers sign in: the
// cookie of a session does not come along, as it is for the page's own links alone.
func (g *gate) followed(r *http.Request) bool {
	return g.token == "" && r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
