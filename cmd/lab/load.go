package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// answer is what the demo's consumer says.
type answer struct {
	Provider, Consumer who
	Error              string
}

type who struct{ App, Environment, Version, Pod string }

// request asks for /hello at the VIP, as a browser would. Every request has a
// connection of its own, so that none is spared what happens to the site.
func request(ctx context.Context, client *http.Client, host, name string) (answer, error) {
	var a answer
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+vip+"/hello?name="+name, nil)
	if err != nil {
		return a, err
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	if resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	return a, json.Unmarshal(body, &a)
}

func newClient(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
}

// load is a steady stream of requests, bounded in number and time.
type load struct {
	host string

	mu       sync.Mutex
	sent     int
	failed   int
	first    time.Time // of the failures
	last     time.Time
	gap      time.Duration // the longest time without an answer
	answered time.Time
	slowest  time.Duration
	versions map[string]int
	example  map[string]int // kinds of failures
	results  []result
}

// result is that of one request.
type result struct {
	at     time.Time // of the answer
	failed bool
}

const maxLoad = 30000 // requests of one load, whatever happens

// startLoad sends until stop is called; stop waits for the answers that are due.
func startLoad(ctx context.Context, host string) (l *load, stop func()) {
	l = &load{host: host, versions: map[string]int{}, example: map[string]int{}, answered: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	client := newClient(10 * time.Second)
	var requests sync.WaitGroup
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(time.Second / time.Duration(loadRate))
		defer ticker.Stop()
		for range maxLoad {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			requests.Go(func() { l.one(context.WithoutCancel(ctx), client) })
		}
	}()
	return l, func() {
		cancel()
		<-ended
		requests.Wait()
	}
}

func (l *load) one(ctx context.Context, client *http.Client) {
	start := time.Now()
	a, err := request(ctx, client, l.host, "load")
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.results = append(l.results, result{now, err != nil})
	l.slowest = max(l.slowest, now.Sub(start))
	if err != nil {
		l.failed++
		if l.first.IsZero() {
			l.first = start
		}
		if now.After(l.last) {
			l.last = now
		}
		l.example[err.Error()]++
		return
	}
	l.gap = max(l.gap, now.Sub(l.answered))
	l.answered = now
	l.versions["provider "+a.Provider.Version+" consumer "+a.Consumer.Version]++
}

func (l *load) count() (sent, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent, l.failed
}

// between counts the answers of a time.
func (l *load) between(from, to time.Time) (answers, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.results {
		if r.at.Before(from) || r.at.After(to) {
			continue
		}
		answers++
		if r.failed {
			failed++
		}
	}
	return answers, failed
}

func (l *load) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "%d requests to %s at %d a second: %d failed, longest time without an answer %s, slowest %s", l.sent, l.host, loadRate, l.failed, l.gap.Round(10*time.Millisecond), l.slowest.Round(10*time.Millisecond))
	if l.failed > 0 {
		fmt.Fprintf(&text, ", failures over %s", l.last.Sub(l.first).Round(100*time.Millisecond))
		shown := 0
		for _, kind := range sortedKeys(l.example) {
			if shown++; shown > 5 {
				break
			}
			fmt.Fprintf(&text, "\n            %d x %.240s", l.example[kind], strings.Join(strings.Fields(kind), " "))
		}
	}
	return text.String()
}

// atLeast waits until so many requests were sent, saying how far it is.
func (l *load) atLeast(ctx context.Context, s *site, n int) error {
	for said := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		sent, failed := l.count()
		if sent >= n {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Since(said) > 10*time.Second {
			s.say("  %d of %d requests, %d failed", sent, n, failed)
			said = time.Now()
		}
	}
}
