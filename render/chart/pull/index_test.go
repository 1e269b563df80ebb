package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// lines is a list that is made as it is read: a beginning, a line many times, and an end.
func lines(begin, line string, n int, end string) io.Reader {
	return &repeated{next: begin, line: line, left: n, end: end}
}

type repeated struct {
	next, line, end string
	left            int
}

func (r *repeated) Read(p []byte) (int, error) {
	for r.next == "" {
		switch {
		case r.left > 0:
			r.next, r.left = strings.Repeat(r.line, min(r.left, 1000)), r.left-min(r.left, 1000)
		case r.end != "":
			r.next, r.end = r.end, ""
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, r.next)
	r.next = r.next[n:]
	return n, nil
}

// TestIndex finds a chart in lists of every form and size.
func TestIndex(t *testing.T) {
	t.Parallel()
	const filler = "  - {version: 9.9.9, description: \"a version of another chart\"}\n"
	for name, test := range map[string]struct {
		list io.Reader
		want string
	}{
		"small, on one line": {strings.NewReader("entries: {demo: [{version: 1.0.0, urls: [a, b], digest: d}]}"), "[{1.0.0 a d}]"},
		"between others": {
			lines("apiVersion: v1\nentries:\n  aaa:\n", filler, 10_000,
				"  demo:\n  - apiVersion: v2\n    description: |\n      text\n\n      demo:\n      - no\n    urls:\n    - a\n    - b\n    version: 1.0.0\n  - version: 0.9.0\n    urls: [c]\n    digest: d\n  zzz:\n"+filler+"generated: x\n"),
			"[{1.0.0 a } {0.9.0 c d}]",
		},
		"first, and indented further": {lines("entries:\n    \"demo\":\n      - version: 1.0.0\r\n        urls: null\r\n    aaa:\n", "  "+filler, 10_000, ""), "[{1.0.0  }]"},
		"after a long line":           {lines("entries:\n  aaa:\n  - version: ", "x", 1_000_000, "\n  demo:\n  - version: 1.0.0"), "[{1.0.0  }]"},
		"not there":                   {lines("entries:\n  aaa:\n", filler, 10_000, "other:\n  demo:\n  - version: 1.0.0\n"), "[]"},
		"JSON":                        {lines(`{"other": {"demo": [[{}]]}, "entries": {"aaa": [1`, `, {"version": "9"}`, 50_000, `], "demo": [{"version": "1.0.0", "urls": ["a", "b"]}]}}`), "[{1.0.0 a }]"},
	} {
		got, err := entriesOf(t.Context(), test.list, "demo")
		if err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, test.want)
		}
	}
}

// TestHostileIndex reads lists that are as large as is allowed, and keeps what they take
// small.
func TestHostileIndex(t *testing.T) {
	const much = 64 << 20
	for name, test := range map[string]struct {
		list io.Reader
		says string
	}{
		"many versions":         {lines("entries:\n  demo:\n", "  - version: 1.0.0\n", 1_000_000, ""), "more than 50000 versions"},
		"many versions, JSON":   {lines(`{"entries": {"demo": [{}`, `, {"version": "1.0.0"}`, 1_000_000, "]}}"), "more than 50000 versions"},
		"one large version":     {lines("entries:\n  demo:\n  - version: 1.0.0\n", "    - []\n", much/9, ""), "more than 256 KiB of one version"},
		"on one line":           {lines("entries: {demo: [\n", "{version: 1.0.0},\n", much/18, "]}"), "line by line"},
		"a chart on one line":   {lines("entries:\n  demo: [\n", "{version: 1.0.0},\n", much/18, "]"), "line by line"},
		"other charts":          {lines("entries:\n", "  a:\n  - b\n", much/11, ""), ""},
		"deep":                  {lines(`{"entries": {"other": `, "[", much, ""), "too deeply"},
		"many URLs":             {lines(`{"entries": {"demo": [{"urls": [""`, `,""`, much/30, "]}]}}"), ""},
		"a line without an end": {lines("entries:\n", "x", much, ""), ""},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		entries, err := entriesOf(t.Context(), test.list, "demo")
		runtime.GC()
		runtime.ReadMemStats(&after)
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 200<<20 {
			t.Errorf("%s: the heap grew by %d MiB", name, grown>>20)
		}
		runtime.KeepAlive(entries)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := entriesOf(ctx, lines("entries:\n  demo:\n", "  - version: 1.0.0\n", 20_000, ""), "demo"); !errors.Is(err, context.Canceled) {
		t.Errorf("after its time: %v", err)
	}
	endless := &bounded{from: lines("#", "#", 2*mostIndex, ""), left: mostIndex}
	if _, err := entriesOf(t.Context(), endless, "demo"); err == nil || !strings.Contains(err.Error(), "larger than 128 MiB") {
		t.Errorf("without an end: %v", err)
	}
}
