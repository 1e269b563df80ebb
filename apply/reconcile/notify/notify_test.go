package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
)

// robot is a webhook that checks what it is sent as the real one documents it, and
// answers as that does.
type robot struct {
	check func(r *http.Request, body map[string]any) error
	down  int // answers of an outage before it takes anything
	mode  string

	mu   sync.Mutex
	got  []map[string]any
	errs []error
}

func (r *robot) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down > 0 {
		r.down--
		if r.mode == "code" { // the robots say so in a body, with status 200
			fmt.Fprint(w, `{"errcode":130101,"errmsg":"send too fast"}`)
			return
		}
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	raw, _ := io.ReadAll(req.Body)
	body := map[string]any{}
	if err := json.Unmarshal(raw, &body); err != nil {
		r.errs = append(r.errs, err)
	}
	if !strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") || req.Method != http.MethodPost {
		r.errs = append(r.errs, fmt.Errorf("%s with %s", req.Method, req.Header.Get("Content-Type")))
	}
	if err := r.check(req, body); err != nil {
		r.errs = append(r.errs, fmt.Errorf("%w in %s", err, raw))
	}
	r.got = append(r.got, body)
	fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","code":0,"msg":"success"}`)
}

func (r *robot) state() (got []map[string]any, errs []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got, r.errs
}

// at follows a path of keys, numbers being indices, to a string.
func at(v any, path ...any) string {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return ""
			}
			v = l[p]
		}
	}
	s, _ := v.(string)
	return s
}

func mac(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// TestFormats posts to each robot what its documentation says that it takes.
func TestFormats(t *testing.T) {
	const title = "evenkeel dev: 2 corrected, 1 fight"
	const first = "Deployment/dev/web: configured: spec.replicas (by kubectl)"
	want := func(ok bool, what string) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%s", what)
	}
	tests := map[Format]func(r *http.Request, b map[string]any) error{
		Generic: func(_ *http.Request, b map[string]any) error {
			return want(at(b, "source") == "evenkeel" && at(b, "title") == title &&
				at(b, "notices", 0, "environment") == "dev" && at(b, "notices", 0, "kind") == "corrected" && at(b, "notices", 0, "text") == first, "generic")
		},
		DingTalk: func(r *http.Request, b map[string]any) error {
			stamp := r.URL.Query().Get("timestamp")
			return want(at(b, "msgtype") == "markdown" && at(b, "markdown", "title") == title &&
				strings.Contains(at(b, "markdown", "text"), "- dev corrected: "+first) &&
				r.URL.Query().Get("access_token") == "t0ken" && len(stamp) == 13 &&
				r.URL.Query().Get("sign") == mac("s3cret", stamp+"\ns3cret"), "dingtalk")
		},
		WeCom: func(_ *http.Request, b map[string]any) error {
			content := at(b, "markdown", "content")
			return want(at(b, "msgtype") == "markdown" && strings.HasPrefix(content, "**"+title+"**\n> dev corrected: "+first) && len(content) <= 4096, "wecom")
		},
		Feishu: func(_ *http.Request, b map[string]any) error {
			return want(at(b, "msg_type") == "post" && at(b, "content", "post", "zh_cn", "title") == title &&
				at(b, "content", "post", "zh_cn", "content", 0, 0, "tag") == "text" &&
				at(b, "content", "post", "zh_cn", "content", 0, 0, "text") == "dev corrected: "+first &&
				len(at(b, "timestamp")) == 10 && at(b, "sign") == mac(at(b, "timestamp")+"\ns3cret", ""), "feishu")
		},
		Slack: func(_ *http.Request, b map[string]any) error {
			return want(strings.HasPrefix(at(b, "text"), "*"+title+"*\n• dev corrected: "+first) && strings.Contains(at(b, "text"), "a &lt;b&gt; &amp; c"), "slack")
		},
	}
	for format, check := range tests {
		t.Run(string(format), func(t *testing.T) {
			r := &robot{check: check}
			server := httptest.NewServer(r)
			defer server.Close()
			run(t, Options{URL: server.URL + "/hook?access_token=t0ken", Format: format, Secret: "s3cret"}, r, []reconcile.Notice{
				{Environment: "dev", Kind: reconcile.NoticeCorrected, Text: first},
				{Environment: "dev", Kind: reconcile.NoticeCorrected, Text: "a <b> & c"},
				{Environment: "dev", Kind: reconcile.NoticeFight, Text: "x"},
			})
		})
	}
}

