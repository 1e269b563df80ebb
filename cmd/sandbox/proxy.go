package main

import (
	"errors"
	"net"
	"time"
)

// chunk is data that may be passed on once due is reached.
type chunk struct {
	data []byte
	due  time.Time
}

// serveDelayed accepts connections and passes them on to target as over a
// network with that round-trip time: half of it each way, one whole for the
// handshake of TCP, with no limit on bandwidth. It returns when the listener is
// closed.
func serveDelayed(listener net.Listener, target string, roundTrip time.Duration) error {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go passOn(client, target, roundTrip)
	}
}

func passOn(client net.Conn, target string, roundTrip time.Duration) {
	defer func() { _ = client.Close() }()
	time.Sleep(roundTrip)
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		delay(client, server, roundTrip/2)
	}()
	delay(server, client, roundTrip/2)
	<-answered
}

// delay copies from one connection to the other, each byte the given time after
// it was read. What is under way is bounded, so a slow reader slows the writer
// down, as the window of TCP does.
func delay(to, from net.Conn, by time.Duration) {
	underway := make(chan chunk, 1024)
	go func() {
		defer close(underway)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				underway <- chunk{data: buf[:n], due: time.Now().Add(by)}
			}
			if err != nil {
				return
			}
		}
	}()
	var failed error
	for c := range underway {
		time.Sleep(time.Until(c.due))
		if failed == nil {
			_, failed = to.Write(c.data)
			if failed != nil {
				_ = from.Close() // ends the reader, which then closes the channel
			}
		}
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}
