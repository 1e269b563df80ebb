package kube

import (
	"errors"
	"io"
	"net/http"
	"regexp"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

// An answer of a few bytes a value takes many times its size once it is decoded: 31 MiB
// of {} are gigabytes. No honest one has that many values.
const (
	mostValues     = 4 << 20
	mostDiscovered = 1 << 20 // of what says which kinds there are: thousands of kinds have half of it
	mostEvent      = 8 << 20 // bytes of one event of a watch: an object has at most a few MiB
	mostRefusal    = 1 << 20 // bytes of an answer that is an error
	mostPages      = 100_000 // of a list: 250 million objects, or a server that never ends it
)

var (
	errRefusal = errors.New("the server refuses it with more words than are read")
	errPages   = errors.New("the server does not end the list")
)

// discovered matches the paths of discovery: /api, /apis, and those of a version below.
var discovered = regexp.MustCompile(`/(?:apis?|api/v1|apis/[^/]+/[^/]+)$`)

var errDiscovery = errors.New("the server says that it has more kinds than anybody expects")

// bounded is an error where an answer has more than is read, by the path that was asked.
func bounded(path string, status int, body []byte) error {
	switch {
	case status >= http.StatusBadRequest && len(body) > mostRefusal:
		return errRefusal
	case len(body) > mostDiscovered && discovered.MatchString(path) && manyValues(body, mostDiscovered):
		return errDiscovery
	case len(body) > paging.Most, manyValues(body, mostValues):
		return paging.TooLarge{}
	}
	return nil
}

// manyValues reports whether a text of JSON has more values than that, about.
func manyValues(body []byte, most int) bool {
	if len(body) <= most { // which is so of almost all
		return false
	}
	var s scanner
	for _, b := range body {
		if s.next(b); !s.text && (b == ',' || b == '{' || b == '[') {
			if most--; most < 0 {
				return true
			}
		}
	}
	return false
}

// scanner follows a text of JSON, without a look at whether it is one.
type scanner struct {
	depth         int
	text, escaped bool // within a string, behind a backslash
}

func (s *scanner) next(b byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case s.text:
		s.text, s.escaped = b != '"', b == '\\'
	case b == '"':
		s.text = true
	case b == '{', b == '[':
		s.depth++
	case b == '}', b == ']':
		s.depth--
	}
}

// events is the body of a watch, of which whoever reads it keeps an event until that ends:
// one that never does is an error.
type events struct {
	io.ReadCloser
	at   scanner
	size int // of the event so far
}

var errEvent = errors.New("the server sends an event that is too large to be one")

// Read implements io.Reader.
func (e *events) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	for _, b := range p[:n] {
		e.size++
		if e.at.next(b); e.at.depth <= 0 && !e.at.text && (b == '}' || b == ']') {
			e.size = 0
		}
	}
	if e.size > mostEvent {
		return 0, errEvent
	}
	return n, err
}
