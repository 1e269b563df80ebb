package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
)

// transport counts requests and sends again what the server was too busy for, or
// what got lost on the way. A request may thus have reached the server twice:
// applies and deletes carry uid and resourceVersion, so that the second time
// changes nothing (409 or 404).
type transport struct {
	next    http.RoundTripper
	counter *counter
	silence time.Duration
	hide    Hider
}

// Attempts per request. An internal error (500) or a time-out is often a webhook
// that does not answer; asking it as patiently as a server that says "later"
// would make a thousand objects wait for minutes.
const (
	attemptsBusy  = 7
	attemptsError = 3
)

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		t.counter.add(req)
		resp, err := t.attempt(req)
		limit := attemptsFor(resp, err)
		if isWatch(req) {
			limit = 1 // who watches reads anew instead
		}
		if attempt >= limit || req.Context().Err() != nil {
			return withoutRetryAfter(resp), err
		}
		again, ok := rewind(req)
		if !ok || !sleep(req.Context(), backOff(attempt, resp)) {
			return withoutRetryAfter(resp), err
		}
		req = again
	}
}

// attempt sends the request once. Unless it is a stream, the answer is read
// whole, so that a connection that breaks in the middle of a LIST is retried too.
func (t *transport) attempt(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	silence := time.AfterFunc(t.silence, func() { cancel(errSilence) })
	defer silence.Stop()
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	if err == nil {
		err = ledElsewhere(req, resp)
	}
	if err != nil {
		cancel(nil)
		return nil, orCause(ctx, err)
	}
	if isStream(req) {
		silence.Stop()
		resp.Body = &cancelOnClose{ReadCloser: resp.Body, cancel: func() { cancel(nil) }}
		if isWatch(req) {
			resp.Body = &events{ReadCloser: resp.Body}
		}
		return resp, nil
	}
	heard := &noisyReader{Reader: resp.Body, heard: func() { silence.Reset(t.silence) }}
	body, err := io.ReadAll(io.LimitReader(heard, paging.Most+1))
	_ = resp.Body.Close()
	if err == nil {
		err = bounded(req.URL.Path, resp.StatusCode, body)
	}
	if err != nil {
		err = orCause(ctx, err)
		cancel(nil)
		return nil, err
	}
	cancel(nil)
	if !isReadable(resp, body) {
		return nil, errGarbled
	}
	if resp.StatusCode >= http.StatusBadRequest && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		body = t.hide.Body(body)
		resp.ContentLength = int64(len(body))
	}
	resp.Body = &whole{Reader: bytes.NewReader(body), content: body}
	return resp, nil
}

// ledElsewhere refuses a redirect to another server: the client would send there what it
// has for this one, its token and what it writes, and believe the answer.
func ledElsewhere(req *http.Request, resp *http.Response) error {
	at := resp.Header.Get("Location")
	if at == "" || resp.StatusCode < http.StatusMultipleChoices || resp.StatusCode >= http.StatusBadRequest {
		return nil
	}
	to, err := req.URL.Parse(at)
	if err == nil && to.Scheme == req.URL.Scheme && to.Host == req.URL.Host {
		return nil
	}
	_ = resp.Body.Close()
	where := "nowhere"
	if err == nil {
		where = plain.Line(to.Scheme+"://"+to.Host, 100)
	}
	return fmt.Errorf("the API server %s leads to %s, which is not followed: the kubeconfig names the server that is meant", req.URL.Host, where)
}

// whole is a body that was read.
type whole struct {
	*bytes.Reader
	content []byte
}

// Close implements io.Closer.
func (*whole) Close() error { return nil }

// unconverted is what the API server says, with 429, of a kind of which it cannot read
// what is stored: a conversion webhook that does not answer, a version that is no more.
const unconverted = "failed to read one or more"

// errGarbled is an answer that was cut or garbled on the way.
var errGarbled = errors.New("the answer of the server cannot be read: it is no JSON, or ends too early")

