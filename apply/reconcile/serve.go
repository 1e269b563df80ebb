package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/seed-428f4edd/evenkeel/internal/plain"
)

// Whoever reaches the port may ask as often as they like; this is what it may cost. A
// connection that asks nothing takes some 10 KB, and ends after seconds.
const (
	mostConnections = 4096
	mostScrapes     = 10 // of /metrics at once; the others are answered 503
)

// serve answers /metrics, /healthz (the process lives) and /readyz (it does its
// work, or waits for its turn) until ctx ends.
func (d *daemon) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: mostScrapes}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := d.ready(); err != nil {
			http.Error(w, lines(err.Error()), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{
		Handler: mux, MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 15 * time.Second,
	}
	defer context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(ending) // whoever still reads is cut off
	})()
	if err := server.Serve(netutil.LimitListener(d.opts.Listen, mostConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// lines are a text without what a terminal acts on: a part of it comes from the cluster.
func lines(text string) string {
	const most, longest = 100, 1000
	all := strings.Split(text, "\n")
	if len(all) > most {
		all = append(all[:most], fmt.Sprintf("and %d more", len(all)-most))
	}
	for i, line := range all {
		all[i] = plain.Line(line, longest)
	}
	return strings.Join(all, "\n")
}
