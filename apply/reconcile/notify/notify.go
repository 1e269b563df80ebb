// Package notify tells people of drift: it groups notices and posts them to a
// webhook, in the form that a chat's robot takes. The URL of a webhook is a secret:
// it is in no error and no log.
package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
)

// Options of a Sender. Only URL is required.
type Options struct {
	URL    string
	Format Format // empty means Generic
	// Secret signs messages, for the robots of DingTalk and Feishu that want it.
	Secret string
	Log    *slog.Logger
	// Gather is how long to wait for more before a message is sent, and the least
	// time between two; zero means five seconds, as the robots take twenty a
	// minute. BackOff is the first wait after a failure; zero means five seconds.
	Gather, BackOff time.Duration
	// Timeout is how long one message may take; zero means fifteen seconds.
	Timeout time.Duration
}

const (
	kept        = 500 // notices that wait
	backOffMost = 5 * time.Minute
	// attempts at a message before the notices in it are dropped: with the waits
	// between them more than an hour.
	attempts = 20
)

// Sender posts notices. Add may be called from anywhere.
type Sender struct {
	opts   Options
	client *http.Client

	mu      sync.Mutex
	waiting []reconcile.Notice
	dropped int
	signal  chan struct{}
}

var errURL = errors.New("the URL of the webhook is none")

// New checks the options.
func New(opts Options) (*Sender, error) {
	if opts.Format == "" {
		opts.Format = Generic
	}
	if !slices.Contains(Formats(), string(opts.Format)) {
		return nil, fmt.Errorf("format %q is not known", opts.Format)
	}
	if u, err := url.Parse(opts.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errURL
	}
	if opts.Gather == 0 {
		opts.Gather = 5 * time.Second
	}
	if opts.BackOff == 0 {
		opts.BackOff = 5 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	client := &http.Client{
		Timeout: cmp.Or(opts.Timeout, 15*time.Second),
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		// What is told is for the webhook alone, and its answer does not say for whom else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Sender{opts: opts, client: client, signal: make(chan struct{}, 1)}, nil
}

// Add leaves a notice to be sent. Where too many wait, it is only counted.
func (s *Sender) Add(n reconcile.Notice) {
	n.Text = plain.Line(n.Text, textLength)
	s.mu.Lock()
	if len(s.waiting) < kept {
		s.waiting = append(s.waiting, n)
	} else {
		s.dropped++
	}
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends, and then once more what is left.
func (s *Sender) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			m := s.take()
			if len(m.notices) == 0 {
				return
			}
			if err := contain.Call(func() error { return s.post(ctx, m) }); err != nil {
				s.opts.Log.Warn("notification not sent", "error", err, "notices", len(m.notices))
			}
			return
		case <-s.signal:
			_ = pause.For(ctx, s.opts.Gather)
			if ctx.Err() == nil {
				s.send(ctx)
			} else {
				s.poke()
			}
		}
	}
}

// Flush sends what waits, and tries again until ctx ends.
func (s *Sender) Flush(ctx context.Context) { s.send(ctx) }

func (s *Sender) poke() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// send posts what waits; what comes while the webhook does not answer goes with it.
func (s *Sender) send(ctx context.Context) {
	m := s.take()
	if len(m.notices) == 0 {
		return
	}
	backOff := s.opts.BackOff
	for attempt := 1; ; attempt++ {
		err := contain.Call(func() error { return s.post(ctx, m) })
		if err == nil {
			return
		}
		s.opts.Log.Warn("notification not sent", "error", err, "notices", len(m.notices), "attempt", attempt)
		if attempt == attempts {
			return
		}
		_ = pause.For(ctx, backOff)
		if ctx.Err() != nil {
			s.giveBack(m)
			return
		}
		backOff = min(2*backOff, backOffMost)
		more := s.take()
		m.notices, m.dropped = append(m.notices, more.notices...), m.dropped+more.dropped
		if over := len(m.notices) - kept; over > 0 {
			m.notices, m.dropped = m.notices[:kept], m.dropped+over
		}
	}
}

func (s *Sender) take() message {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := message{notices: s.waiting, dropped: s.dropped}
	s.waiting, s.dropped = nil, 0
	return m
}

// giveBack leaves what was not sent, for the last attempt.
func (s *Sender) giveBack(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.dropped = append(m.notices, s.waiting...), m.dropped+s.dropped
}

// farewell is how long a message may take that is under way when all ends. One that
// is cut off may have arrived, and would come twice.
const farewell = 3 * time.Second

// outlasting is ctx with a farewell.
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(farewell, cancel) })
	return longer, func() { stop(); cancel() }
}

// post sends one message. The robots answer 200 to what they did not take, with a
// code in the body.
func (s *Sender) post(ctx context.Context, m message) error {
	target, body, err := m.body(s.opts, time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := outlasting(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return errURL
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "evenkeel")
	resp, err := s.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // its text has the URL
		}
		return errors.New(s.quoted(err.Error()))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return errors.New(s.quoted(err.Error()))
	}
	status := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)) // not in the words of the webhook
	if resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode < http.StatusBadRequest {
		return fmt.Errorf("the webhook answers %s: redirects are not followed, give the URL that it leads to", status)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the webhook answers %s", status)
	}
	if s.opts.Format == Generic || s.opts.Format == Slack {
		return nil
	}
	var verdict struct {
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
		Code    int    `json:"code"`
		Msg     string `json:"msg"`
	}
	if err := json.Unmarshal(answer, &verdict); err != nil {
		return errors.New("the webhook's answer is no JSON")
	}
	if code := cmp.Or(verdict.ErrCode, verdict.Code); code != 0 {
		return fmt.Errorf("the webhook refuses it: code %d: %s", code, s.quoted(verdict.ErrMsg+verdict.Msg))
	}
	return nil
}

// quoted are words of the webhook, which may have chosen any: on one line, and without the
// secrets that its URL holds and it knows.
func (s *Sender) quoted(text string) string {
	text = strings.ReplaceAll(text, s.opts.URL, "(the URL of the webhook)")
	if u, err := url.Parse(s.opts.URL); err == nil {
		password, _ := u.User.Password()
		secrets := append(slices.Concat(slices.Collect(maps.Values(u.Query()))...), strings.Split(u.Path, "/")...)
		for _, secret := range append(secrets, password, s.opts.Secret) {
			if len(secret) >= leastSecret {
				text = strings.ReplaceAll(text, secret, "(hidden)")
			}
		}
	}
	return plain.Line(text, lineLength)
}

// leastSecret is how long a part of a URL is that may be a secret.
const leastSecret = 6
