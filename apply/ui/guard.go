package ui

import (
	"crypto/subtle"
	"net/http"
	"path"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// policy is what the page may load: itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

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
	rest, why := s.admitted(r)
	if why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	s.crowd.know(r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
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
func (s *Server) admitted(r *http.Request) (rest, why string) {
	if !s.hosts[strings.ToLower(r.Host)] {
		return "", "this name is not the page's: open the address that evenkeel ui printed"
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return "", "refused: another page asks"
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return "", "refused: another page asks"
	}
	token, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
		return "", "the address has no token, or another one: open the address that evenkeel ui printed"
	}
	return "/" + rest, ""
}
