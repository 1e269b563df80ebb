package ui

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
)

// mostStrangers bounds what others on the machine, who have no token, may take.
const mostStrangers = 512

// crowd are the connections of those who have not shown a token yet, or no session, the oldest first.
// Where there are too many the oldest is closed: who has the token sends it at once, and
// who begins what they never end keeps nobody waiting.
type crowd struct {
	mu        sync.Mutex
	strangers []net.Conn
}

// connKey finds the connection of a request in its context.
type connKey struct{}

// attend has a server keep its connections in the crowd.
func (c *crowd) attend(server *http.Server) {
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			c.enter(conn)
		case http.StateClosed, http.StateHijacked:
			c.leave(conn)
		}
	}
}

func (c *crowd) enter(conn net.Conn) {
	c.mu.Lock()
	c.strangers = append(c.strangers, conn)
	var oldest net.Conn
	if len(c.strangers) > mostStrangers {
		oldest = c.strangers[0] // before the others move up
		c.strangers = slices.Delete(c.strangers, 0, 1)
	}
	c.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close() // nothing of it is wanted
	}
}

// leave takes out a connection that has ended, or whose request had the token.
func (c *crowd) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.strangers, conn); i >= 0 {
		c.strangers = slices.Delete(c.strangers, i, i+1)
	}
}

// know is leave for the connection of a request.
func (c *crowd) know(r *http.Request) {
	if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		c.leave(conn)
	}
}
