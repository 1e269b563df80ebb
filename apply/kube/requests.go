package kube

import (
	"net/http"
	"strings"
	"sync"
)

// Requests counts API requests by what they were for.
type Requests struct {
	Discovery int `json:"discovery"`
	Review    int `json:"review"`
	List      int `json:"list"`
	Get       int `json:"get"`
	DryRun    int `json:"dryRun"`
	Write     int `json:"write"`
	Watch     int `json:"watch"`
}

// Plus is the sum of two counts.
func (r Requests) Plus(o Requests) Requests {
	return r.Since(Requests{}.Since(o))
}

// Total is the sum over all purposes.
func (r Requests) Total() int {
	return r.Discovery + r.Review + r.List + r.Get + r.DryRun + r.Write + r.Watch
}

// Since is what was sent after an earlier snapshot.
func (r Requests) Since(earlier Requests) Requests {
	return Requests{
		Discovery: r.Discovery - earlier.Discovery,
		Review:    r.Review - earlier.Review,
		List:      r.List - earlier.List,
		Get:       r.Get - earlier.Get,
		DryRun:    r.DryRun - earlier.DryRun,
		Write:     r.Write - earlier.Write,
		Watch:     r.Watch - earlier.Watch,
	}
}

// counter counts requests on the wire by what they are for.
type counter struct {
	mu    sync.Mutex
	count Requests
}

func (c *counter) add(req *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*purpose(&c.count, req)++
}

func (c *counter) snapshot() Requests {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// purpose picks the number of r that a request belongs to, from its method, path
// and query alone.
func purpose(r *Requests, req *http.Request) *int {
	query := req.URL.Query()
	named, kind := resourceOf(req.URL.Path)
	switch {
	case kind == "":
		return &r.Discovery
	case strings.HasPrefix(kind, "selfsubject"):
		return &r.Review
	case query.Get("watch") == "true" || query.Get("watch") == "1" || query.Get("follow") == "true":
		return &r.Watch
	case req.Method == http.MethodGet && named:
		return &r.Get
	case req.Method == http.MethodGet:
		return &r.List
	case query.Has("dryRun"):
		return &r.DryRun
	}
	return &r.Write
}

// resourceOf reads the resource out of an API path and whether the path names one
// object: /api/v1/[namespaces/NS/]KIND[/NAME...] or /apis/GROUP/VERSION/... in
// the same way. A path that is neither has no resource.
func resourceOf(path string) (named bool, resource string) {
	// A server behind a proxy has a prefix before /api.
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i, part := range parts {
		skip := 0
		switch part {
		case "api":
			skip = 2 // api, version
		case "apis":
			skip = 3 // apis, group, version
		default:
			continue
		}
		if i+skip > len(parts) {
			return false, ""
		}
		parts = parts[i+skip:]
		if len(parts) > 2 && parts[0] == "namespaces" {
			parts = parts[2:]
		}
		if len(parts) == 0 {
			return false, ""
		}
		return len(parts) > 1, parts[0]
	}
	return false, ""
}
