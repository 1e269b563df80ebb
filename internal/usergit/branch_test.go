package usergit

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// TestLastWords keeps little of a git host that says much, and the end of it.
func TestLastWords(t *testing.T) {
	var before, after runtime.MemStats
	said := &lastWords{}
	block := bytes.Repeat([]byte("remote: again\n"), 10_000)
	runtime.ReadMemStats(&before)
	for range 2000 { // 267 MiB
		if n, err := said.Write(block); n != len(block) || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, piece := range []string{"remote:   https://git.example.org/pull", "/7\n", " ! [rejected]\n"} {
		_, _ = said.Write([]byte(piece))
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("it allocated %d MB", grown>>20)
	}
	if text := said.String(); len(text) > mostWords || !strings.HasSuffix(text, "https://git.example.org/pull/7\n ! [rejected]\n") {
		t.Errorf("%d bytes are kept, at their end %q", len(text), text[max(0, len(text)-60):])
	}
}

// TestRequests shows addresses that a git host answers with, and nothing that acts on
// whoever reads them.
func TestRequests(t *testing.T) {
	got := requests("remote: see https://a.example/x\x1b[31m\u202e.\nremote: https://b.example/" + strings.Repeat("y", 10_000) +
		"\nremote: https://a.example/2 https://a.example/3\nhttps://c.example\nremote: https://d.example\nremote: https://e.example\n")
	if len(got) != 3 || got[0] != "https://a.example/x" || len(got[1]) > mostURL || got[2] != "https://a.example/2" {
		t.Errorf("got %q", got)
	}
}
