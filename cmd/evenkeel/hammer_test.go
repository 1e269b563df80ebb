package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHammered has the port of the daemon asked without a break, by many who never end
// what they ask, or read nothing of the answer: it answers others, and takes a bounded
// amount of memory.
func TestHammered(t *testing.T) {
	p := startDaemonIn(t, write(t, t.TempDir(), "kubeconfig", ""), nil, "-C", newSite(t), "reconcile", "good", "--interval", "1s")
	address := strings.TrimPrefix(p.url, "http://")
	var open []net.Conn
	t.Cleanup(func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	for i := range 6000 {
		conn, err := net.Dial("tcp", address)
		if err != nil { // the limit of files of this process: leave some for those who ask
			for _, conn := range open[max(0, len(open)-200):] {
				_ = conn.Close()
			}
			break
		}
		open = append(open, conn)
		_, _ = io.WriteString(conn, []string{"", "GET /metrics HTTP/1.1\r\nX: ", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"}[i%4])
	}
	t.Logf("%d connections, %.0f MB", len(open), p.rss(t))

	stop := time.Now().Add(4 * time.Second)
	var asking sync.WaitGroup
	for i := range 50 {
		asking.Go(func() {
			for time.Now().Before(stop) {
				resp, err := http.Get(p.url + []string{"/metrics", "/readyz", "/nothing/" + strings.Repeat("x", 4000)}[i%3])
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			}
		})
	}
	slowest := time.Duration(0)
	client := &http.Client{Timeout: 10 * time.Second}
	for time.Now().Before(stop) {
		begun := time.Now()
		resp, err := client.Get(p.url + "/healthz")
		if err != nil {
			t.Errorf("/healthz: %v", err)
			break
		}
		_ = resp.Body.Close()
		slowest = max(slowest, time.Since(begun))
	}
	asking.Wait()
	rss := p.rss(t)
	t.Logf("/healthz took %s at most; %.0f MB", slowest, rss)
	if rss > 300 {
		t.Errorf("it takes %.0f MB", rss)
	}
	until(t, "those who ask nothing are hung up on", func() bool {
		for _, conn := range open[:min(4, len(open))] {
			_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
				return false
			}
		}
		return true
	})
}