// isReadable reports whether an answer that says that it is JSON looks like it. A
// small one is read for that; of a large one, of which a LIST may be, both ends are
// looked at.
func isReadable(resp *http.Response, body []byte) bool {
	const small = 64 << 10
	switch {
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated,
		!strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json"),
		resp.Header.Get("Content-Encoding") != "", resp.Request != nil && resp.Request.Method == http.MethodHead:
		return true
	case len(body) <= small:
		return json.Valid(body)
	}
	return body[0] == '{' && bytes.HasSuffix(bytes.TrimRight(body[len(body)-16:], " \r\n"), []byte("}"))
}

var errSilence = silenceError{}

// silenceError is a net.Error, so that client-go and callers see a time-out.
type silenceError struct{}

func (silenceError) Error() string   { return "the server did not answer in time" }
func (silenceError) Timeout() bool   { return true }
func (silenceError) Temporary() bool { return true }

// orCause replaces "context canceled" by the reason that this transport had.
func orCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilence) {
		return cause
	}
	return err
}

func isWatch(req *http.Request) bool {
	watch := req.URL.Query().Get("watch")
	return watch == "true" || watch == "1"
}

func isStream(req *http.Request) bool {
	query := req.URL.Query()
	return isWatch(req) ||
		query.Get("follow") == "true" || strings.HasSuffix(req.URL.Path, "/log") ||
		req.Header.Get("Upgrade") != ""
}

// attemptsFor says how often a request may be sent in all after such an answer.
func attemptsFor(resp *http.Response, err error) int {
	switch {
	case errors.Is(err, errSilence), errors.Is(err, errGarbled):
		return attemptsError
	case err != nil && isDropped(err):
		return attemptsBusy
	case err != nil:
		return 1
	}
	if body, ok := resp.Body.(*whole); ok && resp.StatusCode >= http.StatusBadRequest && bytes.Contains(body.content, []byte(unconverted)) {
		return attemptsError
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable:
		return attemptsBusy
	case http.StatusInternalServerError, http.StatusGatewayTimeout:
		return attemptsError
	}
	return 1
}

// isDropped reports whether a connection, or the one stream of an HTTP/2 connection,
// was refused or ended before the answer, as opposed to a name that does not resolve or a certificate that does not fit.
func isDropped(err error) bool {
	var timeout net.Error
	return utilnet.IsConnectionReset(err) || utilnet.IsConnectionRefused(err) ||
		utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err) || isReset(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// isReset reports whether an HTTP/2 stream was reset, which is what the API server does
// when a handler takes too long. The type of the error is net/http's own.
func isReset(err error) bool { return strings.Contains(err.Error(), "stream error: stream ID") }

// rewind makes the request ready to be sent again, where its body allows it.
func rewind(req *http.Request) (*http.Request, bool) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again.Body = body
	return again, true
}

// backOff is what the server asked for, else 50 ms doubled per attempt with
// jitter, and never more than ten seconds.
func backOff(attempt int, resp *http.Response) time.Duration {
	const most = 10 * time.Second
	if resp != nil {
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			return min(time.Duration(s)*time.Second, most)
		}
	}
	d := 50 * time.Millisecond << attempt
	return min(d/2+rand.N(d), most)
}

// sleep reports whether it slept to the end. It does not begin what the deadline
// would cut short.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	return pause.For(ctx, d) == nil
}

// withoutRetryAfter keeps client-go from retrying on its own after the last
// attempt here.
func withoutRetryAfter(resp *http.Response) *http.Response {
	if resp != nil {
		resp.Header.Del("Retry-After")
	}
	return resp
}

// noisyReader tells whenever something arrived.
type noisyReader struct {
	io.Reader
	heard func()
}

func (r *noisyReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.heard()
	return n, err
}

type cancelOnClose struct {
	io.ReadCloser
	cancel func()
}

func (c *cancelOnClose) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
