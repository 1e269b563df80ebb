package ui

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestHammered has others on the machine, who have no token, ask without a break, or
// begin what they never end: whoever has the token is answered, and what they take is
// bounded.
func TestHammered(t *testing.T) {
	l, s, end := served(t)
	at := "http://" + l.Addr().String()

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var open []net.Conn
	for i := range 2 * mostStrangers {
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
	// They end nothing, and more of them come: nobody waits until a header of theirs took
	// too long.
	s.crowd.mu.Lock()
	kept := slices.Clone(s.crowd.strangers)
	s.crowd.mu.Unlock()
	if len(kept) > mostStrangers {
		t.Errorf("%d connections without a token are open", len(kept))
	}
	client := &http.Client{Timeout: 30 * time.Second}
	resp, err := client.Get(at + s.Path() + "en/env/prod/")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("whoever has the token: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	end()
}

// served is a page on a port of its own, until end is called.
func served(t *testing.T) (net.Listener, *Server, func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(l.Addr(), Options{Viewer: func(string) Viewer { return Viewer{Environments: []Environment{noCluster("prod")}} }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	return l, s, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestStrangersMakeWay opens as many connections as there may be, none of which ends
// what it begins: who has the token is answered while all of them are open.
func TestStrangersMakeWay(t *testing.T) {
	l, s, end := served(t)
	defer end()
	client := &http.Client{}
	ask := func() {
		t.Helper()
		resp, err := client.Get("http://" + l.Addr().String() + s.Path() + "en/env/prod/")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v", resp.Status, err)
		}
	}
	var reused bool
	open := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nX: ")
		return conn
	}
	ask()
	first := open()
	for range mostStrangers {
		open()
	}
	// The oldest was closed: nothing but the end is to be read, and no time ran out.
	if n, err := first.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("the oldest that says nothing is answered %d bytes, %v", n, err)
	}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "http://"+l.Addr().String()+s.Path()+"en/env/prod/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK || !reused {
		t.Errorf("whoever came before with the token: %v, on their connection: %v", err, reused)
	}
	if resp != nil {
		_ = resp.Body.Close()
	}
	client.CloseIdleConnections()
	ask() // on a connection of its own
}

// TestStrangersOfHosted has nobody in particular ask a page where viewers sign in, or begin
// to sign in and send no token: they are strangers still, and make way.
func TestStrangersOfHosted(t *testing.T) {
	d := &directory{of: map[string]Account{"abc": {User: "mia", May: []string{"prod"}}}}
	s, _ := hosting(t, d)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	open := func(request string) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, request)
		return conn
	}
	const host = "Host: evenkeel.example.org\r\n"
	asked := open("GET /en/ HTTP/1.1\r\n" + host + "\r\n")
	answer := bufio.NewReader(asked)
	resp, err := http.ReadResponse(answer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	signing := open("POST " + signIn + " HTTP/1.1\r\n" + host + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ntoken=")
	for range mostStrangers {
		open("GET /en/ HTTP/1.1\r\n" + host) // which never ends
	}
	for name, conn := range map[string]io.Reader{"who asked": answer, "who began to sign in": signing} {
		if n, err := io.Copy(io.Discard, conn); n > 200 && err == nil {
			t.Errorf("%s is told %d bytes more", name, n)
		}
	}
}
