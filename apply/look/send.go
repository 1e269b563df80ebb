package look

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-428f4edd/evenkeel/internal/reach"
)

// Point is an address where a hop takes requests.
type Point struct {
	// Hop is the caller's number of the hop; outer hops come first.
	Hop     int
	Address string // host:port
	TLS     bool
	// Said is set where the cluster named the address. Whoever may write a status there
	// has no request sent to this machine, its link or its cloud, unless the URL leads
	// there by itself.
	Said bool
	// Path is what the request asks for there, where the hops before have rewritten
	// it; empty means as it was sent.
	Path string
}

// Answer is what came from a point.
type Answer struct {
	Point
	Status   int
	Server   string // header of that name
	Type     string // Content-Type
	Location string
	Took     time.Duration
	// Untrusted is why the certificate would be refused by a client of this machine.
	Untrusted string
	// Default says that the body is one that nginx makes itself.
	Default bool
	Err     error // why no answer came
}

// Limits of one request.
const (
	sendTimeout  = 5 * time.Second
	bodyLimit    = 64 << 10
	maxRedirects = 3
)

// Send sends a GET for a URL to each of the points at once. No credentials are sent,
// and only the headers of an answer are kept.
func Send(ctx context.Context, u *url.URL, points []Point) []Answer {
	answers := make([]Answer, len(points))
	var sent sync.WaitGroup
	for i, p := range points {
		sent.Go(func() { answers[i] = send(ctx, u, p) })
	}
	sent.Wait()
	return answers
}

func send(ctx context.Context, u *url.URL, p Point) Answer {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	target := *u
	target.Scheme, target.User = "http", nil
	if p.TLS {
		target.Scheme = "https"
	}
	if p.Path != "" {
		if decoded, err := url.PathUnescape(p.Path); err == nil {
			target.Path, target.RawPath = decoded, p.Path
		}
	}
	a := Answer{Point: p}
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, Proxy: nil, ResponseHeaderTimeout: sendTimeout, MaxResponseHeaderBytes: 64 << 10,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				if p.Said {
					d.Control = func(_, to string, _ syscall.RawConn) error { return others(ctx, target.Hostname(), to) }
				}
				return d.DialContext(ctx, "tcp", p.Address)
			},
			// Whom the certificate names is said, not enforced: the question is who
			// answers, and nothing is sent that must stay secret.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: target.Hostname(), VerifyConnection: func(s tls.ConnectionState) error {
				a.Untrusted = untrusted(s, target.Hostname())
				return nil
			}},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	began := time.Now()
	for range maxRedirects + 1 {
		next := a.ask(ctx, client, &target)
		if next == nil {
			break
		}
		target = *next
	}
	a.Took = time.Since(began)
	return a
}

// others refuses an address of this machine, its link or its cloud that is none of a host's.
func others(ctx context.Context, host, to string) error {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if !reach.Own(ip) {
		return nil
	}
	own, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err == nil && slices.ContainsFunc(own, func(a netip.Addr) bool { return a.Unmap() == ip }) {
		return nil
	}
	return fmt.Errorf("%s is no address of a cluster: nothing was sent", ip)
}

// ask sends one request; it returns where the answer leads, if that is the same
// host by the same scheme.
func (a *Answer) ask(ctx context.Context, client *http.Client, target *url.URL) *url.URL {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		a.Err = err
		return nil
	}
	req.Header.Set("User-Agent", "evenkeel-trace")
	resp, err := client.Do(req)
	if err != nil {
		a.Err = plainly(err)
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	a.Status, a.Server = resp.StatusCode, resp.Header.Get("Server")
	a.Type, a.Location = resp.Header.Get("Content-Type"), resp.Header.Get("Location")
	a.Default = strings.Contains(string(body), "<center>nginx") && resp.StatusCode >= 300
	next, err := resp.Location()
	if err != nil || next.Scheme != target.Scheme || next.Host != target.Host || next.String() == target.String() {
		return nil
	}
	return next
}

// plainly leaves out the URL, which the reader knows.
func plainly(err error) error {
	var wrapped *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s", sendTimeout)
	case errors.Is(err, io.EOF):
		return errors.New("the connection was closed without an answer")
	case errors.As(err, &wrapped):
		return wrapped.Err
	}
	return err
}

func untrusted(s tls.ConnectionState, host string) string {
	if len(s.PeerCertificates) == 0 {
		return "it shows no certificate"
	}
	pool, err := systemPool()
	if err != nil {
		return err.Error()
	}
	if _, err := s.PeerCertificates[0].Verify(verifyOptions(s, pool, host)); err != nil {
		return err.Error()
	}
	return ""
}

// String is the answer in words.
func (a Answer) String() string {
	if a.Err != nil {
		return fmt.Sprintf("no answer from %s: %s", a.Address, a.Err)
	}
	text := fmt.Sprintf("%d %s from %s", a.Status, http.StatusText(a.Status), a.Address)
	if a.Location != "" {
		text += " to " + a.Location
	}
	if a.Server != "" {
		text += ", server " + a.Server
	}
	if a.Untrusted != "" {
		text += ", with a certificate that this machine does not trust: " + a.Untrusted
	}
	return fmt.Sprintf("%s, in %d ms", text, a.Took.Milliseconds())
}

// unreached says that a point could not be asked from here.
func (a Answer) unreached() bool {
	var op *net.OpError
	return a.Err != nil && (errors.As(a.Err, &op) && op.Op == "dial" || strings.HasPrefix(a.Err.Error(), "no answer within"))
}

// same says whether two answers are taken to be one: as far as headers tell.
func (a Answer) same(b Answer) bool {
	return a.Err == nil && b.Err == nil && a.Status == b.Status && a.Type == b.Type && a.Location == b.Location
}

// Made says at which hop the answer of the outermost point was made: the last one
// that gives the same answer when it is asked itself. Behind is set where hops
// further in could not be asked, so that it may have been one of them. It returns
// false where the outermost point gave no answer. Answers are in the order of the
// hops; of several points of one hop each is looked at.
func Made(answers []Answer) (hop int, behind, ok bool) {
	if len(answers) == 0 || answers[0].Err != nil {
		return 0, false, false
	}
	outer := answers[0]
	hop = outer.Hop
	if outer.Default {
		return hop, false, true
	}
	for i := 0; i < len(answers); {
		at, same, reached := answers[i].Hop, false, false
		for ; i < len(answers) && answers[i].Hop == at; i++ {
			same = same || outer.same(answers[i])
			reached = reached || !answers[i].unreached()
		}
		switch {
		case same:
			hop, behind = at, false
		case reached:
			return hop, behind, true
		default:
			behind = true
		}
	}
	return hop, behind, true
}
