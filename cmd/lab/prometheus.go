package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	prometheusAddress = "10.4.7.200:9090"
	loadAddress       = "10.4.7.200:9091" // where it reads what the load counts
	// failedShare is the share of the requests that failed lately. A series that never
	// was has no rate: without "or", a version that never fails had no answer.
	failedShare = `(sum(rate(lab_requests_total{answer="failed"}[5s])) or vector(0)) / sum(rate(lab_requests_total[5s]))`
)

// ServeHTTP says what the load has counted, as a client library does: a series is there
// once it was counted.
func (l *load) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	sent, failed := l.count()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintf(w, "# TYPE lab_requests_total counter\nlab_requests_total{answer=\"ok\"} %d\n", sent-failed)
	if failed > 0 {
		fmt.Fprintf(w, "lab_requests_total{answer=\"failed\"} %d\n", failed)
	}
}

// prometheus is a real one.
type prometheus struct {
	cmd     *exec.Cmd
	started time.Time
}

// startPrometheus starts one that reads what a load counts, and waits until it answers
// what the check asks.
func startPrometheus(ctx context.Context, l *load) (p *prometheus, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loadAddress)
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: l, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	dir, err := os.MkdirTemp("", "prometheus")
	if err != nil {
		return nil, nil, errors.Join(err, server.Close())
	}
	p = &prometheus{started: time.Now()}
	stop = func() {
		if p.cmd != nil && p.cmd.Process != nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		_ = server.Close()
		_ = os.RemoveAll(dir)
	}
	config := fmt.Sprintf("scrape_configs: [{job_name: all, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: [%q, %q]}]}]\n", loadAddress, prometheusAddress)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		stop()
		return nil, nil, err
	}
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		stop()
		return nil, nil, err
	}
	defer func() { _ = out.Close() }()
	p.cmd = exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+prometheusAddress)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		stop()
		return nil, nil, err
	}
	if err := wait(ctx, time.Minute, "Prometheus", func() error {
		values, err := p.values(ctx, failedShare, time.Now())
		if err == nil && len(values) == 0 {
			err = errors.New("no value")
		}
		return err
	}); err != nil {
		text := tail(filepath.Join(dir, "log"))
		stop()
		return nil, nil, fmt.Errorf("%w\n%s", err, text)
	}
	return p, stop, nil
}

// freeze lets it take connections and answer none.
func (p *prometheus) freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

func (p *prometheus) thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// values says for each second since when a query has a value.
func (p *prometheus) values(ctx context.Context, of string, start time.Time) ([]time.Time, error) {
	query := url.Values{"query": {of}, "step": {"1"}}
	for name, at := range map[string]time.Time{"start": start, "end": time.Now()} {
		query.Set(name, strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+prometheusAddress+"/api/v1/query_range?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := newClient(10 * time.Second).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var reply struct {
		Error string
		Data  struct {
			Result []struct{ Values [][2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return nil, fmt.Errorf("%s: %w", resp.Status, err)
	}
	if reply.Error != "" {
		return nil, errors.New(reply.Error)
	}
	var all []time.Time
	for _, series := range reply.Data.Result {
		for _, pair := range series.Values {
			at, _ := pair[0].(float64)
			all = append(all, time.UnixMilli(int64(at*1000)))
		}
	}
	return all, nil
}

// tooMuch is when the share first was too much at a time at which somebody had asked for it:
// nobody does before the canary is healthy.
func (p *prometheus) tooMuch(ctx context.Context) (time.Time, error) {
	const asked = `sum(prometheus_http_requests_total{handler="/api/v1/query"}) > 0`
	times, err := p.values(ctx, fmt.Sprintf("(%s) > %v and on() %s", failedShare, canaryLimit, asked), p.started)
	if len(times) == 0 {
		return time.Time{}, err
	}
	return times[0], err
}
