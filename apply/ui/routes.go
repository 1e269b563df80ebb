package ui

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply/report"
)

// routes are the paths behind the token.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.Path()+preferred(r)+"/", http.StatusFound)
	})
	mux.HandleFunc("GET /static/{name}", s.static)
	mux.HandleFunc("GET /{lang}/{$}", s.page("overview", overview))
	mux.HandleFunc("GET /{lang}/live/all", s.liveOverview)
	for path, show := range map[string]http.HandlerFunc{
		"{$}":                     s.page("env", environment),
		"live":                    s.live,
		"unit/{unit}":             s.page("unit", unitPage),
		"plan":                    s.page("plan", planPage),
		"plan.html":               s.framed(planFrame),
		"history":                 s.page("history", historyPage),
		"history/{revision}":      s.page("revision", revisionPage),
		"history/{revision}/page": s.framed(revisionFrame),
		"graph":                   s.page("graph", graphPage),
		"graph.html":              s.framed(graphFrame),
		"trace":                   s.page("trace", tracePage),
		"logs":                    s.page("logs", logsPage),
		"logs/live":               s.liveLogs,
		"events":                  s.page("events", eventsPage),
	} {
		mux.HandleFunc("GET /{lang}/env/{env}/"+path, show)
	}
	if s.sessions != nil {
		mux.HandleFunc("POST "+signIn, s.signIn)
		mux.HandleFunc("POST "+signOut, s.signOut)
	}
	return mux
}

// preferred is the language that the browser asks for first, of the two that there are.
func preferred(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(first)), "zh") {
		return "zh"
	}
	return "en"
}

func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	types := map[string]string{"ui.css": "text/css; charset=utf-8", "ui.js": "text/javascript; charset=utf-8", "idiomorph.js": "text/javascript; charset=utf-8", "idiomorph.LICENSE": "text/plain; charset=utf-8"}
	name := r.PathValue("name")
	content, err := files.ReadFile("static/" + name)
	if types[name] == "" || err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", types[name])
	_, _ = w.Write(content)
}

// request is what a page is made for.
type request struct {
	*http.Request
	server *Server
	viewer *viewer
	lang   string
	board  *board // nil on the overview
}

// asked is the request with its viewer, language and environment. Where one of them is
// not there it is answered, and nil.
func (s *Server) asked(w http.ResponseWriter, r *http.Request) *request {
	q := &request{Request: r, server: s, lang: r.PathValue("lang"), viewer: s.local}
	if q.lang != "en" && q.lang != "zh" {
		http.NotFound(w, r)
		return nil
	}
	if s.sessions != nil {
		if q.viewer = s.sessions.of(r); q.viewer == nil {
			s.askToSignIn(w, q, "")
			return nil
		}
		s.crowd.know(r)
	}
	name := r.PathValue("env")
	for _, b := range q.viewer.boards {
		if b.name == name {
			q.board = b
		}
	}
	if name != "" && q.board == nil {
		http.NotFound(w, r)
		return nil
	}
	return q
}

// page shows a template with what fill says.
func (s *Server) page(name string, fill func(*request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := s.asked(w, r)
		if q == nil {
			return
		}
		v := s.view(q, name)
		for _, b := range q.viewer.boards {
			v.Environments = append(v.Environments, b.name)
		}
		if q.board != nil {
			v.Env, v.Base = q.board.name, v.Root+"env/"+q.board.name+"/"
			v.Number = q.board.last()
			v.Head = q.board.headline()
		}
		if len(v.Head.Wrong) > 0 {
			v.Name = "wrong"
		} else {
			data, err := fill(q)
			if err != nil {
				v.Error = q.text(err.Error())
			}
			v.Data = data
		}
		s.write(w, v, http.StatusOK)
	}
}

// view is the frame of a page.
func (s *Server) view(q *request, name string) *view {
	v := &view{Lang: q.lang, Name: name, Root: s.Path() + q.lang + "/", Static: s.Path() + "static/", Other: s.otherPage(q), request: q}
	if s.sessions != nil && q.viewer != nil {
		v.User, v.SignOut, v.Older = report.Line(q.viewer.user), signOut, s.older.Load()
	}
	return v
}

func (s *Server) write(w http.ResponseWriter, v *view, code int) {
	var out strings.Builder
	if err := s.templates.ExecuteTemplate(&out, v.Name+".html", v); err != nil {
		http.Error(w, "the page cannot be written: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(out.String()))
}

func otherLang(lang string) string {
	return map[string]string{"en": "zh", "zh": "en"}[lang]
}

// otherPage is the same page in the other language.
func (s *Server) otherPage(q *request) string {
	path := s.Path() + otherLang(q.lang) + strings.TrimPrefix(q.URL.Path, "/"+q.lang)
	if q.URL.RawQuery != "" {
		path += "?" + q.URL.RawQuery
	}
	return path
}

// framed shows a page that stands in a frame of ours and brings a policy of its own.
func (s *Server) framed(write func(*request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := s.asked(w, r)
		if q == nil {
			return
		}
		if len(q.board.Wrong) > 0 {
			http.NotFound(w, r)
			return
		}
		page, err := write(q)
		if err != nil {
			http.Error(w, q.text(err.Error()), http.StatusBadGateway)
			return
		}
		// The page names the hashes of its style and script in a policy of its own,
		// which holds beside this one.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, page)
	}
}
