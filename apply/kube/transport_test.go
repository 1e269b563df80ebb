package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// request sends one request through a transport to a handler that gets the number
// of the attempt.
func request(ctx context.Context, t *testing.T, method, url, body string, handle func(attempt int, w http.ResponseWriter, r *http.Request)) (string, int, error) {
	t.Helper()
	var attempts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(int(attempts.Add(1)), w, r)
	}))
	t.Cleanup(server.Close)
	counted := &counter{}
	client := &http.Client{Transport: &transport{next: http.DefaultTransport, counter: counted, silence: 200 * time.Millisecond, hide: nothing{}}}
	req, err := http.NewRequestWithContext(ctx, method, server.URL+url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", counted.snapshot().Total(), err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, text), counted.snapshot().Total(), err
}

func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset, not an orderly end
		_ = conn.Close()
	}
}

func TestTransportTriesAgain(t *testing.T) {
	tests := []struct {
		name    string
		trouble func(attempt int, w http.ResponseWriter, r *http.Request) bool // false: answer
		want    string
		count   int
	}{
		{"nothing wrong", func(int, http.ResponseWriter, *http.Request) bool { return false }, "200 ok body", 1},
		{"too many requests", func(n int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "1")
			return n == 1 && status(w, http.StatusTooManyRequests)
		}, "200 ok body", 2},
		{"unavailable for a while", func(n int, w http.ResponseWriter, _ *http.Request) bool {
			return n < 4 && status(w, http.StatusServiceUnavailable)
		}, "200 ok body", 4},
		{"internal error once", func(n int, w http.ResponseWriter, _ *http.Request) bool {
			return n == 1 && status(w, http.StatusInternalServerError)
		}, "200 ok body", 2},
		{"internal error for ever", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			return status(w, http.StatusInternalServerError)
		}, "500 ", attemptsError},
		{"connection reset", func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n == 1 {
				hangUp(w)
			}
			return n == 1
		}, "200 ok body", 2},
		{"reset in the middle of the answer", func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n == 1 {
				w.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				hangUp(w)
			}
			return n == 1
		}, "200 ok body", 2},
		{"no answer once", func(n int, _ http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				<-r.Context().Done()
			}
			return n == 1
		}, "200 ok body", 2},
		{"refused", func(_ int, w http.ResponseWriter, _ *http.Request) bool { return status(w, http.StatusForbidden) }, "403 ", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, count, err := request(t.Context(), t, http.MethodPatch, "/api/v1/namespaces/a/configmaps/b", "body", func(n int, w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if !test.trouble(n, w, r) {
					_, _ = io.WriteString(w, "ok "+string(body))
				}
			})
			if err != nil || got != test.want || count != test.count {
				t.Errorf("%q after %d attempts, %v; want %q after %d", got, count, err, test.want, test.count)
			}
		})
	}
}

func status(w http.ResponseWriter, code int) bool {
	w.WriteHeader(code)
	return true
}

func TestTransportGivesUpOnSilence(t *testing.T) {
	_, count, err := request(t.Context(), t, http.MethodGet, "/api/v1/pods", "", func(_ int, _ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	})
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() || count != attemptsError {
		t.Errorf("%v after %d attempts", err, count)
	}
}

func TestTransportWaitsForSlowAnswersAndWatches(t *testing.T) {
	for _, url := range []string{"/api/v1/pods", "/api/v1/pods?watch=true"} {
		got, count, err := request(t.Context(), t, http.MethodGet, url, "", func(_ int, w http.ResponseWriter, r *http.Request) {
			pause := 120 * time.Millisecond // less than silence, more in all
			if strings.Contains(r.URL.RawQuery, "watch") {
				pause = 300 * time.Millisecond
			}
			for range 3 {
				_, _ = io.WriteString(w, ".")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(pause)
			}
		})
		if err != nil || got != "200 ..." || count != 1 {
			t.Errorf("%s: %q after %d attempts, %v", url, got, count, err)
		}
	}
}

func TestTransportStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, _, err := request(ctx, t, http.MethodGet, "/api/v1/pods", "", func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "9")
		status(w, http.StatusServiceUnavailable)
	})
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("waited %s: %v", took, err)
	}
}

// TestRedirect expects that what is for the API server goes to nobody else: no token, no
// object, and no answer of others is believed. At the same server a redirect is followed.
func TestRedirect(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"b"}}`)
	}))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"b"}}`)
			return
		}
		code, _ := strconv.Atoi(r.FormValue("code"))
		w.Header().Set("Location", r.FormValue("to"))
		w.WriteHeader(code)
	}))
	defer server.Close()
	c, err := Connect(&rest.Config{Host: server.URL, BearerToken: "t0ken"}, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{other.URL, other.URL + "/api", strings.Replace(server.URL, "http:", "https:", 1), "//localhost:1/x", "http://%zz", "ftp://a"} {
		for _, code := range []string{"301", "302", "303", "307", "308"} {
			for _, verb := range []string{http.MethodGet, http.MethodPatch, http.MethodPost, http.MethodDelete} {
				_, err := c.REST.Verb(verb).AbsPath("/api/v1/namespaces/a/configmaps/b").Param("code", code).Param("to", to).Body([]byte("{}")).Do(t.Context()).Raw()
				if err == nil || !strings.Contains(err.Error(), "which is not followed") {
					t.Errorf("%s %s to %s: %v", verb, code, to, err)
				}
			}
		}
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d requests came elsewhere", n)
	}
	if _, err := c.REST.Get().AbsPath("/api").Param("code", "307").Param("to", "/there").Do(t.Context()).Raw(); err != nil {
		t.Errorf("at the same server: %v", err)
	}
}

// nothing is hidden.
type nothing struct{}

func (nothing) Body(raw []byte) []byte                              { return raw }
func (nothing) Error(_ *unstructured.Unstructured, err error) error { return err }

// TestBrokenAnswersAreTriedAgain holds for what ends one answer and not the connection:
// a stream that is reset, and a body that is cut or garbled.
func TestBrokenAnswersAreTriedAgain(t *testing.T) {
	t.Parallel()
	if err := errors.New("stream error: stream ID 11; INTERNAL_ERROR; received from peer"); attemptsFor(nil, err) < 2 {
		t.Error("a stream that was reset is not tried again")
	}
	large := `{"items":["` + strings.Repeat("x", 100<<10) + `"]}`
	for name, body := range map[string]string{"empty": "", "cut": `{"kind":"Stat`, "garbled": "\xff\xfe{}", "large and cut": large[:90<<10]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if asked.Add(1) == 1 {
					_, _ = io.WriteString(w, body)
				} else {
					_, _ = io.WriteString(w, large)
				}
			}))
			defer server.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&transport{next: http.DefaultTransport, counter: &counter{}, silence: time.Minute}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(got) != large || asked.Load() != 2 {
				t.Errorf("asked %d times, got %d bytes, %v", asked.Load(), len(got), err)
			}
		})
	}
}