// run sends notices, which come as one message, and waits for it.
func run(t *testing.T, opts Options, r *robot, notices []reconcile.Notice) string {
	t.Helper()
	var log bytes.Buffer
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	opts.Gather, opts.BackOff = 50*time.Millisecond, 20*time.Millisecond
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	for _, n := range notices {
		n.Time = time.Now()
		s.Add(n)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		got, errs := r.state()
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if len(got) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing came\n%s", log.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	<-ended
	if got, _ := r.state(); len(got) != 1 {
		t.Errorf("%d messages for one group of notices", len(got))
	}
	return log.String()
}

// TestOutage tries again where the webhook is down or answers with a code, with
// everything that came meanwhile, and never says the URL.
func TestOutage(t *testing.T) {
	for _, mode := range []string{"status", "code"} {
		t.Run(mode, func(t *testing.T) {
			many := make([]reconcile.Notice, 60)
			for i := range many {
				many[i] = reconcile.Notice{Environment: "dev", Kind: reconcile.NoticeDrift, Text: strings.Repeat("漂移", 200)}
			}
			r := &robot{down: 3, mode: mode, check: func(_ *http.Request, b map[string]any) error {
				content := at(b, "markdown", "content")
				if !strings.Contains(content, "60 drift") || !strings.Contains(content, " more") || len(content) > 4096 {
					return fmt.Errorf("%d bytes", len(content))
				}
				return nil
			}}
			server := httptest.NewServer(r)
			defer server.Close()
			log := run(t, Options{URL: server.URL + "/hook?key=t0ken", Format: WeCom}, r, many)
			if strings.Count(log, "notification not sent") != 3 || strings.Contains(log, "t0ken") {
				t.Errorf("log:\n%s", log)
			}
		})
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	s, err := New(Options{URL: server.URL + "/hook?key=t0ken"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.post(t.Context(), message{notices: []reconcile.Notice{{Text: "x"}}}); err == nil || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("error of a dead webhook: %v", err)
	}
	if _, err := New(Options{URL: "t0ken"}); err == nil || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("error of a URL that is none: %v", err)
	}
}

// TestEnd loses nothing and says nothing twice: what is under way when all ends
// goes on, and what could not be sent is tried once more.
func TestEnd(t *testing.T) {
	for name, answers := range map[string][]int{"under way": {http.StatusOK}, "after a failure": {http.StatusBadGateway, http.StatusOK}} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			var got []int
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if len(got) == 0 {
					stop()
					time.Sleep(100 * time.Millisecond)
				}
				code := answers[min(len(got), len(answers)-1)]
				got = append(got, code)
				w.WriteHeader(code)
			}))
			s, err := New(Options{URL: server.URL, Gather: time.Millisecond, BackOff: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			s.Add(reconcile.Notice{Environment: "dev", Kind: reconcile.NoticeDrift, Text: "x"})
			s.Run(ctx)
			server.Close()
			if !slices.Equal(got, answers) {
				t.Errorf("the webhook answered %v, want %v", got, answers)
			}
		})
	}
}

// TestRedirect expects that a message goes to the webhook that was named and to
// nobody else, and that the error does not say where that is.
func TestRedirect(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%d: %s elsewhere", code, r.Method)
		}))
		hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/?key=s3cret", code)
		}))
		s, err := New(Options{URL: hook.URL + "/t0ken"})
		if err != nil {
			t.Fatal(err)
		}
		err = s.post(t.Context(), message{notices: []reconcile.Notice{{Kind: reconcile.NoticeFailed, Text: "x"}}})
		if err == nil || !strings.Contains(err.Error(), "redirects are not followed") || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%d: %v", code, err)
		}
		hook.Close()
		elsewhere.Close()
	}
}

