package ui

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestHammered has others on the machine, who have no token, ask without a break, or
// begin what they never end: whoever has the token is answered, and what they take is
// bounded.
func TestHammered(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(l.Addr(), []Environment{noCluster("prod")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	at := "http://" + l.Addr().String()

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var open []net.Conn
	for i := range 2 * mostConnections {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		open = append(open, conn)
		_, _ = io.WriteString(conn, []string{"", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\nHost: " + l.Addr().String() + "\r\nContent-Length: 1000000000\r\n\r\n"}[i%3])
	}
	stop := time.Now().Add(time.Second)
	var asking sync.WaitGroup
	for i := range 20 {
		asking.Go(func() {
			client := &http.Client{Timeout: time.Second}
			for time.Now().Before(stop) {
				if resp, err := client.Get(fmt.Sprintf("%s/%026d/en/", at, i)); err == nil {
					if resp.StatusCode != http.StatusForbidden {
						t.Errorf("somebody without the token is answered %s", resp.Status)
					}
					_ = resp.Body.Close()
				}
			}
		})
	}
	asking.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse); grown > 64<<20 {
		t.Errorf("it takes %d MB more", grown>>20)
	}
	client := &http.Client{Timeout: 30 * time.Second} // longer than a header may take
	resp, err := client.Get(at + s.Path() + "en/env/prod/")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("whoever has the token: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