// TestWordsOfWebhook writes what a webhook answers into a log: on one line that is not
// long, and without the secrets of its URL, which it knows and may repeat.
func TestWordsOfWebhook(t *testing.T) {
	const token, key = "s3cret-t0ken", "k3y-of-the-query"
	long := strings.Repeat("x", 50<<10)
	for name, answer := range map[string]string{
		"status":         "HTTP/1.1 400 /hook/" + token + "?key=" + key + " " + long + "\r\n\r\n",
		"redirect":       "HTTP/1.1 302 Found\r\nLocation: http://%zz/" + token + long + "\r\n\r\n",
		"no HTTP":        "HTTP/9 " + token + " " + key + long + "\r\n\r\n",
		"a wrong header": "HTTP/1.1 200 OK\r\n" + token + " \x1b[31m " + key + long + "\r\n\r\n",
		"refused":        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + `{"errcode":1,"code":-1,"errmsg":"no ` + token + " " + key + ` \n\u001b[31m::error::x\n` + long[:40<<10] + `"}`,
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer func() { _ = conn.Close() }()
					_, _ = conn.Read(make([]byte, 64<<10))
					_, _ = io.WriteString(conn, answer)
				}()
			}
		}()
		s, err := New(Options{URL: "http://user:p4ssword@" + l.Addr().String() + "/hook/" + token + "?key=" + key, Format: WeCom})
		if err != nil {
			t.Fatal(err)
		}
		err = s.post(t.Context(), message{notices: []reconcile.Notice{{Kind: reconcile.NoticeFailed, Text: "x"}}})
		_ = l.Close()
		if err == nil {
			t.Errorf("%s: taken for a success", name)
			continue
		}
		if text := err.Error(); len(text) > 2*lineLength || strings.ContainsAny(text, "\n\x1b") || strings.Contains(text, token) || strings.Contains(text, key) || strings.Contains(text, "p4ssword") {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// TestHostileText tells of what others named: no robot takes it for a link, a picture, a
// mention or a tag, and nobody's screen for a command.
func TestHostileText(t *testing.T) {
	const text = "by [a](http://evil.example) ![b](//c) <@all> <font color=\"red\"> @all **x** `y` <!channel>\x1b[31m\u202e\n# z"
	for format, forbidden := range map[Format][]string{
		DingTalk: {"](", "![", "<", "@", "**x", "`", "://"},
		WeCom:    {"](", "![", "<", "@", "**x", "`", "://"},
		Slack:    {"<"},
		Feishu:   nil,
		Generic:  nil,
	} {
		m := message{notices: []reconcile.Notice{{Environment: "dev", Kind: reconcile.NoticeDrift, Text: text}}}
		_, body, err := m.body(Options{URL: "https://example.org", Format: format}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var said any
		if err := json.Unmarshal(body, &said); err != nil {
			t.Fatal(err)
		}
		all := strings.Join(texts(said), "\x00")
		for _, s := range append(forbidden, "\x1b", "\u202e", "\n# ") {
			if strings.Contains(all, s) {
				t.Errorf("%s: %q is in %q", format, s, all)
			}
		}
		if !strings.Contains(all, "evil.example") || !strings.Contains(all, "# z") {
			t.Errorf("%s: what was told is not in %q", format, all)
		}
	}
}

// texts are all strings in a decoded JSON value.
func texts(v any) []string {
	var all []string
	switch v := v.(type) {
	case string:
		all = append(all, v)
	case []any:
		for _, one := range v {
			all = append(all, texts(one)...)
		}
	case map[string]any:
		for _, one := range v {
			all = append(all, texts(one)...)
		}
	}
	return all
}

// TestSlowWebhook gives up a receiver that never ends its header, answers a byte at a
// time or sends without an end, in bounded time and memory, and loses nothing of what
// comes meanwhile but its end.
func TestSlowWebhook(t *testing.T) {
	raw := func(answer func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() { defer func() { _ = conn.Close() }(); answer(conn) }()
			}
		}()
		return "http://" + l.Addr().String()
	}
	slowly := func(conn net.Conn, text string) {
		for err := error(nil); err == nil; time.Sleep(10 * time.Millisecond) {
			_, err = io.WriteString(conn, text)
		}
	}
	fast := func(conn net.Conn, text string) {
		block := strings.Repeat(text, 64<<10/len(text))
		for err := error(nil); err == nil; {
			_, err = io.WriteString(conn, block)
		}
	}
	for name, answer := range map[string]func(net.Conn){
		"says nothing":            func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) },
		"reads nothing":           func(net.Conn) { <-t.Context().Done() },
		"a header without an end": func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: "); fast(conn, "x") },
		"a slow header":           func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: "); slowly(conn, "x") },
		"many early answers":      func(conn net.Conn) { fast(conn, "HTTP/1.1 103 Early Hints\r\n\r\n") },
		"a slow body":             func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); slowly(conn, " ") },
		"a body without an end":   func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); fast(conn, " ") },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Options{URL: raw(answer) + "/t0ken", Format: WeCom, Timeout: 300 * time.Millisecond, Gather: time.Millisecond, BackOff: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begun := time.Now()
			err = s.post(t.Context(), message{notices: []reconcile.Notice{{Text: strings.Repeat("x", 1<<20)}}})
			runtime.ReadMemStats(&after)
			if took := time.Since(begun); err == nil || strings.Contains(err.Error(), "t0ken") || took > 5*time.Second {
				t.Errorf("after %s: %v", took, err)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("it allocated %d MB", grown>>20)
			}

			// Whoever tells is not held up, and what waits is bounded.
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); s.Run(ctx) }()
			begun = time.Now()
			for range 2 * kept {
				s.Add(reconcile.Notice{Environment: "dev", Kind: reconcile.NoticeDrift, Text: strings.Repeat("x", 1<<20)})
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("telling took %s", took)
			}
			s.mu.Lock()
			for _, n := range s.waiting {
				if len(n.Text) > textLength+len("...") {
					t.Errorf("a notice of %d bytes is kept", len(n.Text))
					break
				}
			}
			s.mu.Unlock()
			stop()
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("it does not end")
			}
		})
	}
}
